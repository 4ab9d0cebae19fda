"""KYC-1: a member sends documents, people decide, time ends it; what was sent is sealed and goes away."""

from datetime import timedelta
from io import BytesIO
from threading import Barrier, Thread

import pytest
from PIL import Image
from sqlalchemy import select, text

from portal.extensions import db
from portal.files import service as files
from portal.files import storage
from portal.files.models import StoredFile
from portal.kernel import clock
from portal.kernel.audit import AuditEntry
from portal.kyc import levels, service
from portal.kyc.models import KycDocument, KycSubmission
from portal.messages.models import Notification
from portal.purchases.service import record_purchase
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE, GLOBEX, MALLORY, OLGA, SAM
from tests.kyc.sending import NUMBER, photo, sent
from tests.purchases.shop import buy, seeded

WORDS = {
    "level": "basic",
    "legal_name": "Alice Ivanovna Morozova",
    "born_on": "1990-02-28",
    "country": "RU",
    "document_kind": "passport",
    "document_number": NUMBER,
    "agreed": "y",
}


def send(client, **changed):
    return client.post("/me/verification", data={**WORDS, "front": (BytesIO(photo()), "p.jpg"), **changed})


def states(member=ALICE):
    db.session.expire_all()
    order = select(KycSubmission.state).where(KycSubmission.member_id == member.id).order_by(KycSubmission.version)
    return list(db.session.scalars(order))


def test_a_member_sends_a_document_and_support_verifies_them(opened, sign_in, seen_by, deliver):
    opened()
    member = sign_in(ALICE)
    assert "You are not verified" in member.get("/me/verification").text
    assert send(member).status_code == 303
    assert "Being looked at" in member.get("/me/verification").text

    support = sign_in(SAM)
    queue = support.get("/admin/kyc").text
    assert ALICE.name in queue
    with seen_by(CIRCLE):
        row = db.session.scalars(select(KycSubmission)).one()
        document = db.session.scalars(select(KycDocument)).one()
    page = support.get(f"/admin/kyc/{row.id}").text
    assert "4509123456" in page
    picture = support.get(f"/admin/kyc/{row.id}/documents/{document.id}")
    assert Image.open(BytesIO(picture.data)).size == (900, 600)
    assert b"GPS-CANARY" not in picture.data, "the place where it was taken is gone (B9)"
    answer = support.submit(f"/admin/kyc/{row.id}", form="decision", act="approve")
    assert answer.status_code == 303
    deliver()
    with seen_by(CIRCLE):
        assert levels.level_of(ALICE.id) == "basic"
        told = db.session.scalars(select(Notification.kind).where(Notification.member_id == ALICE.id)).all()
        reads = db.session.scalars(select(AuditEntry.action).where(AuditEntry.actor_id == SAM.id)).all()
    assert "kyc.decided" in told
    assert {"kyc.read", "kyc.read_document", "kyc.approve"} <= set(reads), "each look is audited (AUD-2)"
    assert "Verified: Basic" in member.get("/me/verification").text


def test_nothing_readable_lies_in_the_database_or_the_store(opened, sign_in, seen_by):
    opened()
    send(sign_in(ALICE))
    with seen_by(CIRCLE):
        row = db.session.execute(text("SELECT * FROM kyc_submissions")).one()
        path = db.session.scalar(select(StoredFile.path).where(StoredFile.purpose == "kyc"))
        audit = db.session.execute(text("SELECT string_agg(changes::text, '') FROM audit_entries")).scalar_one()
    stored = repr(row) + storage.storage().cat(path).decode("latin-1") + audit
    for secret in ("4509123456", "Ivanovna", "1990-02-28", "JFIF"):
        assert secret not in stored


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"front": (BytesIO(b""), "")}, "A picture is missing."),
        ({"front": (BytesIO(b"<svg onload=alert(1)>"), "x.jpg")}, "Send a picture"),
        ({"front": (BytesIO(b"\x89PNG\r\n\x1a\n" + b"0" * 100), "x.png")}, "cannot be read"),
        ({"born_on": "2020-01-01"}, "Check the date of birth."),
        ({"document_number": "!!"}, "as it stands in the document"),
        ({"level": "full"}, "A picture is missing."),
        ({"agreed": ""}, "Not saved yet"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_keeps_what_was_typed(opened, sign_in, seen_by, changed, told):
    opened()
    answer = send(sign_in(ALICE), **changed)
    assert answer.status_code == 422
    assert told in answer.text
    if "document_number" not in changed:
        assert NUMBER in answer.text
    with seen_by(CIRCLE):
        assert states() == []


def test_one_is_looked_at_at_a_time_and_a_refusal_says_why(opened, sign_in, acting):
    opened()
    member = sign_in(ALICE)
    send(member)
    assert send(member).status_code == 409
    with acting(CIRCLE, SAM):
        first = db.session.scalars(select(KycSubmission.id)).one()
        with pytest.raises(service.KycRefused):
            service.reject(first, SAM.id, reasons=[])
        service.reject(first, SAM.id, reasons=["unreadable"], note="Hold it still.", again=True)
    page = member.get("/me/verification").text
    assert "The picture cannot be read" in page
    assert "Hold it still." in page
    assert send(member).status_code == 303
    with acting(CIRCLE, SAM):
        assert states() == ["resubmit", "pending"]


def test_where_four_eyes_are_wanted_one_person_is_not_enough(opened, acting):
    opened(four_eyes=True)
    with acting(CIRCLE, ALICE):
        submission = sent()
    with acting(CIRCLE, SAM):
        assert service.approve(submission, SAM.id) == "pending"
        with pytest.raises(service.KycRefused):
            service.approve(submission, SAM.id)
        assert levels.level_of(ALICE.id) == "none"
    with acting(CIRCLE, OLGA):
        assert service.approve(submission, OLGA.id) == "verified"
        assert levels.level_of(ALICE.id) == "basic"


def test_nobody_verifies_themselves(opened, acting, sign_in):
    opened()
    with acting(CIRCLE, SAM):
        submission = sent(SAM)
    assert "act" not in sign_in(SAM).get(f"/admin/kyc/{submission}").text.split("<main")[1].replace("action", "")
    with acting(CIRCLE, SAM), pytest.raises(service.OwnAccount):
        service.approve(submission, SAM.id)


def test_a_level_ends_with_its_last_day_and_the_documents_go(opened, acting):
    opened(purge_days=0)
    with acting(CIRCLE, ALICE):
        submission = sent()
    with acting(CIRCLE, SAM):
        service.approve(submission, SAM.id, valid_until=clock.now().date() + timedelta(days=1))
        assert service.purge_due() == 1
        assert service.opened(submission) == {}
        file_id = db.session.scalars(select(KycDocument.file_id)).one()
        path = db.session.scalar(select(StoredFile.path).where(StoredFile.id == file_id))
        files.purge()
        assert not storage.storage().exists(path)
        assert service.expire_due() == 0
        assert levels.level_of(ALICE.id) == "basic"
        seeded("UPDATE kyc_submissions SET valid_until = current_date - 2 WHERE tenant_id = :t")
        assert levels.level_of(ALICE.id) == "none", "the day ends it even before the task has run"
        assert (service.expire_due(), service.expire_due()) == (1, 0)
        assert states() == ["expired"]


def test_a_gate_refuses_until_the_level_is_reached(opened, acting):
    opened(gates={"bonus.spend": {"level": "basic", "free": 500}})
    with acting(CIRCLE, BOB):
        buy(1_000_000)
        spend = {
            "business_id": CAFE.id,
            "member_id": ALICE.id,
            "amount": 10_000,
            "source": "till",
            "confirmed_by": "card_scan",
        }
        record_purchase(**spend, external_id="free", bonus_to_spend=500)
        with pytest.raises(levels.LevelMissing):
            record_purchase(**spend, external_id="more", bonus_to_spend=501)
    with acting(CIRCLE, ALICE):
        submission = sent()
    with acting(CIRCLE, SAM):
        service.approve(submission, SAM.id)
    with acting(CIRCLE, BOB):
        assert record_purchase(**spend, external_id="more", bonus_to_spend=501).purchase_id


def test_the_same_document_of_two_people_is_shown(opened, acting, sign_in):
    opened()
    with acting(CIRCLE, ALICE):
        sent()
    with acting(CIRCLE, EVE):
        second = sent(EVE, document_number="4509-123456")
    assert f"The same document was sent by: {ALICE.name}" in sign_in(SAM).get(f"/admin/kyc/{second}").text


def test_another_tenant_sees_nothing_of_it(opened, acting, sign_in, seen_by):
    opened()
    with acting(CIRCLE, ALICE):
        submission = sent()
        document = db.session.scalars(select(KycDocument.id)).one()
    stranger = sign_in(MALLORY, at=GLOBEX)
    assert stranger.get(f"/admin/kyc/{submission}").status_code in {403, 404}
    member = sign_in(EVE)
    assert member.get(f"/admin/kyc/{submission}/documents/{document}").status_code == 403


@pytest.mark.commits
def test_r20_two_admins_decide_at_the_same_moment_and_one_of_them_is_told(opened, acting, app):
    """R20: approve and reject in parallel, one decision stands."""
    opened()
    for _ in range(8):
        with acting(CIRCLE, ALICE):
            submission = sent()
        gate, told = Barrier(2), []

        def decide(how, who, submission=submission, gate=gate, told=told):
            with acting(CIRCLE, who):
                gate.wait()
                try:
                    how(submission, who.id)
                    told.append("done")
                except service.AlreadyDecided:
                    told.append("late")

        threads = [
            Thread(target=decide, args=(service.approve, SAM)),
            Thread(target=decide, args=(lambda s, w: service.reject(s, w, reasons=["mismatch"]), OLGA)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(told) == ["done", "late"]
        with acting(CIRCLE, OLGA):
            decided = db.session.get(KycSubmission, (CIRCLE.id, submission))
            assert decided.state in {"verified", "rejected"}
            assert decided.decided_by == (SAM.id if decided.state == "verified" else OLGA.id)
            if decided.state == "verified":
                service.reopen(submission, OLGA.id, note="next round")
                service.reject(submission, OLGA.id, reasons=["mismatch"])
