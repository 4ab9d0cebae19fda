"""B9 for every field that takes a file: what is no such file, or unpacks to far more than it is, is refused in words, in less
than two seconds of work and 100 MiB, and nothing of it is kept. The fields are found in the forms, views and templates.

Seen red before these were mended: a picture of more than 80 million pixels was a 500; one of just under forty million cost 440 MiB a
request, however many came at once; a packed table of empty lines took four seconds.
"""

import gzip
import importlib
import io
import lzma
import pkgutil
import re
import struct
import threading
import time
import zipfile
import zlib
from functools import cache
from pathlib import Path

import pytest
from flask_wtf import FlaskForm
from PIL import Image, PngImagePlugin
from sqlalchemy import func, select
from wtforms import FileField

import portal
from portal.extensions import db
from portal.files import pictures
from portal.files.models import StoredFile
from portal.kyc import service as verification
from portal.tenants import hosts
from tests.cast import ALICE, CAROL, CIRCLE, EVE, IRINA, OLGA
from tests.kyc.test_verification import WORDS, photo

MIB = 1024 * 1024
MOST_MEMORY, MOST_WORK_S = 100 * MIB, 2.0
PICTURE, TABLE = "picture", "table"
UPLOADS = {  # who sends it where, beside which fields, what is taken; `name` as the form and the view call it
    "portal.profiles.views.set_picture:picture": (ALICE, "/me/about/picture", {}, PICTURE),
    "portal.tenants.views.brand.set_picture:picture logo": (OLGA, "/admin/settings/brand/picture", {"which": "logo"}, PICTURE),
    "portal.tenants.views.brand.set_picture:picture icon": (OLGA, "/admin/settings/brand/picture", {"which": "icon"}, PICTURE),
    "SubmissionForm:front": (EVE, "/me/verification", WORDS, PICTURE),
    "SubmissionForm:back": (EVE, "/me/verification", WORDS, PICTURE),
    "SubmissionForm:selfie": (EVE, "/me/verification", WORDS, PICTURE),
    "SubmissionForm:address": (EVE, "/me/verification", WORDS, PICTURE),
    "ImportForm:file": (CAROL, "/desk/cafe/imports", {"accrue": "as-of"}, TABLE),
    "TableForm:file": (OLGA, "/admin/invitations/file", {}, TABLE),
    "TableForm:file of a shop": (IRINA, "/desk/cafe/invitations/file", {}, TABLE),
}  # fmt: skip


def test_no_upload_is_forgotten(app):
    """Every form with a file, every view that reads one, every field of a template that sends one."""
    for module in pkgutil.walk_packages(portal.__path__, "portal."):
        if module.name.endswith(("forms", "views")) or ".views." in module.name:
            importlib.import_module(module.name)
    found, kinds = set(), [FlaskForm]
    for kind in kinds:
        kinds += kind.__subclasses__()
        fields = {name: getattr(getattr(kind, name), "field_class", None) for name in dir(kind) if name[0] != "_"}
        found |= {f"{kind.__name__}:{name}" for name, made in fields.items() if made and issubclass(made, FileField)}
    for file in Path(portal.__path__[0]).rglob("*.py"):
        words, where = (
            file.read_text(),
            ".".join(file.relative_to(Path(portal.__path__[0]).parent).with_suffix("").parts),
        )
        for sent in re.finditer(r'request\.files(?:\.get\(|\[)(?:"(\w+)")?', words):
            view = re.findall(r"^def (\w+)", words[: sent.start()], re.M)[-1]
            found |= {f"{where}.{view}:{sent[1]}"} if sent[1] else set()  # else the form's own names
    known = {name.split(" ")[0] for name in UPLOADS}
    assert found - known == set(), "a new upload belongs into UPLOADS"
    assert known - found == set()
    sending = {p.name for p in Path("templates").rglob("*.html") if 'type="file"' in p.read_text()}
    assert sending <= {"about.html", "brand.html"}, "a template's own file field belongs into UPLOADS"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *more, bits=1, colour=0, rows=None):
    """A PNG of zeros, as small as it packs; whole, or with its first rows only."""
    row = b"\0" * (1 + -(-width * bits * (3 if colour == 2 else 1) // 8))
    packer = zlib.compressobj(6)
    packed = b"".join(packer.compress(row) for _ in range(rows or height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def saved(kind, size=(60, 40), **more):
    made = io.BytesIO()
    Image.new("RGB", size, "#336699").save(made, kind, **more)
    return made.getvalue()


def zipped(**members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, data in members.items():
            pack.writestr(name.replace("__", "/"), data)
    return made.getvalue()


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><l>&j;</l>"
)


@cache
def bombs():
    """Made once: no picture, no table, or one that is far larger than it looks."""
    nothing = b"\0" * (64 * MIB)
    wide = bytearray(saved("JPEG"))
    at = wide.index(b"\xff\xc0")
    wide[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    gif = bytearray(saved("GIF"))
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    both = {
        "nothing": b"",
        "SVG with a script": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "XML that laughs a billion times": LAUGHS,
        "a page": b"<!doctype html><script>alert(1)</script>",
        "a program": b"MZ\x90\x00" + b"\0" * 200,
        "ELF": b"\x7fELF" + b"\0" * 200,
        "a zip of 64 MiB": zipped(a=nothing),
        "a zip in a zip": zipped(**{"a.zip": zipped(a=nothing)}),
        "a workbook of 64 MiB": zipped(xl__worksheets__sheet1=nothing),
        "a zip that climbs": zipped(**{"../../../etc/passwd": b"x"}),
    }
    return both, {
        PICTURE: {
            "50,000 × 50,000": png(50_000, 50_000, rows=2_000),
            "the same as a head alone": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 6, 0, 0, 0)),
            "a text of 64 MiB in a picture": png(9, 9, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(nothing))),
            "a profile of 64 MiB in a picture": png(9, 9, chunk(b"iCCP", b"p\0\0" + zlib.compress(nothing))),
            "JPEG of 65,500 × 65,500": bytes(wide),
            "GIF of 65,535 × 65,535": bytes(gif),
            "GIF that is JavaScript": b"GIF89a=1;/*" + b"\0" * 90 + b"*/alert(1)",
            "cut off": png(500, 500, bits=8)[:-60],
            "gzip of 64 MiB": gzip.compress(nothing, 6),
            "TIFF": saved("TIFF"), "BMP": saved("BMP"), "ICO": saved("ICO"), "PostScript": saved("EPS"), "PCX": saved("PCX"),
            "text": b"name,contact\nNew,new@a.example\n",
        },
        TABLE: {
            "a picture": saved("PNG"),
            "a document": b"%PDF-1.7\n" + b"x" * 200,
            "gzip of 64 MiB": gzip.compress(nothing, 6),
            "gzip of 32 MiB of lines": gzip.compress(b"\n" * (32 * MIB), 6),
            "many gzips of 9 MiB": gzip.compress(nothing[: 9 * MIB], 6) * 7,
            "xz of 64 MiB": lzma.compress(nothing, preset=0),
            "xz with a dictionary of 1.5 GiB": lzma.compress(b"x" * 500, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": MIB}]).replace(b"\x21\x01\x10", b"\x21\x01\x25", 1),
            "gzip cut off": gzip.compress(b"a,b\n" * 1_000)[:-9],
            "gzip and then a page": gzip.compress(b"a,b\n") + b"<script>alert(1)</script>",
        },
    }  # fmt: skip


def kept(seen_by):
    with seen_by(CIRCLE):
        return db.session.scalar(select(func.count()).select_from(StoredFile).where(StoredFile.state == "ready"))


class Spent:
    """Memory at its highest above where it began, in bytes, and this thread's work, in seconds."""

    def __enter__(self):
        Path("/proc/self/clear_refs").write_text("5")
        self.before, self.began = self.memory("VmRSS"), time.thread_time()
        return self

    def __exit__(self, *_):
        self.work, self.most = time.thread_time() - self.began, self.memory("VmHWM") - self.before

    @staticmethod
    def memory(name):
        return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


@pytest.fixture
def send(acting, sign_in, monkeypatch):
    """Send bytes by one of the fields; the others of its form are as they should be."""
    monkeypatch.setattr("portal.extensions.limiter.enabled", False)
    with acting(CIRCLE, OLGA):
        verification.set_rules({"enabled": True})
    hosts.forget()

    def send(upload, data, name="x.png", **more):
        who, page, others, _ = UPLOADS[upload]
        field = upload.partition(":")[2].split(" ")[0]
        fields = {**others, field: (io.BytesIO(data), name)}
        if upload.startswith("SubmissionForm") and field != "front":
            fields["front"] = (io.BytesIO(photo()), "p.jpg")
        return sign_in(who).post(page, data=fields, content_type="multipart/form-data", **more)

    yield send
    hosts.forget()


@pytest.mark.parametrize("upload", sorted(UPLOADS))
def test_what_cannot_be_taken_is_refused_in_words_and_leaves_nothing(upload, send, bring, seen_by):
    kind = UPLOADS[upload][3]
    both, own = bombs()
    slow = []
    for name, data in {**both, **own[kind]}.items():
        with Spent() as spent:
            answer = send(upload, data, name="../../x.png\x00.csv" if kind == TABLE else "../../x.png")
            packed = upload.startswith("ImportForm") and answer.status_code == 303  # unpacked by the import itself
        if packed:
            with Spent() as spent:
                job = bring(data)
            assert job.state == "failed" and not job.result.get("recorded"), (name, job.state, job.result)
            assert len(job.message) > 15, name
        elif upload.startswith("SubmissionForm") and not data and not upload.endswith("front"):
            continue  # an empty field is one that was not filled in
        else:
            assert answer.status_code in {413, 422}, (name, answer.status_code, answer.location)
            assert re.search(r'class="error"|role="alert"|id="[\w-]+-error"', answer.text), name
            assert kept(seen_by) == 0, name
        if spent.most > MOST_MEMORY or spent.work > MOST_WORK_S:
            slow.append(f"{name}: {spent.most / MIB:.0f} MiB, {spent.work:.1f} s")
    assert slow == []


@pytest.mark.parametrize("upload", [name for name, one in UPLOADS.items() if one[3] == PICTURE])
def test_of_two_files_in_one_only_the_picture_is_kept(upload, send, seen_by, acting):
    """A picture with a program, a page or an archive behind it or in it: it is drawn anew."""
    words = b"<script>alert('canary')</script>"
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", words.decode())
    exif = Image.Exif()
    exif[0x010E] = words.decode()
    for data in (
        saved("PNG", pnginfo=info),
        saved("JPEG", exif=exif, comment=words),
        saved("PNG") + zipped(**{"canary.html": words}) + words,
        saved("GIF").replace(b"\x3b", b"\x21\xfe" + bytes([len(words)]) + words + b"\x00\x3b"),
    ):
        assert words in data
        answer = send(upload, data, name="x.php.png")
        assert answer.status_code in {303, 409}, answer.text  # a second verification waits for the first
    with acting(CIRCLE, OLGA):
        from portal.files.service import open_file

        ids = db.session.scalars(select(StoredFile.id)).all()
        for file_id in ids:
            with open_file(file_id) as stream:
                body = stream.read()
            assert b"canary" not in body and b"PK\x03\x04" not in body
    assert ids


def test_the_largest_picture_costs_one_copy_and_one_at_a_time(app):
    """Just under the limit in pixels, from several people at once: 160 MB is a picture in full colour."""
    data = png(6_300, 6_300, bits=8, colour=2)

    def draw():
        with app.app_context():
            pictures.square(data, pictures.CENTRE, 512)

    with Spent() as spent:
        people = [threading.Thread(target=draw) for _ in range(2)]
        for one in people:
            one.start()
        for one in people:
            one.join()
    assert spent.most < 300 * MIB, f"{spent.most / MIB:.0f} MiB"


@pytest.mark.parametrize("way", ["gzip", "deflate", "br", "zstd"])
def test_a_packed_body_is_not_unpacked(visitor, sign_in, way):
    """Content-Encoding on a request unpacks nothing: it is no form and no JSON, and says so."""
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}.get(way, gzip.compress)(b"\0" * (20 * MIB))
    headers = {"Content-Encoding": way}
    with Spent() as spent:
        door = visitor(csrf=True)
        answer = door.post("/login", data=packed, headers=headers, content_type="application/x-www-form-urlencoded")
        assert answer.status_code in {400, 415, 422}
        answer = visitor().post("/api/v1/purchases", data=packed, headers=headers, content_type="application/json")
        assert answer.status_code in {400, 401, 415, 422}
    assert spent.most < 20 * MIB


class Endless(io.RawIOBase):
    """A body that never ends, sent in pieces without saying how long it is; counts what was taken of it."""

    def __init__(self, field):
        self.head = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="a.csv"\r\n\r\n'.encode()
        self.taken = 0

    def readable(self):
        return True

    def readinto(self, room):
        data = (self.head + b"a,b,c\n" * (len(room) // 6 + 1))[: len(room)]
        self.head = b""
        room[: len(data)] = data
        self.taken += len(data)
        return len(data)


@pytest.mark.parametrize("upload", ["ImportForm:file", "portal.profiles.views.set_picture:picture"])
def test_a_file_without_an_end_is_cut_off(upload, sign_in, seen_by, monkeypatch, app):
    """10 GB in pieces: no more is read than a request may hold."""
    monkeypatch.setitem(app.config, "MAX_CONTENT_LENGTH", 8 * MIB)  # 64 as it runs
    who, page, _, _ = UPLOADS[upload]
    client, body = sign_in(who), Endless(upload.partition(":")[2])
    with Spent() as spent:
        answer = client.post(
            page,
            csrf=False,
            headers={"Transfer-Encoding": "chunked", "X-CSRFToken": client._signed()},
            content_type="multipart/form-data; boundary=x",
            environ_overrides={"wsgi.input": body, "wsgi.input_terminated": True},
        )
    assert answer.status_code == 413
    assert MIB < body.taken <= 9 * MIB
    assert spent.most < MOST_MEMORY
    assert kept(seen_by) == 0
