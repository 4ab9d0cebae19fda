"""One-time codes: ten minutes, five tries, once, hashed, three in ten minutes to a contact (S6, 2FA-1)."""

import threading
from datetime import timedelta

import pytest
from flask import g
from sqlalchemy import select, text

from portal.extensions import db
from portal.identity import codes
from portal.identity.models import OneTimeCode
from portal.kernel.commands import command, journal
from tests.cast import ALICE, CIRCLE, GLOBEX
from tests.post import code_in


@command("code.issue")
def use(challenge, typed, purpose="sign_in"):
    journal().unchanged()
    return codes.redeem(challenge, typed, purpose=purpose)


@pytest.fixture
def sent(acting, deliver, sink, texts):
    """Ask for a code and read it where it arrives: `(challenge, code)`."""

    def sent(target=ALICE.phone, channel=codes.SMS, **more):
        with acting(CIRCLE):
            challenge = codes.issue(more.pop("purpose", "sign_in"), channel, target, **more)
        deliver()
        if channel == codes.SMS:
            return challenge, texts.code_to(target)
        mails = sink.at(target)
        return challenge, code_in(mails[-1]["Subject"]) if mails else None

    return sent


def age(seen_by, by):
    with seen_by(CIRCLE) as session:
        g.seeding = True
        session.execute(
            text("UPDATE one_time_codes SET created_at = created_at - :by, expires_at = expires_at - :by"), {"by": by}
        )
        session.commit()
        g.seeding = False


def test_a_code_arrives_by_sms_and_lets_in_once(sent, acting):
    challenge, code = sent()
    with acting(CIRCLE):
        found = use(challenge, f" {code[:3]} {code[3:]} ")
        assert (found.member_id, found.target, found.channel) == (ALICE.id, ALICE.phone, "sms")
        with pytest.raises(codes.WrongCode):
            use(challenge, code)


def test_a_code_arrives_by_mail_with_a_warning(sent, sink):
    _, code = sent(ALICE.email, codes.EMAIL)
    (mail,) = sink.to(ALICE)
    assert mail["Subject"] == f"{code} is your code for Circle"
    assert "Nobody of ours asks for it" in mail.get_body(("plain",)).get_content()
    assert mail["List-Unsubscribe"] is None  # safety is not switched off


def test_the_code_is_kept_nowhere_but_as_a_hash(sent, seen_by):
    _, code = sent()
    with seen_by(CIRCLE) as session:
        kept = session.execute(text("SELECT to_jsonb(o)::text FROM one_time_codes o")).scalar_one()
        told = session.execute(text("SELECT string_agg(m.data::text, '') FROM outbox_messages m")).scalar_one()
    assert code not in kept + told
    assert ALICE.phone not in told


@pytest.mark.parametrize("tries", [4, 5])
def test_five_tries_and_the_right_code_comes_too_late(sent, acting, tries):
    """S6."""
    challenge, code = sent()
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    with acting(CIRCLE):
        for _ in range(tries):
            with pytest.raises(codes.WrongCode):
                use(challenge, wrong)
        if tries < codes.TRIES:
            assert use(challenge, code).member_id == ALICE.id
        else:
            with pytest.raises(codes.WrongCode):
                use(challenge, code)


def test_after_ten_minutes_the_code_is_worth_nothing(sent, acting, seen_by):
    challenge, code = sent()
    age(seen_by, codes.LIFE)
    with acting(CIRCLE), pytest.raises(codes.WrongCode):
        use(challenge, code)


def test_a_code_for_one_thing_does_not_do_another(sent, acting):
    challenge, code = sent(purpose="join")
    with acting(CIRCLE), pytest.raises(codes.WrongCode):
        use(challenge, code, purpose="sign_in")


def test_a_code_of_one_community_is_nothing_in_another(sent, acting):
    challenge, code = sent()
    with acting(GLOBEX), pytest.raises(codes.WrongCode):
        use(challenge, code)


def test_the_next_code_waits_a_minute_and_the_fourth_ten(sent, acting, seen_by):
    """S6: sending costs money, so it is counted for the contact, however it is written."""
    sent()
    with acting(CIRCLE):
        with pytest.raises(codes.TooManyCodes) as refused:
            codes.issue("sign_in", codes.SMS, "8 912 000-01-01")
        assert 50 <= refused.value.extra["retry_after"] <= 61
    for _ in range(2):
        age(seen_by, timedelta(seconds=61))
        sent()
    age(seen_by, timedelta(seconds=61))
    with acting(CIRCLE), pytest.raises(codes.TooManyCodes) as refused:
        codes.issue("sign_in", codes.SMS, ALICE.phone)
    assert 400 < refused.value.extra["retry_after"] <= 600
    age(seen_by, codes.WINDOW)
    assert sent()[1]


def test_ten_codes_a_day_and_no_more(sent, acting, seen_by):
    for _ in range(codes.A_DAY):
        assert sent()[1]
        age(seen_by, codes.WINDOW)
    with acting(CIRCLE), pytest.raises(codes.TooManyCodes):
        codes.issue("sign_in", codes.SMS, ALICE.phone)


def test_to_unknown_people_nothing_is_sent_and_the_same_is_written(sent, seen_by, sink, texts):
    """S6, S7: the row and the event are there, so that the page cannot tell; the worker finds nobody."""
    assert sent("+79129999999")[1] is None
    assert sent("nobody@circle.example", codes.EMAIL)[1] is None
    assert sent("not a contact at all", codes.EMAIL)[1] is None
    assert sink.mails == []
    with seen_by(CIRCLE) as session:
        rows = session.execute(select(OneTimeCode.code_hash, OneTimeCode.member_id)).all()
        assert [tuple(row) for row in rows] == [(None, None)] * 3
        assert session.scalar(text("SELECT count(*) FROM outbox_messages WHERE type = 'code.requested'")) == 3


def test_a_delivery_that_comes_again_sends_no_second_code(sent, acting, deliver, texts):
    sent()
    with acting(CIRCLE):
        g.seeding = True
        db.session.execute(text("UPDATE outbox_deliveries SET status = 'pending', available_at = clock_timestamp()"))
        db.session.commit()
    deliver()
    assert len(texts.to(ALICE.phone)) == 1


def test_a_provider_that_is_away_is_asked_again_with_a_new_code(acting, deliver, texts, monkeypatch, seen_by):
    from portal.settings import settings

    there = settings().SMS_URL
    monkeypatch.setenv("SMS_URL", "http://krug:secret@127.0.0.1:1")
    settings.cache_clear()
    with acting(CIRCLE):
        challenge = codes.issue("sign_in", codes.SMS, ALICE.phone)
    deliver()
    assert texts.to(ALICE.phone) == []
    monkeypatch.setenv("SMS_URL", there)
    settings.cache_clear()
    with seen_by(CIRCLE) as session:
        g.seeding = True
        session.execute(text("UPDATE outbox_deliveries SET available_at = clock_timestamp()"))
        session.commit()
        g.seeding = False
    deliver()
    with acting(CIRCLE):
        assert use(challenge, texts.code_to(ALICE.phone)).member_id == ALICE.id


def test_a_number_that_does_not_exist_is_not_asked_for_ever(acting, deliver, texts, seen_by):
    with acting(CIRCLE):
        codes.issue("join", codes.SMS, "+79129990000")
    deliver()
    with seen_by(CIRCLE) as session:
        left = session.execute(
            text("SELECT status, attempts FROM outbox_deliveries WHERE subscriber = 'messages.send_code'")
        ).all()
    assert [row.status for row in left] == ["delivered"]


@pytest.mark.commits
def test_one_code_typed_sixteen_times_at_once_lets_in_once(app, acting, sent):
    """R13's race for codes."""
    challenge, code = sent()
    results, start = [], threading.Barrier(16)

    def come():
        start.wait()
        try:
            with acting(CIRCLE):
                results.append(use(challenge, code).member_id)
        except codes.WrongCode:
            results.append(None)

    crowd = [threading.Thread(target=come) for _ in range(16)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert sorted(results, key=str) == [ALICE.id, *[None] * 15]


@pytest.mark.commits
def test_fifty_guesses_at_once_are_five_tries(app, acting, sent, seen_by):
    """S6: tries are counted before they are compared."""
    challenge, code = sent()
    start = threading.Barrier(16)
    wrong = f"{(int(code) + 1) % 10**6:06d}"

    def guess():
        start.wait()
        with acting(CIRCLE):
            for _ in range(3):
                with pytest.raises(codes.WrongCode):
                    use(challenge, wrong)

    crowd = [threading.Thread(target=guess) for _ in range(16)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(OneTimeCode.tries)) == codes.TRIES
