"""About me: names, birthday, picture and the public page with exactly what its owner shows."""

from io import BytesIO
from threading import Barrier, Thread

import pytest
from PIL import Image
from sqlalchemy import select

from portal.extensions import db
from portal.files.models import StoredFile
from portal.files.pictures import Square
from portal.identity.models import User
from portal.profiles import service
from tests.cast import ALICE, BOB, CIRCLE, EVE, GLOBEX

WORDS = {
    "first_name": "Alice",
    "last_name": "Morozova",
    "display_name": "Lis",
    "about": "I bake.",
    "born_on": "1990-02-28",
}


def picture(width=800, height=600, kind="JPEG", **options):
    made = Image.new("RGB", (width, height), "white")
    made.paste("red", (0, 0, width // 4, height))
    out = BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


def upload(client, data, name="me.jpg", **part):
    return client.post("/me/about/picture", data={"picture": (BytesIO(data), name), **part})


def test_a_member_writes_about_themselves(sign_in):
    alice = sign_in(ALICE)
    assert alice.submit("/me/about", form="about-form", **WORDS).status_code == 303
    page = alice.get("/me/about").text
    for word in ("Alice", "Morozova", "Lis", "I bake.", "February 28, 1990"):
        assert word in page


def test_the_public_page_shows_what_was_chosen_and_nothing_else(sign_in, visitor):
    alice = sign_in(ALICE)
    assert visitor().get("/people/lis").status_code == 404
    fields = {**WORDS, "handle": "@Lis", "public": "y", "shows": ["about"]}
    assert alice.submit("/me/about", form="about-form", **fields).status_code == 303
    page = visitor().get("/people/lis").text
    assert "I bake." in page
    for hidden in (ALICE.name, ALICE.email, ALICE.phone, ALICE.card, "Morozova", "1990", "Bronze"):
        assert hidden not in page
    alice.submit("/me/about", form="about-form", **{**fields, "shows": ["tier"]})
    page = visitor().get("/people/lis").text
    assert "Bronze" in page
    assert "I bake." not in page
    assert visitor(GLOBEX).get("/people/lis").status_code == 404
    form = alice.get("/me/about").text
    assert "/people/lis" in form
    alice.submit("/me/about", form="about-form", **{**WORDS, "handle": "lis"}, public="")
    # an unticked box is not sent by a browser
    alice.post("/me/about", data={**WORDS, "handle": "lis"})
    assert visitor().get("/people/lis").status_code == 404


@pytest.mark.parametrize("handle", ["ab", "admin", "a b", "лиса", "-lis", "a" * 31, "<script>", "../x"])
def test_an_address_that_is_none_is_refused_and_kept_as_typed(sign_in, handle):
    answer = sign_in(ALICE).post("/me/about", data={**WORDS, "handle": handle, "public": "y"})
    assert answer.status_code == 422
    assert "I bake." in answer.text


def test_a_public_page_needs_an_address_and_a_birthday_lies_in_the_past(sign_in):
    alice = sign_in(ALICE)
    assert "Choose an address" in alice.post("/me/about", data={**WORDS, "public": "y"}).text
    for day in ("2190-01-01", "1700-01-01"):
        assert alice.post("/me/about", data={**WORDS, "born_on": day}).status_code == 422


def test_a_picture_is_cut_where_the_member_chose_and_drawn_anew(sign_in, seen_by):
    alice = sign_in(ALICE)
    exif = Image.Exif()
    exif[0x010E] = "GPS-CANARY"
    assert upload(alice, picture(exif=exif), x="0", y="0", side="0.2").status_code == 303
    kept = alice.get(f"/avatars/{ALICE.id}")
    image = Image.open(BytesIO(kept.data))
    assert (image.format, image.size) == ("WEBP", (512, 512))
    assert not image.getexif()
    assert b"GPS-CANARY" not in kept.data
    red, green, _ = image.convert("RGB").getpixel((256, 256))
    assert red > 200 > green, "the left edge of the picture was chosen"
    assert kept.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in kept.headers["Content-Security-Policy"]
    with seen_by(CIRCLE):
        assert db.session.scalars(select(StoredFile.name)).all() == ["portrait.webp"]


def test_who_sees_a_picture(sign_in):
    upload(sign_in(ALICE), picture())
    assert sign_in(BOB).get(f"/avatars/{ALICE.id}").status_code == 200, "the cashier knows the face"
    assert sign_in(EVE).get(f"/avatars/{ALICE.id}").status_code == 404
    assert sign_in(BOB).get(f"/avatars/{EVE.id}").status_code == 404


def test_a_new_picture_replaces_the_old_one_and_it_can_go(sign_in, acting):
    alice = sign_in(ALICE)
    upload(alice, picture())
    upload(alice, picture(300, 300))
    with acting(CIRCLE, ALICE):
        ends = db.session.execute(select(StoredFile.expires_at).where(StoredFile.purpose == "avatar")).scalars().all()
        assert [end is None for end in sorted(ends, key=str)].count(True) == 1, "the old one goes with the next purge"
    assert alice.post("/me/about/picture", data={"remove": "1"}).status_code == 303
    assert alice.get(f"/avatars/{ALICE.id}").status_code == 404


def bomb():
    out = BytesIO()
    Image.new("1", (9000, 9000)).save(out, "PNG", optimize=True)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"GIF89a<script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 64,
        picture()[:200],
        bomb(),
        b"PK\x03\x04" + b"\0" * 64,
        b"MZ\x90\x00",
    ],
    ids=["empty", "svg", "polyglot", "broken png", "cut off", "bomb", "zip", "exe"],
)
def test_b9_what_is_no_picture_is_refused(sign_in, seen_by, data):
    answer = upload(sign_in(ALICE), data, name="../../x.png")
    assert answer.status_code == 422
    with seen_by(CIRCLE):
        assert db.session.scalars(select(StoredFile)).all() == []


def test_b9_one_byte_over_the_limit_is_too_large(sign_in, monkeypatch):
    from portal.files import pictures

    alice, data = sign_in(ALICE), picture()
    monkeypatch.setattr(pictures, "MOST_BYTES", len(data))
    assert upload(alice, data).status_code == 303
    assert upload(alice, data + b"\0").status_code == 413


@pytest.mark.parametrize("share", ["NaN", "-1", "2", "1e309", "x"])
def test_a_part_that_is_none_changes_nothing(sign_in, share):
    alice = sign_in(ALICE)
    assert upload(alice, picture(), x=share).status_code == 422
    assert alice.get(f"/avatars/{ALICE.id}").status_code == 404


@pytest.mark.parametrize("part", [Square(0, 0, 1), Square(1, 1, 0.05), Square(0.5, 0.5, 0.3)])
@pytest.mark.parametrize("size", [(1, 1), (10, 4000), (4000, 10), (800, 600)])
def test_the_chosen_square_lies_inside_the_picture(part, size):
    left, top, right, bottom = part.box(*size)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert right - left == bottom - top


@pytest.mark.commits
def test_two_who_want_the_same_address_at_once_one_gets_it(acting):
    gate, told = Barrier(2), []

    def want(who):
        with acting(CIRCLE, who):
            gate.wait()
            try:
                service.edit_profile(
                    who.id,
                    first_name="",
                    last_name="",
                    display_name="",
                    about="",
                    born_on=None,
                    handle="fox",
                    public=True,
                    shows=[],
                )
                told.append(who.name)
            except service.HandleRefused:
                told.append("taken")

    threads = [Thread(target=want, args=(who,)) for who in (ALICE, EVE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("taken") == 1
    with acting(CIRCLE, ALICE):
        assert len(db.session.scalars(select(User.id).where(User.username == "fox")).all()) == 1
