"""Signing in and out: /login, /logout, /join."""

import time
from statistics import median

import pytest
from sqlalchemy import func, select, text

from portal.identity import failures
from portal.identity.models import DeviceSession, LoginFailure, User
from portal.kernel.audit import AuditEntry
from tests.cast import ALICE, BOB, CIRCLE, EVE, GLOBEX, IRINA, MALLORY, OLGA, PASSWORD, TRENT, uid

WRONG = "E-mail, phone or password is wrong."


def enter(browser, person=ALICE, password=PASSWORD, **more):
    return browser.submit("/login", form="sign-in", email=more.pop("email", person.email), password=password, **more)


def cookie(browser, name="sid"):
    found = browser.get_cookie(name, domain=browser.host)
    return found.value if found else None


@pytest.mark.parametrize("typed", [ALICE.email, "ALICE@Circle.Example", "8 912 000-01-01", ALICE.phone])
def test_alice_signs_in_by_mail_or_phone_in_any_writing(visitor, typed):
    browser = visitor()
    assert enter(browser, email=typed).status_code == 303
    assert browser.get("/me/security").status_code == 200


@pytest.mark.parametrize(
    ("person", "room"), [(BOB, "/till/cafe"), (IRINA, "/desk/cafe"), (OLGA, "/admin"), (ALICE, "/me")]
)
def test_everybody_comes_to_the_room_they_work_in(visitor, app, person, room):
    browser = visitor()
    enter(browser, person)
    landed = browser.get("/welcome").location
    assert landed in {room, "/me/more"}
    if room.split("/")[1] == "me" and "home.index" in app.view_functions:
        assert landed == "/me"


def test_a_program_signs_in_with_the_four_fields_of_the_form(app):
    import re

    with app.test_client() as plain:
        page = plain.get("/login", base_url=f"http://{CIRCLE.host}:8000").text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]
        answer = plain.post(
            "/login",
            base_url=f"http://{CIRCLE.host}:8000",
            data={"email": ALICE.email, "password": PASSWORD, "csrf_token": token},
        )
        assert answer.status_code == 303


def test_unknown_and_wrong_get_the_same_answer(visitor):
    bodies = set()
    for email, password in (
        (ALICE.email, "wrong password"),
        ("nobody@circle.example", PASSWORD),
        (TRENT.email, PASSWORD),
        ("gibberish", "not a password at all"),
    ):
        answer = enter(visitor(), email=email, password=password)
        assert answer.status_code == 422
        assert WRONG in answer.text
        assert password not in answer.text
        bodies.add(scrubbed(answer.text, email))
    assert len(bodies) == 1


def scrubbed(page, email):
    import re

    plain = re.sub(r'(value|nonce|content|hx-headers:inherited|src|href)=("[^"]*"|\'[^\']*\')', "", page)
    return plain.replace(email, "…")


def test_unknown_and_wrong_take_the_same_time(acting, app):
    from portal.identity import access

    def tries(email):
        spent = []
        for n in range(6):
            with app.test_request_context("/login", base_url=f"http://{CIRCLE.host}"):
                app.preprocess_request()
                began = time.perf_counter()
                with pytest.raises(access.WrongCredentials):
                    access.sign_in(email, "wrong password", user_agent="", ip=f"10.1.{len(email)}.{n}")
                spent.append(time.perf_counter() - began)
        return median(spent)

    known, unknown = tries(ALICE.email), tries("nobody@circle.example")
    assert abs(known - unknown) < max(known, unknown) / 2


def test_the_session_is_another_one_after_signing_in(visitor, seen_by):
    """S2: an id planted before, or used before, is worth nothing afterwards."""
    browser = visitor()
    browser.set_cookie("sid", "planted-by-mallory", domain=CIRCLE.host)
    enter(browser)
    first = cookie(browser)
    assert first not in {None, "planted-by-mallory"}
    with browser.application.app_context():
        pass
    again = visitor()
    again.set_cookie("sid", first, domain=CIRCLE.host)
    assert again.get("/me/security").status_code == 200


def test_signing_in_anew_ends_the_session_before(sign_in, visitor):
    browser = sign_in(ALICE)
    before = cookie(browser)
    browser.csrf = None
    page = browser.get("/me/security")
    assert page.status_code == 200
    other = visitor()
    other.set_cookie("sid", before, domain=CIRCLE.host)
    assert other.get("/login").status_code == 303  # who is in need not knock
    token = _csrf(page.text)
    answer = browser.post("/login", data={"email": EVE.email, "password": PASSWORD, "csrf_token": token}, csrf=False)
    assert answer.status_code == 303
    assert cookie(browser) != before
    old = visitor()
    old.set_cookie("sid", before, domain=CIRCLE.host)
    assert old.get("/me/security").status_code == 303


def _csrf(page):
    import re

    return re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]


def test_the_cookies_flags(visitor, monkeypatch):
    from portal.settings import Settings

    answer = enter(visitor())
    sent = next(c for c in answer.headers.getlist("Set-Cookie") if c.startswith("sid="))
    assert all(flag in sent for flag in ("HttpOnly", "SameSite=Lax", "Path=/"))
    assert "Domain" not in sent
    monkeypatch.setattr(Settings, "secure", property(lambda self: True))
    from portal.identity import sessions

    assert sessions.cookie_name() == "__Host-sid"


def test_a_tampered_or_foreign_cookie_is_a_stranger(sign_in, visitor):
    browser = sign_in(ALICE)
    token = cookie(browser)
    for value in (token[:-1] + ("A" if token[-1] != "A" else "B"), token + "x", "", "a" * 3000):
        stranger = visitor()
        stranger.set_cookie("sid", value, domain=CIRCLE.host)
        assert stranger.get("/me/security").status_code == 303
    elsewhere = visitor(GLOBEX)
    elsewhere.set_cookie("sid", token, domain=GLOBEX.host)
    assert elsewhere.get("/me/security").status_code == 303


@pytest.mark.parametrize("method", ["no token", "another session's token"])
def test_without_its_token_the_form_does_nothing(visitor, method, seen_by):
    browser = visitor()
    browser.get("/login")
    data = {"email": ALICE.email, "password": PASSWORD}
    if method != "no token":
        other = visitor()
        data["csrf_token"] = _csrf(other.get("/login").text)
    assert browser.post("/login", data=data, csrf=False).status_code == 400
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(func.count()).select_from(DeviceSession)) == 0


def test_another_sites_page_cannot_sign_anybody_in(visitor):
    browser = visitor()
    token = _csrf(browser.get("/login").text)
    data = {"email": ALICE.email, "password": PASSWORD, "csrf_token": token}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert browser.post("/login", data=data, headers=headers, csrf=False).status_code == 403


def test_signing_in_and_out_is_audited(visitor, seen_by):
    browser = visitor()
    enter(browser)
    out = browser.submit("/me/more", form="sign-out")
    assert (out.status_code, out.location) == (303, "/")
    assert out.headers["Clear-Site-Data"] == '"storage"'
    assert browser.get("/me/security").status_code == 303
    with seen_by(CIRCLE) as session:
        entries = session.execute(
            select(AuditEntry.action, AuditEntry.actor_id, AuditEntry.object_id).order_by(AuditEntry.seq)
        ).all()
    assert [tuple(e) for e in entries] == [("session.open", ALICE.id, ALICE.id), ("session.close", ALICE.id, ALICE.id)]


def test_a_copied_cookie_dies_with_the_signing_out(visitor):
    browser = visitor()
    enter(browser)
    token = cookie(browser)
    browser.submit("/me/more", form="sign-out")
    thief = visitor()
    thief.set_cookie("sid", token, domain=CIRCLE.host)
    assert thief.get("/me/security").status_code == 303


def test_signing_out_twice_is_no_error(visitor):
    browser = visitor()
    token = _csrf(browser.get("/login").text)
    assert browser.post("/logout", data={"csrf_token": token}, csrf=False).status_code == 303


@pytest.mark.parametrize(
    "outside",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "///evil.example",
        "evil.example",
        " /me",
        "/%0d%0aLocation:x\r\n",
        "/me\x00",
        "/login?next=//evil.example",
        "/" + "a" * 3000,
        "https://circle.localhost@evil.example",
        "/\u2028",
    ],
)
def test_next_leads_nowhere_else(visitor, outside):
    """B8: only same-host paths with a single leading slash, no backslash, no control character."""
    from urllib.parse import quote

    for answer in (
        visitor().submit(f"/login?next={quote(outside)}", form="sign-in", email=ALICE.email, password=PASSWORD),
        enter(visitor(), next=outside.replace("\x00", "")),
    ):
        assert answer.status_code == 303
        assert answer.location in {"/welcome", "/me", "/", "/%0d%0aLocation:x"}  # spaces around a path are taken off


def test_next_leads_back_to_the_page_that_asked(visitor):
    browser = visitor()
    door = browser.get("/me/security?x=1")
    assert door.status_code == 303
    assert door.location == "/login?next=/me/security?x%3D1"
    assert (
        browser.submit(door.location, form="sign-in", email=ALICE.email, password=PASSWORD).location
        == "/me/security?x=1"
    )


def test_a_suspended_account_hears_why_after_the_right_password_only(visitor, acting):
    from portal.identity import service

    with acting(CIRCLE, OLGA):
        service.suspend(EVE.id, reason="Card lent to others")
    assert "Card lent" not in enter(visitor(), EVE, "wrong password").text
    answer = enter(visitor(), EVE)
    assert answer.status_code == 422
    assert "Card lent to others" in answer.text


def test_suspension_ends_what_is_open(sign_in, acting):
    from portal.identity import service

    browser = sign_in(EVE)
    assert browser.get("/me/security").status_code == 200
    with acting(CIRCLE, OLGA):
        service.suspend(EVE.id, reason="x")
    assert browser.get("/me/security").status_code == 303


def test_a_member_without_a_password_cannot_sign_in(visitor, acting):
    from portal.identity import service

    with acting(CIRCLE, BOB):
        service.register_member(name="By Card Alone", email="card@circle.example", joined_via="till")
    assert WRONG in enter(visitor(), email="card@circle.example", password=PASSWORD).text
    assert WRONG in enter(visitor(), email="card@circle.example", password="nobody has this password").text


def test_an_old_hash_is_renewed_at_the_next_signing_in(visitor, seed, seen_by):
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    with seen_by(CIRCLE) as session:
        from flask import g

        g.seeding = True
        session.execute(text("UPDATE users SET password_hash = :h WHERE id = :id"), {"h": old, "id": ALICE.id})
        session.commit()
        g.seeding = False
    assert enter(visitor()).status_code == 303
    with seen_by(CIRCLE) as session:
        renewed = session.scalar(select(User.password_hash).where(User.id == ALICE.id))
    assert "m=19456,t=2,p=1" in renewed
    assert enter(visitor()).status_code == 303


# ── how often ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ten_wrong_passwords_and_the_account_waits_whoever_asks(visitor):
    for n in range(failures.ALLOWED):
        assert enter(from_(visitor(), f"10.0.0.{n}"), password="wrong password").status_code == 422
    refused = enter(from_(visitor(), "10.0.1.1"))
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert "Wait 5 minutes" in refused.text
    assert enter(from_(visitor(), "10.0.1.1"), EVE).status_code == 303  # somebody else is not held up


def test_ten_wrong_names_from_one_address_and_it_waits(visitor):
    browser = from_(visitor(), "2001:db8::1")
    for n in range(failures.ALLOWED):
        assert enter(browser, email=f"nobody{n}@circle.example", password="x").status_code == 422
    assert enter(from_(visitor(), "2001:db8::ffff:1")).status_code == 429  # the same /64
    assert enter(from_(visitor(), "2001:db8:0:1::1")).status_code == 303


def test_a_forged_header_does_not_make_another_address(visitor):
    browser = from_(visitor(), "10.9.9.9")
    for n in range(failures.ALLOWED):
        enter(browser, email=f"nobody{n}@circle.example", password="x")
    browser.environ_base["HTTP_X_FORWARDED_FOR"] = "10.8.8.8"
    assert enter(browser).status_code == 429


def test_phone_and_mail_are_one_account_when_counted(visitor):
    for n in range(failures.ALLOWED):
        enter(from_(visitor(), f"10.0.0.{n}"), email=ALICE.email if n % 2 else ALICE.phone, password="wrong password")
    assert enter(from_(visitor(), "10.0.1.1")).status_code == 429


def test_a_right_password_forgets_the_wrong_ones(visitor, seen_by):
    for n in range(failures.ALLOWED - 1):
        enter(from_(visitor(), f"10.0.0.{n}"), password="wrong password")
    assert enter(visitor()).status_code == 303
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(LoginFailure.kind).where(LoginFailure.kind == "account")).all() == []
    assert enter(visitor(), password="wrong password").status_code == 422


def test_the_count_survives_the_loss_of_redis(visitor, app):
    from portal.kernel.redis import redis

    for n in range(failures.ALLOWED):
        enter(from_(visitor(), f"10.0.0.{n}"), password="wrong password")
        redis().flushdb()
    assert enter(visitor()).status_code == 429


def test_five_minutes_later_the_door_opens(visitor, seen_by):
    for n in range(failures.ALLOWED):
        enter(from_(visitor(), f"10.0.0.{n}"), password="wrong password")
    with seen_by(CIRCLE) as session:
        from flask import g

        g.seeding = True
        session.execute(text("UPDATE login_failures SET at = at - interval '5 minutes'"))
        session.commit()
        g.seeding = False
    assert enter(visitor()).status_code == 303


def test_tries_in_another_community_do_not_count_here(visitor):
    for n in range(failures.ALLOWED):
        enter(visitor(GLOBEX), MALLORY, password="wrong password")
    assert enter(visitor(GLOBEX), MALLORY).status_code == 429
    assert enter(visitor(CIRCLE)).status_code == 303


def test_the_rate_in_front_holds_when_redis_is_down(visitor, app, monkeypatch):
    """Sixty an address, all right or wrong: the sixty-first waits, also while Redis does not answer."""
    from portal.extensions import limiter

    monkeypatch.setattr(limiter, "_storage_dead", True)
    limiter._fallback_storage.reset()
    browser = from_(visitor(), "10.7.7.7")
    token = _csrf(browser.get("/login").text)
    answers = [browser.post("/login", data={"email": "", "csrf_token": token}, csrf=False) for _ in range(61)]
    limiter._fallback_storage.reset()
    assert {a.status_code for a in answers[:60]} == {422}
    assert answers[60].status_code == 429
    assert 0 < int(answers[60].headers["Retry-After"]) <= 301


def from_(browser, address):
    browser.environ_base["REMOTE_ADDR"] = address
    return browser


# ── joining ────────────────────────────────────────────────────────────────────────────────────────────────────────

NEWCOMER = {
    "name": "Zoë Newcomer",
    "email": "zoe@circle.example",
    "phone": "",
    "password": "seven quiet lanterns",
    "agreed": "y",
}


def test_a_stranger_joins_and_is_in_at_once(visitor, seen_by):
    browser = visitor()
    assert browser.submit("/join", form="join", **NEWCOMER).location == "/welcome"
    assert "Zoë Newcomer" in browser.get("/me/more").text
    with seen_by(CIRCLE) as session:
        joined = session.execute(select(User.joined_via, User.locale).where(User.email == "zoe@circle.example")).one()
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.seq)).all()
    assert tuple(joined) == ("join", "en")
    assert actions == ["member.join", "session.open"]
    assert enter(visitor(), email="zoe@circle.example", password=NEWCOMER["password"]).status_code == 303


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"email": "", "phone": ""}, "Give an e-mail or a phone number"),
        ({"agreed": None}, "Fill this in."),
        ({"name": "  "}, "Fill this in."),
        ({"password": "short"}, "at least 12"),
        ({"password": "zoe newcomer"}, "too easy"),
        ({"email": "zoe"}, "not an e-mail"),
        ({"phone": "12"}, "not a telephone"),
    ],
)
def test_what_was_typed_is_kept_when_joining_is_refused(visitor, change, said):
    fields = {k: v for k, v in {**NEWCOMER, **change}.items() if v is not None}
    answer = visitor().submit("/join", form="join", **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert NEWCOMER["password"] not in answer.text
    if "email" not in change:
        assert 'value="zoe@circle.example"' in answer.text


def test_taken_contacts_are_refused_without_saying_which(visitor):
    pages = [
        visitor().submit("/join", form="join", **{**NEWCOMER, **taken}).text
        for taken in ({"email": ALICE.email}, {"email": "new@circle.example", "phone": ALICE.phone})
    ]
    assert all("No new account can be made with this e-mail and phone" in page for page in pages)


def test_twenty_an_hour_join_from_one_address(visitor):
    browser = from_(visitor(), "10.5.5.5")
    token = _csrf(browser.get("/join").text)
    answers = [browser.post("/join", data={"csrf_token": token}, csrf=False).status_code for _ in range(21)]
    assert answers == [422] * 20 + [429]


def test_who_is_in_need_not_join(sign_in):
    assert sign_in(ALICE).get("/join").status_code == 303
    assert uid(0) is not None
