"""KYC-1 over time: what the periodic tasks take away, what ends with its day, what comes after a refusal."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.files import service as files
from portal.files import storage
from portal.files.models import StoredFile
from portal.kernel import clock
from portal.kernel.audit import AuditEntry
from portal.kyc import levels, service
from portal.kyc.models import KycSubmission
from portal.messages.models import Notification
from portal.purchases.service import record_purchase
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE, OLGA, SAM
from tests.kyc.sending import sent
from tests.purchases.shop import buy, seeded
from workers.periodic import LOCAL_WORK, purge_verifications

GATE = {"gates": {"bonus.spend": {"level": "basic", "free": 0}}}
SEALED = (KycSubmission.legal_name, KycSubmission.born_on, KycSubmission.document_number)


def spend(key, bonus=500):
    """Alice pays in part with bonus, which the community lets verified members do."""
    return record_purchase(
        business_id=CAFE.id,
        member_id=ALICE.id,
        amount=10_000,
        external_id=key,
        bonus_to_spend=bonus,
        source="till",
        confirmed_by="card_scan",
    )


def row(submission):
    db.session.expire_all()
    return db.session.scalars(select(KycSubmission).where(KycSubmission.id == submission)).one()


def stored():
    """The paths of the sealed files that lie in the store."""
    paths = db.session.scalars(select(StoredFile.path).where(StoredFile.purpose == "kyc"))
    return [path for path in paths if storage.storage().exists(path)]


def test_the_hourly_task_takes_documents_away_when_their_days_are_over(opened, acting, app, sign_in):
    """Seen red: with the days left out of the question for what is due, and with the files left where they are."""
    opened(purge_days=30)
    with acting(CIRCLE, ALICE):
        submission = sent()
    with acting(CIRCLE, SAM):
        service.reject(submission, SAM.id, reasons=["unreadable"])
        assert row(submission).purge_at - clock.now() > timedelta(days=29)
    with app.app_context():
        purge_verifications.run()
    with acting(CIRCLE, SAM):
        assert row(submission).purged_at is None
        assert service.opened(submission)["document_number"] == "4509123456"
        seeded("UPDATE kyc_submissions SET purge_at = clock_timestamp() - interval '1 minute' WHERE tenant_id = :t")
    for _ in range(2):
        with app.app_context():
            purge_verifications.run()
    with acting(CIRCLE, SAM):
        found = row(submission)
        assert [getattr(found, column.key) for column in SEALED] == [None, None, None]
        assert (found.state, found.reasons) == ("rejected", ["unreadable"]), "the decision stays"
        files.purge()
        assert stored() == []
        purged = select(AuditEntry.actor_kind, AuditEntry.object_id).where(AuditEntry.action == "kyc.purge")
        assert db.session.execute(purged).all() == [("system", ALICE.id)], "once, and written down"
    page = sign_in(SAM).get(f"/admin/kyc/{submission}")
    assert page.status_code == 200
    assert "are deleted; the decision stays" in page.text


@pytest.mark.parametrize("state", ["pending", "review"])
def test_what_is_still_looked_at_is_not_taken_away(opened, acting, app, state):
    """Whatever the clock says. The task once asked for them without end, and never took them."""
    opened(purge_days=0)
    with acting(CIRCLE, ALICE):
        submission = sent()
    with acting(CIRCLE, SAM):
        if state == "review":
            service.approve(submission, SAM.id)
            service.reopen(submission, SAM.id, note="The picture looks changed.")
            assert row(submission).purge_at is None
        seeded("UPDATE kyc_submissions SET purge_at = clock_timestamp() - interval '1 day' WHERE tenant_id = :t")
    with app.app_context():
        purge_verifications.run()
    with acting(CIRCLE, SAM):
        assert row(submission).purged_at is None
        assert "document_number" in service.opened(submission)
        assert len(stored()) == 1


def test_what_a_level_unlocked_is_locked_again_after_its_last_day_and_the_member_hears_of_it(opened, acting, deliver):
    """Seen red with the day taken out of `level_of`, and with an expiry that tells nobody."""
    opened(**GATE)
    with acting(CIRCLE, BOB):
        buy(1_000_000)
    with acting(CIRCLE, ALICE):
        submission = sent()
    with acting(CIRCLE, SAM):
        service.approve(submission, SAM.id, valid_until=clock.now().date() + timedelta(days=1))
        spend("while it is good")
        seeded("UPDATE kyc_submissions SET valid_until = current_date - 2 WHERE tenant_id = :t")
        with pytest.raises(levels.LevelMissing):
            spend("the day after, before the task has run")
        LOCAL_WORK["kyc.expire"]()
        LOCAL_WORK["kyc.expire"]()
        with pytest.raises(levels.LevelMissing):
            spend("after the task")
        assert spend("without bonus", 0).purchase_id
    deliver()
    with acting(CIRCLE, ALICE):
        kept = select(Notification.data).where(Notification.member_id == ALICE.id, Notification.kind == "kyc.decided")
        assert sorted(data["state"] for data in db.session.scalars(kept)) == ["expired", "verified"]
        again = sent()
    with acting(CIRCLE, SAM):
        service.approve(again, SAM.id)
        assert spend("verified anew").purchase_id
        assert (row(submission).state, row(again).version) == ("expired", 2)


def test_after_a_refusal_the_next_try_is_judged_by_itself(opened, acting, sign_in):
    """Versions: the old try keeps its reasons and its documents' day, and nobody decides it again."""
    opened(**GATE)
    with acting(CIRCLE, ALICE):
        first = sent()
    with acting(CIRCLE, SAM):
        service.reject(first, SAM.id, reasons=["expired"], note="It ran out in May.")
        due = row(first).purge_at
        with pytest.raises(levels.LevelMissing):
            spend("refused")
    with acting(CIRCLE, ALICE):
        second = sent(document_number="72 11 654321")
        with pytest.raises(service.AlreadyOpen):
            sent()
    with acting(CIRCLE, SAM):
        with pytest.raises(service.AlreadyDecided):
            service.approve(first, SAM.id)
        service.approve(second, SAM.id)
        assert (row(first).state, row(first).purge_at) == ("rejected", due)
        assert (row(second).state, row(second).version) == ("verified", 2)
        assert service.opened(first)["document_number"] == "4509123456"
        assert levels.level_of(ALICE.id) == "basic"
    page = sign_in(ALICE).get("/me/verification").text
    assert "It ran out in May." in page
    assert "Verified: Basic" in page


def test_a_level_goes_with_the_account_into_the_one_it_was_merged_into(opened, acting):
    """D28: one person, verified once. Seen red with the survivor's own submissions alone."""
    from portal.merging import service as merging

    opened(**GATE)
    with acting(CIRCLE, EVE):
        submission = sent(EVE)
    with acting(CIRCLE, SAM):
        service.approve(submission, SAM.id)
    with acting(CIRCLE, OLGA):
        made = merging.merge(EVE.id, ALICE.id, reason="one person", key="k")
        assert levels.level_of(ALICE.id) == "basic"
        merging.undo(made, reason="two people")
        assert levels.level_of(ALICE.id) == "none"
