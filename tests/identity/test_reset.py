"""A forgotten password, and contacts that change: links, codes, notices (security.md 8, S7, S15, R13, R18)."""

import re
import threading
from datetime import timedelta

import pytest
from flask import g
from sqlalchemy import func, select, text, update

from portal.extensions import db
from portal.identity import codes, contacts, passwords, resets, service
from portal.identity.models import ContactChange, DeviceSession, PasswordReset, User
from portal.kernel.commands import command
from tests.cast import ALICE, CIRCLE, EVE, GLOBEX, OLGA, PASSWORD
from tests.identity.test_factors import stale
from tests.post import code_in

NEW = "nine patient harbours"


def link_in(mail):
    return re.search(r"/reset/([\w-]+)", mail.get_body(("plain",)).get_content())[1]


@pytest.fixture
def asked(visitor, deliver, sink):
    """Ask for a link by the page; the token of the mail."""

    def asked(person=ALICE):
        visitor().submit("/reset", form="reset", contact=person.email)
        deliver()
        return link_in(sink.to(person)[-1])

    return asked


def age(seen_by, by, table="password_resets"):
    with seen_by(CIRCLE) as session:
        g.seeding = True
        session.execute(
            text(f"UPDATE {table} SET created_at = created_at - :by, expires_at = expires_at - :by"), {"by": by}
        )
        session.commit()
        g.seeding = False


def enter(browser, password, person=ALICE):
    return browser.submit("/login", form="sign-in", email=person.email, password=password)


def test_alice_sets_a_new_password_by_a_link(visitor, sign_in, asked, deliver, sink, seen_by):
    old = sign_in(ALICE)
    token = asked()
    browser = visitor()
    answer = browser.submit(f"/reset/{token}", form="new-password", password=NEW)
    assert (answer.status_code, answer.location) == (303, "/login")
    assert old.get("/me/security").status_code == 303  # every session ended
    assert enter(visitor(), PASSWORD).status_code == 422
    assert enter(visitor(), NEW).status_code == 303
    deliver()
    assert sink.to(ALICE)[-1]["Subject"] == "Your password was changed"
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(User.email_confirmed_at).where(User.id == ALICE.id))


def test_looking_at_the_link_does_not_use_it_up(visitor, asked):
    """S15: three scanners of mail open it before Alice does."""
    token = asked()
    for _ in range(3):
        page = visitor().get(f"/reset/{token}")
        assert page.status_code == 200
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
    assert visitor().submit(f"/reset/{token}", form="new-password", password=NEW).status_code == 303
    assert visitor().get(f"/reset/{token}").status_code == 410


def test_a_weak_password_leaves_the_link_whole(visitor, asked):
    token = asked()
    browser = visitor()
    refused = browser.submit(f"/reset/{token}", form="new-password", password="short")
    assert refused.status_code == 422
    assert "at least 12" in refused.text
    assert browser.submit(f"/reset/{token}", form="new-password", password=NEW).status_code == 303


def test_the_token_is_kept_as_a_hash_of_256_bits(asked, seen_by):
    token = asked()
    assert len(token) == 43  # 32 bytes
    with seen_by(CIRCLE) as session:
        kept = session.execute(text("SELECT to_jsonb(r)::text FROM password_resets r")).scalar_one()
        told = session.execute(text("SELECT string_agg(m.data::text, '') FROM outbox_messages m")).scalar_one()
    assert token not in kept + told
    assert ALICE.email not in told


def test_after_half_an_hour_the_link_is_over(visitor, asked, seen_by, acting):
    token = asked()
    age(seen_by, resets.LIFE)
    assert visitor().get(f"/reset/{token}").status_code == 410
    with acting(CIRCLE), pytest.raises(resets.LinkOver):
        resets.use(token, NEW)


def test_a_link_opens_nothing_in_another_community(visitor, asked, acting):
    token = asked()
    assert visitor(GLOBEX).get(f"/reset/{token}").status_code == 410
    with acting(GLOBEX), pytest.raises(resets.LinkOver):
        resets.use(token, NEW)


def test_one_link_used_kills_the_others(visitor, asked, seen_by, acting):
    first = asked()
    age(seen_by, timedelta(seconds=61))
    second = asked()
    assert first != second
    visitor().submit(f"/reset/{second}", form="new-password", password=NEW)
    with acting(CIRCLE), pytest.raises(resets.LinkOver):
        resets.use(first, "eleven other harbours")


def test_five_links_a_day(asked, seen_by, acting):
    for _ in range(5):
        asked()
        age(seen_by, timedelta(seconds=61))
    with acting(CIRCLE), pytest.raises(codes.TooManyCodes):
        resets.ask(ALICE.email)


def test_a_phone_gets_its_link_as_a_text(visitor, deliver, texts):
    visitor().submit("/reset", form="reset", contact=ALICE.phone)
    deliver()
    token = re.search(r"/reset/([\w-]+)", texts.to(ALICE.phone)[0])[1]
    assert visitor().submit(f"/reset/{token}", form="new-password", password=NEW).status_code == 303
    assert enter(visitor(), NEW).status_code == 303


def test_to_unknown_people_nothing_is_sent(visitor, deliver, sink, seen_by):
    visitor().submit("/reset", form="reset", contact="nobody@circle.example")
    deliver()
    assert sink.mails == []
    with seen_by(CIRCLE) as session:
        assert session.execute(select(PasswordReset.token_hash, PasswordReset.member_id)).all() == [(None, None)]


@pytest.mark.commits
def test_one_link_sixteen_times_at_once_sets_one_password(app, acting, asked, visitor):
    """R13: exactly one wins, and its password is the one that holds."""
    token = asked()
    winners = crowd(16, lambda n: use(acting, token, f"{NEW} number {n} of many"))
    assert len(winners) == 1
    assert enter(visitor(), f"{NEW} number {winners[0]} of many").status_code == 303


def use(acting, token, password):
    try:
        with acting(CIRCLE):
            resets.use(token, password)
    except resets.LinkOver:
        return False
    return True


def crowd(size, act):
    """Whose act came through, of so many at the same moment."""
    start, won = threading.Barrier(size), []

    def come(n):
        start.wait()
        if act(n):
            won.append(n)

    people = [threading.Thread(target=come, args=(n,)) for n in range(size)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    return won


@pytest.mark.commits
@pytest.mark.parametrize("round_", range(4))
def test_a_reset_and_a_change_of_mail_at_once_are_one_or_the_other(
    app, acting, asked, sign_in, seen_by, deliver, sink, round_
):
    """R18: a thief with a session changes the e-mail while Alice resets. Either the change was first and the link to the
    old e-mail is over, or the reset was first and the thief's session changes nothing.
    """
    token = asked()
    sign_in(ALICE)
    with seen_by(CIRCLE) as session:
        session_id = session.scalar(select(DeviceSession.id).where(DeviceSession.user_id == ALICE.id))
    with acting(CIRCLE, ALICE):
        challenge = codes.issue("contact", codes.EMAIL, "thief@circle.example", member_id=ALICE.id)
    deliver()
    code = code_in(sink.at("thief@circle.example")[-1]["Subject"])

    def change():
        try:
            with acting(CIRCLE, ALICE):
                service.change_contact(ALICE.id, challenge, code, session_id=session_id)
        except (service.SignedOutMeanwhile, codes.WrongCode):
            return False
        return True

    won = crowd(2, lambda n: use(acting, token, NEW) if n else change())
    with seen_by(CIRCLE) as session:
        row = session.execute(select(User.email, User.password_hash).where(User.id == ALICE.id)).one()
    assert len(won) == 1
    changed = won == [0]
    assert (row.email == "thief@circle.example") is changed
    assert passwords.matches(row.password_hash, NEW) is not changed


# ── e-mail and phone ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_mail_holds_once_its_code_is_typed_and_the_old_one_is_told(sign_in, deliver, sink, seen_by, visitor):
    browser = sign_in(ALICE)
    assert "not confirmed" in browser.get("/me/contacts").text
    sent = browser.submit("/me/contacts", form="email-form", email="Alisa@Circle.example")
    assert sent.location == "/me/contacts/code"
    deliver()
    assert sink.to(ALICE) == []
    code = code_in(sink.at("alisa@circle.example")[-1]["Subject"])
    wrong = browser.submit("/me/contacts/code", form="contact-code", code=f"{(int(code) + 1) % 10**6:06d}")
    assert wrong.status_code == 422
    assert browser.submit("/me/contacts/code", form="contact-code", code=code).location == "/me/contacts"
    deliver()
    assert sink.to(ALICE)[-1]["Subject"] == "The e-mail of your account was changed"
    assert "confirmed" in browser.get("/me/contacts").text
    with seen_by(CIRCLE) as session:
        row = session.execute(select(User.email, User.email_confirmed_at).where(User.id == ALICE.id)).one()
        change = session.execute(select(ContactChange.old, ContactChange.new)).one()
    assert row.email == "alisa@circle.example"
    assert row.email_confirmed_at
    assert tuple(change) == (ALICE.email, "alisa@circle.example")
    answer = visitor().submit("/login", form="sign-in", email="alisa@circle.example", password=PASSWORD)
    assert answer.status_code == 303


def test_who_signs_in_by_codes_only_shows_the_present_contact_before_it_is_replaced(
    sign_in, app, acting, deliver, sink, seen_by
):
    """2FA-1: an old session alone moves no account to another mailbox. Without password and app the code goes to the contact
    that was proved, and to no other; then the form that waited is there again. Seen red with such members let through.
    """
    with acting(CIRCLE, ALICE):
        codes_only = update(User).where(User.id == ALICE.id).values(password_hash=None, email_confirmed_at=func.now())
        command("test.codes_only")(lambda: db.session.execute(codes_only))()
    browser = sign_in(ALICE)
    stale(app, ALICE)
    sent = browser.submit("/me/contacts", form="email-form", email="thief@circle.example")
    assert sent.location.startswith("/me/confirm")
    assert ALICE.email in browser.get(sent.location).text
    assert browser.post("/me/confirm/code", data={"way": "sms"}).location == "/me/confirm"
    asked = browser.submit(sent.location, form="send-code").location
    deliver()
    assert sink.at("thief@circle.example") == []
    code = code_in(sink.to(ALICE)[-1]["Subject"])
    wrong = browser.submit(asked, form="proof", code=f"{(int(code) + 1) % 10**6:06d}")
    assert wrong.status_code == 422
    assert browser.submit("/me/contacts", form="email-form", email="a@b.example").location.startswith("/me/confirm")
    assert browser.submit(asked, form="proof", code=code).location == "/me/confirm/resume"
    assert "a@b.example" in browser.get("/me/confirm/resume").text
    assert (
        browser.submit("/me/contacts", form="email-form", email="alisa@circle.example").location == "/me/contacts/code"
    )
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(User.email).where(User.id == ALICE.id)) == ALICE.email


def test_who_has_proved_no_contact_signs_in_again_before_one_is_replaced(sign_in, app, acting):
    """Somebody of a messenger only: there is nothing to send a code to, and a new sign-in is fresh."""
    with acting(CIRCLE, ALICE):
        nothing = update(User).where(User.id == ALICE.id).values(password_hash=None)
        command("test.nothing_proved")(lambda: db.session.execute(nothing))()
    browser = sign_in(ALICE)
    stale(app, ALICE)
    sent = browser.submit("/me/contacts", form="email-form", email="thief@circle.example")
    assert "Sign out" in browser.get(sent.location).text
    fresh = sign_in(ALICE).submit("/me/contacts", form="email-form", email="alisa@circle.example")
    assert fresh.location == "/me/contacts/code"


def test_the_phone_one_has_is_confirmed_and_nobody_is_told(sign_in, deliver, texts, sink, seen_by):
    browser = sign_in(ALICE)
    browser.submit("/me/contacts", form="phone-form", phone=contacts.shown_phone(ALICE.phone))
    deliver()
    browser.submit("/me/contacts/code", form="contact-code", code=texts.code_to(ALICE.phone))
    deliver()
    assert sink.mails == []
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(User.phone_confirmed_at).where(User.id == ALICE.id))
        assert session.scalar(select(func.count()).select_from(ContactChange)) == 0


def test_a_replaced_phone_hears_of_it_by_text(sign_in, deliver, texts, sink):
    browser = sign_in(ALICE)
    browser.submit("/me/contacts", form="phone-form", phone="+79125550111")
    deliver()
    browser.submit("/me/contacts/code", form="contact-code", code=texts.code_to("+79125550111"))
    deliver()
    assert "phone of your account was changed" in texts.to(ALICE.phone)[0]
    assert sink.to(ALICE)[-1]["Subject"] == "The phone of your account was changed"


def test_somebody_elses_mail_is_said_to_be_taken_only_to_who_reads_it(sign_in, deliver, sink, seen_by):
    browser = sign_in(ALICE)
    assert browser.submit("/me/contacts", form="email-form", email=EVE.email).location == "/me/contacts/code"
    deliver()
    code = code_in(sink.to(EVE)[-1]["Subject"])
    refused = browser.submit("/me/contacts/code", form="contact-code", code=code)
    assert refused.status_code == 422
    assert "e-mail already" in refused.text


def test_a_code_sent_to_one_member_changes_nothing_of_another(acting, deliver, sink):
    with acting(CIRCLE, ALICE):
        challenge = codes.issue("contact", codes.EMAIL, "alisa@circle.example", member_id=ALICE.id)
    deliver()
    code = code_in(sink.at("alisa@circle.example")[-1]["Subject"])
    with acting(CIRCLE, EVE), pytest.raises(codes.WrongCode):
        service.change_contact(EVE.id, challenge, code, session_id=EVE.id)


def test_what_staff_corrects_is_not_confirmed_and_the_old_mail_is_told(acting, deliver, sink, seen_by):
    with acting(CIRCLE, OLGA):
        service.edit_member(ALICE.id, name=ALICE.name, phone=ALICE.phone, email="typo@circle.example")
    deliver()
    assert sink.to(ALICE)[-1]["Subject"] == "The e-mail of your account was changed"
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(User.email_confirmed_at).where(User.id == ALICE.id)) is None
