"""The manager's upload: form, progress, rejected lines, inbox; and who may (style.md 22)."""

import io

import pytest
from sqlalchemy import select

from portal.jobs.models import Job
from portal.messages.models import Notification
from portal.purchases.models import Purchase
from tests.cast import ALICE, BOB, BORIS, CAROL, CIRCLE, FRANK, IRINA, MALLORY, OLGA
from tests.imports.conftest import HEAD

PAGE = "/desk/cafe/imports"
FILE = HEAD + f"a,{ALICE.card},2020-01-31,100.00,RUB\nb,{ALICE.card},2020-01-31,-1,RUB\n"


def upload(client, content=FILE, name="march.csv", **more):
    raw = content if isinstance(content, bytes) else content.encode()
    return client.submit(PAGE, form="import-form", accrue="as-of", file=(io.BytesIO(raw), name), **more)


def test_a_manager_uploads_a_file_and_sees_what_became_of_it(sign_in, deliver, seen_by):
    carol = sign_in(CAROL)
    sent = upload(carol)
    assert sent.status_code == 303, sent.get_data(as_text=True)
    address = sent.headers["Location"]
    waiting = carol.get(address).get_data(as_text=True)
    assert "Waiting" in waiting and 'http-equiv="refresh"' in waiting
    deliver()
    done = carol.get(address).get_data(as_text=True)
    assert "Done" in done and "Rejected lines" in done and 'http-equiv="refresh"' not in done
    link = done.split('href="/files/')[1].split('"')[0]
    file = carol.get(f"/files/{link}")
    assert file.status_code == 200
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert "negative" in file.get_data(as_text=True)
    listing = carol.get(PAGE).get_data(as_text=True)
    assert "march.csv" in listing
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(Purchase.external_id)).all() == ["a"]
        notice = session.scalars(select(Notification).where(Notification.kind == "job.done")).one()
        assert (notice.member_id, notice.data["title"]) == (CAROL.id, "Import of purchases: Done")


def test_the_same_form_sent_twice_is_one_import(sign_in, seen_by):
    from tests.checked import Outline

    carol = sign_in(CAROL)
    fields = dict(
        next(f for f in Outline(carol.get(PAGE).get_data(as_text=True)).forms if f["id"] == "import-form")["fields"]
    )
    answers = [
        carol.post(PAGE, data={**fields, "accrue": "as-of", "file": (io.BytesIO(FILE.encode()), "x.csv")}, csrf=False)
        for _ in range(2)
    ]
    assert [a.status_code for a in answers] == [303, 303]
    with seen_by(CIRCLE) as session:
        assert len(session.scalars(select(Job)).all()) == 1


@pytest.mark.parametrize(
    ("content", "name", "status", "told"),
    [
        (b"", "empty.csv", 422, "empty"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 100, "picture.csv", 422, "kind of file"),
        (b"<svg xmlns='x'><script>1</script></svg>", "../../x.csv", 422, "kind of file"),
        (b"PK\x03\x04" + b"0" * 50, "book.csv", 422, "kind of file"),
    ],
)
def test_files_that_are_not_taken(sign_in, seen_by, content, name, status, told):
    answer = upload(sign_in(CAROL), content, name)
    assert answer.status_code == status
    assert told in answer.get_data(as_text=True)
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(Job)).all() == []


def test_no_file_chosen(sign_in):
    answer = sign_in(CAROL).submit(PAGE, form="import-form")
    assert answer.status_code == 422
    assert "Choose a file." in answer.get_data(as_text=True)


def test_only_those_who_may(sign_in, visitor):
    allowed = {
        person.name: sign_in(person).get(PAGE).status_code for person in (CAROL, IRINA, OLGA, BOB, BORIS, ALICE, FRANK)
    }
    assert allowed == {
        CAROL.name: 200, IRINA.name: 200, OLGA.name: 200, BOB.name: 403, BORIS.name: 403, ALICE.name: 403, FRANK.name: 403,
    }  # fmt: skip
    assert visitor().get(PAGE).status_code == 303
    assert upload(sign_in(IRINA)).status_code == 303
    assert sign_in(BOB).post(PAGE, data={}).status_code == 403


def test_another_tenants_import_does_not_exist(sign_in):
    address = upload(sign_in(CAROL)).headers["Location"]
    job = address.rpartition("/")[2]
    assert sign_in(MALLORY).get(f"/jobs/{job}").status_code == 404
    assert sign_in(MALLORY).get(address).status_code == 404
    assert sign_in(BORIS).get(f"/jobs/{job}").status_code == 404
    assert sign_in(OLGA).get(f"/jobs/{job}").status_code == 200


def test_the_sample_file_imports(sign_in, deliver, seen_by):
    carol = sign_in(CAROL)
    sample = carol.get(f"{PAGE}/sample.csv").get_data()
    upload(carol, sample)
    deliver()
    with seen_by(CIRCLE) as session:
        job = session.scalars(select(Job)).one()
        assert (job.result["recorded"], job.result["rejected"]) == (3, 0)
