"""The inbox: news comes in once, is seen, read, put away (NTF-3)."""

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.kernel.audit import AuditEntry
from portal.kernel.outbox import OutboxDelivery
from portal.messages import queries
from portal.messages.models import Notification
from portal.purchases.refunds import refund_purchase
from portal.purchases.service import record_purchase
from tests.cast import ALICE, BOB, CAFE, CAROL, CIRCLE, EVE, GLOBEX, MALLORY, OLGA
from tests.purchases.shop import buy, seeded


def again():
    """Every delivery is due once more, as after a worker that died before its mark."""
    seeded("UPDATE outbox_deliveries SET status = 'pending', available_at = clock_timestamp() WHERE tenant_id = :t")


def lines(person=ALICE):
    rows = (
        select(Notification)
        .where(Notification.member_id == person.id)
        .order_by(Notification.created_at, Notification.id)
    )
    return db.session.scalars(rows).all()


@pytest.fixture
def bought(acting, deliver):
    """Alice bought a coffee and heard of it."""
    with acting(CIRCLE, BOB):
        outcome = buy(124_000)
    deliver()
    return outcome


def test_a_purchase_is_one_line_however_often_it_is_delivered(acting, bought, deliver):
    """Seen red without ON CONFLICT: the line stayed one, but the second delivery failed and would end dead."""
    for _ in range(3):
        with acting(CIRCLE):
            assert [(row.kind, row.data["shop"]) for row in lines()] == [("purchase.recorded", CAFE.name)]
            status = select(OutboxDelivery.status).where(OutboxDelivery.subscriber == "messages.notify_purchase")
            assert db.session.scalars(status).all() == ["delivered"]
            again()
        deliver()


def test_a_refund_an_undo_and_a_tier_are_told_too(acting, deliver, sign_in):
    with acting(CIRCLE, CAROL):
        buy(1_100_000)
        refund_purchase(buy(100_000).purchase_id, amount=40_000, external_id="r-1")
        refund_purchase(buy(50_000).purchase_id, amount=50_000, external_id="u-1", reason="Wrong card", cause="undo")
    deliver()
    with acting(CIRCLE):
        kinds = sorted(row.kind for row in lines())
    assert kinds == ["purchase.recorded"] * 3 + ["purchase.refunded"] * 2 + ["tier.changed"]
    page = sign_in(ALICE).get("/me/notifications").text
    for words in (
        "You reached Silver",
        "You earn 5% of each purchase from now on.",
        "Refund of ₽400.00",
        "Purchase undone",
        "+330.00 bonus",
    ):
        assert words in page


def test_a_new_member_is_welcomed_with_their_card(acting, deliver):
    from portal.identity.service import register_member

    with acting(CIRCLE, BOB):
        member_id = register_member(name="Nina Novaya", phone="+79120009999", joined_via="till")
    deliver()
    with acting(CIRCLE):
        row = db.session.scalars(select(Notification).where(Notification.member_id == member_id)).one()
        assert (row.kind, row.data["first_name"], row.data["tenant"]) == ("member.registered", "Nina", CIRCLE.name)


def test_history_notifies_nobody(acting, deliver):
    from datetime import timedelta

    from portal.kernel import clock

    with acting(CIRCLE, BOB):
        record_purchase(
            business_id=CAFE.id, member_id=ALICE.id, amount=1_100_000, external_id="h-1", source="import",
            occurred_at=clock.now() - timedelta(days=90), historical=True,
        )  # fmt: skip
    deliver()
    with acting(CIRCLE):
        assert lines() == []


def test_a_suspended_member_hears_nothing(acting, deliver):
    with acting(CIRCLE, BOB):
        buy(100_000)
        seeded("UPDATE users SET suspended_at = joined_at WHERE tenant_id = :t AND id = :id", id=ALICE.id)
    deliver()
    with acting(CIRCLE):
        assert lines() == []


def test_a_batch_is_written_in_as_many_statements_as_one(acting, deliver, statements):
    counts = []
    for purchases in (1, 12):
        with acting(CIRCLE, BOB):
            for _ in range(purchases):
                buy(10_000)
        with statements() as seen:
            deliver()
        counts.append(sum("INSERT INTO notifications" in statement for statement in seen))
    assert counts == [1, 1]


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_bell_counts_and_answers_304_until_something_is_new(acting, bought, deliver, sign_in, statements):
    client = sign_in(ALICE)
    first = client.get("/me/notifications/unseen")
    assert (first.text, first.mimetype) == ("1", "text/plain")
    with statements() as seen:
        same = client.get("/me/notifications/unseen", headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.text) == (304, "")
    assert not [s for s in seen if s.lstrip().startswith(("INSERT", "UPDATE", "DELETE"))]
    with acting(CIRCLE, BOB):
        buy(10_000)
    deliver()
    third = client.get("/me/notifications/unseen", headers={"If-None-Match": first.headers["ETag"]})
    assert (third.status_code, third.text) == (200, "2")
    assert 'data-live="/me/notifications/unseen">2<' in client.get("/me").text


def test_unseen_becomes_seen_read_and_put_away(acting, bought, sign_in):
    client = sign_in(ALICE)
    page = client.get("/me/notifications").text
    assert ">new<" in page
    assert "+37.20 bonus" in page
    assert ">new<" not in client.get("/me/notifications").text
    assert client.get("/me/notifications/unseen").text == "0"
    with acting(CIRCLE):
        (row,) = lines()
        assert row.seen_at
        assert not row.read_at
    opened = client.get(f"/me/notifications/{row.id}")
    assert (opened.status_code, opened.location) == (303, "/me/wallet")
    with acting(CIRCLE):
        assert lines()[0].read_at
        assert lines()[0].seen_at == row.seen_at
    assert client.post(f"/me/notifications/{row.id}/archive").status_code == 303
    assert "+37.20 bonus" not in client.get("/me/notifications").text
    assert "+37.20 bonus" in client.get("/me/notifications?f.state=archived").text
    client.post(f"/me/notifications/{row.id}/return")
    assert "+37.20 bonus" in client.get("/me/notifications").text


def test_all_can_be_marked_as_read(acting, deliver, sign_in):
    with acting(CIRCLE, BOB):
        for _ in range(3):
            buy(10_000)
    deliver()
    client = sign_in(ALICE)
    client.submit("/me/notifications")
    with acting(CIRCLE):
        assert all(row.read_at and row.seen_at for row in lines())
        assert (
            db.session.scalar(
                select(func.count()).select_from(AuditEntry).where(AuditEntry.action.startswith("notifications."))
            )
            == 0
        )
    assert "Mark all as read" not in client.get("/me/notifications").text


def test_only_what_stood_on_the_page_counts_as_seen(acting, deliver, sign_in):
    with acting(CIRCLE, BOB):
        for _ in range(35):
            buy(10_000)
    deliver()
    client = sign_in(ALICE)
    client.get("/me/notifications")
    assert client.get("/me/notifications/unseen").text == "5"


def test_another_members_notice_is_404_and_stays_as_it_was(acting, bought, sign_in):
    with acting(CIRCLE):
        (row,) = lines()
    for stranger in (EVE, OLGA, MALLORY):
        client = sign_in(stranger)
        assert client.get(f"/me/notifications/{row.id}").status_code == 404
        assert client.post(f"/me/notifications/{row.id}/archive").status_code == 404
        assert client.post(f"/me/notifications/{row.id}/return").status_code == 404
        client.post("/me/notifications/readings")
        assert "37.20" not in client.get("/me/notifications").text
    with acting(CIRCLE):
        assert [(r.seen_at, r.read_at, r.archived_at) for r in lines()] == [(None, None, None)]
        assert queries.unseen(ALICE.id) == 1


def test_the_inbox_speaks_the_readers_language_not_the_events(acting, deliver, sign_in):
    """The text is made when it is read; Eve's portal is Russian, whatever language the till spoke."""
    with acting(CIRCLE, BOB):
        buy(124_000, member=EVE)
    deliver()
    page = sign_in(EVE).get("/me/notifications").text
    assert '<html lang="ru"' in page
    assert "1\u00a0240,00" in page


def test_a_page_takes_eight_statements_at_most(acting, deliver, sign_in, statements):
    client = sign_in(ALICE)
    counts = []
    for purchases in (1, 20):
        with acting(CIRCLE, BOB):
            for _ in range(purchases):
                buy(10_000)
        deliver()
        client.get("/me/notifications")
        with statements() as seen:
            assert client.get("/me/notifications").status_code == 200
        counts.append(len(seen))
    assert max(counts) <= 8


def test_a_kind_of_another_release_is_shown_plainly(acting, seed, sign_in):
    from portal.kernel import clock

    with acting(CIRCLE):
        now = clock.now()
    seed(CIRCLE, Notification(member_id=ALICE.id, kind="coupon.granted", dedupe_key="x", data={}, created_at=now))
    page = sign_in(ALICE).get("/me/notifications")
    assert page.status_code == 200
    assert "coupon.granted" in page.text


def test_a_notice_leads_to_a_page_of_this_house_only(acting, seed, sign_in):
    """Seen red without safe_path: a job's path went out as the redirect."""
    from portal.kernel import clock

    with acting(CIRCLE):
        now = clock.now()
    for n, path in enumerate(("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1")):
        row = seed(
            CIRCLE,
            Notification(member_id=ALICE.id, kind="job.done", dedupe_key=str(n), data={"path": path}, created_at=now),
        )
        assert sign_in(ALICE).get(f"/me/notifications/{row.id}").location == "/me/notifications"


def test_a_stranger_is_sent_to_the_door(visitor):
    for url in ("/me/notifications", "/me/notifications/preferences", "/me/notifications/unseen"):
        assert visitor().get(url).status_code == 303
    assert visitor(GLOBEX).get("/me/notifications").status_code == 303
