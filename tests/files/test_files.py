"""Files come in one way and go out one way (B9): random names, checked content, links that open nothing by themselves."""

import io
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.files import service, storage
from portal.files.kinds import kind_of
from portal.files.models import StoredFile
from portal.kernel import clock
from tests.cast import ALICE, BOB, BORIS, CAFE, CAROL, CIRCLE, EVE, MALLORY, OLGA


def row_of(file_id):
    db.session.expire_all()
    return db.session.scalars(select(StoredFile).where(StoredFile.id == file_id)).one()


def test_a_file_is_kept_under_a_name_nobody_chose(acting):
    with acting(CIRCLE, CAROL):
        file_id = service.store(io.BytesIO(b"a,b\n1,2\n"), "../../etc/passwd", "import", business_id=CAFE.id)
        row = row_of(file_id)
        assert (row.state, row.size, row.mime, row.name, row.owner_id) == ("ready", 8, "text/plain", "passwd", CAROL.id)
        assert row.sha256 == __import__("hashlib").sha256(b"a,b\n1,2\n").hexdigest()
        assert row.path.startswith(f"{CIRCLE.id}/") and "passwd" not in row.path
        assert service.open_file(file_id).read() == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a/b\\c.csv", "c.csv"),
        ('x"y\r\n.csv', "xy.csv"),
        ("..", "file"),
        ("", "file"),
        ("Отчёт.csv", "Отчёт.csv"),
        ("a" * 300 + ".csv", "a" * 146 + ".csv"),
    ],
)
def test_names_that_could_trip_something(name, plain):
    assert service.plain_name(name) == plain


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"a,b\n", "text/plain"), ("имя;сумма\n".encode("cp1251"), "text/plain"), (b"\xef\xbb\xbfa", "text/plain"),
        (b"\x89PNG\r\n\x1a\n", "image/png"), (b"%PDF-1.7", "application/pdf"), (b"<!DOCTYPE html><p>", "text/html"),
        (b"  <svg onload=x>", "text/xml"), (b"MZ\x90\x00\x03", "application/octet-stream"), (b"\x1f\x8b\x08", "application/gzip"),
        (b"a,b\x00c\n" * 60, "application/octet-stream"), (b"a,b,c,d,e,f\n" * 60 + b"\x00", "text/plain"),
    ],
)  # fmt: skip
def test_a_file_is_what_its_bytes_say(head, mime):
    assert kind_of(head) == mime


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", service.FileRefused), (b"x" * 101, service.FileTooLarge), (b"%PDF-", service.FileRefused)],
)
def test_what_is_refused_leaves_nothing(acting, monkeypatch, content, error):
    monkeypatch.setitem(service.LARGEST, "import", 100)
    with acting(CIRCLE, CAROL):
        with pytest.raises(error):
            service.store(io.BytesIO(content), "x.csv", "import")
        row = db.session.scalars(select(StoredFile)).one()
        assert row.state == "deleted"
        assert not storage.storage().exists(row.path)


def test_exactly_the_largest_is_taken(acting, monkeypatch):
    monkeypatch.setitem(service.LARGEST, "import", 100)
    with acting(CIRCLE, CAROL):
        assert row_of(service.store(io.BytesIO(b"x" * 100), "x.csv", "import")).size == 100


def test_what_died_on_the_way_in_is_taken_away(acting, monkeypatch):
    with acting(CIRCLE, CAROL):
        monkeypatch.setattr(service, "_ready", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            service.store(io.BytesIO(b"a,b"), "x.csv", "import")
        db.session.rollback()
        row = db.session.scalars(select(StoredFile)).one()
        path = row.path
        assert row.state == "uploading" and storage.storage().exists(path)
        with pytest.raises(service.NotFound):
            service.open_file(row.id)
        assert service.purge() == 0
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + timedelta(hours=3))
        assert service.purge() == 1
        assert not storage.storage().exists(path)


def link(acting, person=CAROL, purpose="import", **more):
    with acting(CIRCLE, person):
        from flask import current_app

        file_id = service.store(io.BytesIO(b"a,b\n"), "list.csv", purpose, business_id=CAFE.id, **more)
        with current_app.test_request_context(base_url=f"http://{CIRCLE.host}:8000"):
            from flask import g

            g.tenant_id = CIRCLE.id
            return service.signed_url(file_id)


def test_a_download_is_saved_and_never_shown(acting, sign_in):
    answer = sign_in(CAROL).get(link(acting))
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == "attachment; filename=list.csv"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_link_opens_nothing_for_others(acting, sign_in, visitor):
    url = link(acting)
    seen = {p.name: sign_in(p).get(url).status_code for p in (CAROL, OLGA, BOB, BORIS, ALICE, EVE)}
    assert seen == {CAROL.name: 200, OLGA.name: 200, BOB.name: 404, BORIS.name: 404, ALICE.name: 404, EVE.name: 404}
    assert visitor().get(url).status_code == 303
    assert sign_in(MALLORY).get(url).status_code == 404


def test_a_private_file_is_its_owners_alone(acting, sign_in):
    url = link(acting, ALICE, "data_export")
    assert [sign_in(p).get(url).status_code for p in (ALICE, CAROL, OLGA)] == [200, 404, 404]


def test_forged_and_old_links(acting, sign_in, monkeypatch):
    url, carol = link(acting), sign_in(CAROL)
    assert carol.get(url[:-3] + "abc").status_code == 404
    assert carol.get("/files/nonsense").status_code == 404
    monkeypatch.setattr(service, "LINK_LIVES", timedelta(seconds=-1))
    assert carol.get(url).status_code == 410
