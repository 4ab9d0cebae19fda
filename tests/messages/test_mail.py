"""Mails: once, to who wants them, in their language, with a way out (NTF-1, NTF-3, RFC 8058)."""

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.kernel.outbox import OutboxDelivery, OutboxMessage
from portal.messages import preferences
from portal.messages.models import NotificationState
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE
from tests.messages.test_inbox import again
from tests.purchases.shop import buy, seeded


def states():
    return [
        (s.state, s.reason, s.attempts)
        for s in db.session.scalars(select(NotificationState).order_by(NotificationState.id))
    ]


def deliveries(name="messages.email_purchase"):
    return db.session.scalars(select(OutboxDelivery).where(OutboxDelivery.subscriber == name)).all()


@pytest.fixture
def bought(acting):
    with acting(CIRCLE, BOB):
        return buy(124_000)


def test_a_purchase_is_one_mail_however_often_it_is_delivered(acting, bought, deliver, sink):
    """Seen red with `sent` rows taken up again: the second delivery mailed a second time."""
    for _ in range(3):
        deliver()
        assert len(sink.to(ALICE)) == 1
        with acting(CIRCLE):
            assert states() == [("sent", None, 1)]
            again()


def test_the_mail_says_what_the_inbox_says_and_how_to_stop_it(acting, bought, deliver, sink):
    deliver()
    (mail,) = sink.to(ALICE)
    with acting(CIRCLE):
        message = db.session.scalars(select(OutboxMessage.id).where(OutboxMessage.type == "purchase.recorded")).one()
        token = preferences.unsubscribe_token(ALICE.id)
    assert mail["Subject"] == "+37.20 bonus"
    assert mail["From"].addresses[0].display_name == CIRCLE.name
    assert mail["To"].addresses[0].addr_spec == ALICE.email
    assert mail["Message-ID"] == f"<{message}.{ALICE.id}@{CIRCLE.host}>"
    stop = f"http://{CIRCLE.host}:8000/unsubscribe/{token}"
    assert mail["List-Unsubscribe"] == f"<{stop}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.get_content_type() == "multipart/alternative"
    plain, page = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    for text in (plain, page):
        assert "₽1,240.00 at Par Coffee." in text
        assert f"http://{CIRCLE.host}:8000/me/wallet" in text
        assert stop in text


def test_the_mails_own_way_out_works(acting, bought, deliver, sink, visitor):
    """Seen red with `may_send` not asked before sending."""
    deliver()
    (mail,) = sink.to(ALICE)
    path = mail["List-Unsubscribe"].strip("<>").partition(":8000")[2]
    assert visitor().post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    with acting(CIRCLE, BOB):
        buy(50_000)
    deliver()
    assert len(sink.to(ALICE)) == 1
    with acting(CIRCLE):
        assert states()[-1] == ("skipped", "switched_off", 1)


def test_each_recipient_reads_their_own_language(acting, deliver, sink):
    with acting(CIRCLE, BOB):
        buy(124_000)
        buy(124_000, member=EVE)
    deliver()
    english, russian = sink.to(ALICE)[0], sink.to(EVE)[0]
    assert (english["Content-Language"], russian["Content-Language"]) == ("en", "ru")
    assert "₽1,240.00" in english.get_body(("plain",)).get_content()
    assert "1\u00a0240,00\u00a0₽" in russian.get_body(("plain",)).get_content()


def test_a_member_without_language_gets_the_tenants(acting, deliver, sink):
    with acting(CIRCLE, BOB):
        seeded("UPDATE users SET locale = 'xx' WHERE tenant_id = :t AND id = :id", id=ALICE.id)
        buy(124_000)
    deliver()
    assert sink.to(ALICE)[0]["Content-Language"] == "en"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("email = NULL", "no_address"),
        ("email = ''", "no_address"),
        ("email = 'not an address'", "bad_address"),
        ("suspended_at = joined_at", "suspended"),
        ("archived_at = joined_at", "archived"),
    ],
)
def test_who_cannot_or_must_not_be_written_to_is_skipped_with_a_reason(acting, bought, deliver, sink, change, reason):
    with acting(CIRCLE, BOB):
        seeded(f"UPDATE users SET {change} WHERE tenant_id = :t AND id = :id", id=ALICE.id)
    deliver()
    assert sink.mails == []
    with acting(CIRCLE):
        assert states() == [("skipped", reason, 1)]
        assert {d.status for d in deliveries()} == {"delivered"}
        again()
    deliver()
    with acting(CIRCLE):
        assert states() == [("skipped", reason, 1)]


def test_a_mail_is_not_sent_after_a_workflow_was_switched_off(acting, bought, deliver, sink):
    with acting(CIRCLE, ALICE):
        preferences.choose(ALICE.id, {("purchase", "email"): False})
    deliver()
    assert sink.mails == []
    with acting(CIRCLE):
        assert states() == [("skipped", "switched_off", 1)]


# ── when the network fails ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_mail_waits_for_its_server_and_goes_out_once(acting, bought, deliver, dead_server, sink_later):
    deliver()
    with acting(CIRCLE):
        assert states() == [("failed", "ConnectionRefusedError", 1)]
        (row,) = deliveries()
        assert (row.status, row.attempts) == ("pending", 1)
        assert "ConnectionRefusedError" in row.last_error
        seeded("UPDATE outbox_deliveries SET available_at = clock_timestamp() WHERE tenant_id = :t AND open")
    sink = sink_later()
    deliver()
    assert len(sink.to(ALICE)) == 1
    with acting(CIRCLE):
        assert states() == [("sent", None, 2)]
        assert [d.status for d in deliveries()] == ["delivered"]


@pytest.fixture
def sink_later(request):
    """The mail server comes up when called."""
    return lambda: request.getfixturevalue("sink")


def test_a_server_that_is_away_is_asked_once_a_batch(acting, deliver, dead_server, monkeypatch):
    import smtplib

    tried = []
    real = smtplib.SMTP.connect
    monkeypatch.setattr(smtplib.SMTP, "connect", lambda self, *a, **k: (tried.append(1), real(self, *a, **k))[1])
    with acting(CIRCLE, BOB):
        for _ in range(5):
            buy(10_000)
    deliver()
    assert len(tried) == 1
    with acting(CIRCLE):
        assert [state for state, _, _ in states()] == ["failed"] * 5


@pytest.mark.parametrize(
    ("answer", "state", "delivery"),
    [
        ("450 Mailbox busy", ("failed", "refused: 450", 1), "pending"),
        ("550 No such user", ("skipped", "refused: 550", 1), "delivered"),
    ],
)
def test_a_refused_recipient_is_tried_again_only_if_it_may_help(acting, bought, deliver, sink, answer, state, delivery):
    sink.refuse = answer
    deliver()
    with acting(CIRCLE):
        assert states() == [state]
        assert [d.status for d in deliveries()] == [delivery]


def test_one_bad_recipient_does_not_hold_up_the_others(acting, deliver, sink):
    with acting(CIRCLE, BOB):
        seeded("UPDATE users SET email = 'broken@' WHERE tenant_id = :t AND id = :id", id=ALICE.id)
        buy(10_000)
        buy(10_000, member=EVE)
    deliver()
    assert len(sink.to(EVE)) == 1
    with acting(CIRCLE):
        assert sorted(state for state, _, _ in states()) == ["sent", "skipped"]


def test_a_mail_the_server_would_not_take_is_tried_again(acting, bought, deliver, sink):
    sink.break_off = "451 Out of space"
    deliver()
    sink.break_off = None
    with acting(CIRCLE):
        assert states() == [("failed", "SMTPDataError", 1)]
        seeded("UPDATE outbox_deliveries SET available_at = clock_timestamp() WHERE tenant_id = :t AND open")
    deliver()
    assert len(sink.to(ALICE)) == 1


def _as_left_by_a_dead_worker(age):
    seeded(
        "UPDATE notification_states SET state = 'sending', updated_at = clock_timestamp() - cast(:age AS interval) WHERE tenant_id = :t",
        age=age,
    )
    again()


def test_a_worker_that_died_in_between_sends_again_under_the_same_name(acting, bought, deliver, sink):
    """F2: killed after the server took the mail and before `sent`. Seen red with a Message-ID made anew."""
    deliver()
    with acting(CIRCLE):
        _as_left_by_a_dead_worker("10 minutes")
    deliver()
    first, second = sink.to(ALICE)
    assert first["Message-ID"] == second["Message-ID"]
    with acting(CIRCLE):
        assert states() == [("sent", None, 2)]


def test_a_mail_that_may_be_on_its_way_is_left_to_its_worker(acting, bought, deliver, sink):
    """Seen red with the age of `sending` ignored: two mails went out."""
    deliver()
    with acting(CIRCLE):
        _as_left_by_a_dead_worker("5 seconds")
    deliver()
    assert len(sink.to(ALICE)) == 1
    with acting(CIRCLE):
        assert states() == [("sending", None, 1)]
        (row,) = deliveries()
        assert row.status == "pending"
        assert "StillSending" in row.last_error


# ── what is in it ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_names_cannot_break_out_of_their_place(acting, deliver, sink):
    """B4, B5: markup in a shop's name stays text, a line break in a member's name begins no header."""
    with acting(CIRCLE, BOB):
        seeded(
            "UPDATE businesses SET name = '<img src=x onerror=alert(1)>' WHERE tenant_id = :t AND id = :id", id=CAFE.id
        )
        seeded(
            "UPDATE users SET name = E'Alice\\r\\nBcc: all@circle.example' WHERE tenant_id = :t AND id = :id",
            id=ALICE.id,
        )
        buy(10_000)
    deliver()
    (mail,) = sink.to(ALICE)
    assert mail["Bcc"] is None
    page = mail.get_body(("html",)).get_content()
    assert "<img" not in page
    assert "&lt;img" in page


def test_tier_and_welcome_are_mailed_too(acting, deliver, sink):
    from portal.identity.service import register_member

    with acting(CIRCLE, BOB):
        buy(1_100_000)
        register_member(name="Nina Novaya", email="nina@circle.example", joined_via="till")
    deliver()
    subjects = {mail["Subject"] for mail in sink.mails}
    assert {"You reached Silver", "Welcome, Nina", "+330.00 bonus"} == subjects
