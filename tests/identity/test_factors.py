"""Second factors: what they open, what they do not, and who comes first when two use one code (S2, S4, S5, R19)."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import func, select, text, update

from portal.extensions import db
from portal.identity import codes, factors, queries
from portal.identity.models import ContactChange, DeviceSession, LoginFailure, RecoveryCode, TwoFactorMethod, User
from portal.kernel import vault
from portal.kernel.authz import Access
from portal.kernel.commands import command
from portal.messages.models import Notification
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE, FRANK, OLGA, PASSWORD
from tests.conftest import SECRET
from tests.objects import objects, own_parts

RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238, appendix B: "12345678901234567890"
RFC_VECTORS = {59: 287082, 1111111109: 81804, 1111111111: 50471, 1234567890: 5924, 2000000000: 279037}


@pytest.fixture
def at(monkeypatch, app):
    """Put the database's time, as factors see it, where a test needs it: `at(59)`."""
    from datetime import UTC, datetime

    def at(seconds):
        monkeypatch.setattr(factors.sessions, "real_now", lambda: datetime.fromtimestamp(seconds, UTC))

    return at


def app_of(acting, person):
    """Give somebody an authenticator app, as the page does it, no code of which was used; its secret, the recovery codes."""
    with acting(CIRCLE, person):
        factors.start_app(person.id)
        shown = factors.setup(person.id, person.email)
        codes = factors.confirm_app(person.id, pyotp.TOTP(shown.secret).at(factors.sessions.real_now()))
        command("test.forget_step")(lambda: db.session.execute(update(TwoFactorMethod).values(last_step=0)))()
    return shown.secret, codes


def now_code(acting, secret, off=0):
    with acting(CIRCLE):
        return pyotp.TOTP(secret).at(int(factors.sessions.real_now().timestamp()) + 30 * off)


def by_password(visitor, person):
    """A browser after the first factor."""
    client = visitor(csrf=True)
    answer = client.post("/login", data={"email": person.email, "password": PASSWORD})
    assert answer.status_code == 303
    return renewed(client)


def renewed(client):
    """Take the token of a session that is new."""
    page = client.get("/login/second")
    while page.status_code == 303:
        page = client.get(page.location)
    signed = re.search(r'"X-CSRFToken": "([^"]+)"', page.text)[1]
    client.csrf = URLSafeTimedSerializer(SECRET, salt="wtf-csrf-token").loads(signed)
    return client


def cookie(client):
    return client.get_cookie("sid", domain=CIRCLE.host).value


@pytest.mark.parametrize(("when", "code"), RFC_VECTORS.items())
def test_the_codes_are_those_of_rfc_6238(when, code, at, app):
    """S5: the last six of the eight digits in appendix B, at the second, one step off either way, and not two."""
    for off, fits in ((0, True), (-30, True), (30, True), (-90, False), (90, False)):
        if when + off < 59:  # before 1970 began, to the step
            continue
        at(when + off)
        assert (factors._step_of(RFC_SECRET, f"{code:06d}") == when // 30) is fits


def test_a_code_counts_once_and_an_older_one_never_again(acting):
    """S5, 2FA-1: a used step is refused, and so is every step before it."""
    secret, _ = app_of(acting, ALICE)
    code, older = now_code(acting, secret), now_code(acting, secret, -1)
    with acting(CIRCLE, ALICE):
        _prove(ALICE, code)
    for again in (code, older):
        with acting(CIRCLE, ALICE), pytest.raises(factors.WrongCode):
            _prove(ALICE, again)


def _prove(person, code, way=factors.APP):
    command("session.confirm")(lambda: factors.prove(person.id, way, code))()


def test_the_secret_is_160_bits_and_sealed(acting, seen_by):
    secret, _ = app_of(acting, ALICE)
    assert len(secret) * 5 == 160
    with seen_by(CIRCLE) as session:
        row = session.scalars(select(TwoFactorMethod)).one()
        assert secret.encode() not in row.secret
        assert vault.unseal(row.secret, table="two_factor_methods", column="secret", row=row.id).decode() == secret


def test_recovery_codes_are_ten_of_80_bits_kept_as_hashes_and_open_once(acting, seen_by, visitor):
    """2FA-1: each works once; new ones put the old ones out; the member is told of each use."""
    _, codes = app_of(acting, ALICE)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", code) for code in codes)
    with seen_by(CIRCLE) as session:
        assert not {*codes} & {*session.scalars(select(RecoveryCode.code_hash))}
    typed = codes[0].upper().replace("-", " ")  # as people read it from paper
    opened = by_password(visitor, ALICE)
    assert opened.post("/login/second", data={"way": "recovery", "code": typed}).status_code == 303
    assert opened.get("/me/wallet").status_code == 200
    again = by_password(visitor, ALICE)
    assert again.post("/login/second", data={"way": "recovery", "code": typed}).status_code == 422
    with acting(CIRCLE, ALICE):
        assert factors.codes_left(ALICE.id) == 9
        factors.renew_codes(ALICE.id)
    assert again.post("/login/second", data={"way": "recovery", "code": codes[1]}).status_code == 422


def test_half_a_sign_in_reaches_the_second_factor_and_nothing_else(app, acting, visitor, seed, monkeypatch):
    """S4, over every address: a half session gets exactly what a stranger gets, but where the route says HALF."""
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)
    monkeypatch.setattr("portal.extensions.limiter.enabled", False)
    things = objects(seed)
    app_of(acting, OLGA)
    half, stranger = by_password(visitor, OLGA), visitor()
    seen, wrong = 0, []
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        permission = getattr(view, "permission", None)
        if getattr(view, "room", "") in {"ops", "api"} or permission in {None, Access.HALF, Access.PUBLIC}:
            continue
        if any(a not in things for a in rule.arguments):
            continue
        with app.test_request_context(base_url=f"http://{CIRCLE.host}:8000"):
            url = app.url_map.bind(CIRCLE.host).build(rule.endpoint, own_parts(things, rule.endpoint, rule.arguments))
        for method in rule.methods & {"GET", "POST"}:
            mine, theirs = half.open(url, method=method), stranger.open(url, method=method)
            seen += 1
            same = mine.status_code == theirs.status_code
            if not same or (mine.status_code == 303 and "/login" not in mine.location):
                wrong.append(f"{method} {url}: {mine.status_code}")
    assert wrong == []
    assert seen > 100
    assert half.get("/welcome").location.startswith("/login/second")
    for url in ("/me/security/second", "/me/security/app"):
        assert half.get(url).location.startswith("/login/second"), "no new factor beside the one that is asked for"
    assert half.post("/me/security/passkeys").location.startswith("/login/second")
    assert half.post("/passkeys/options", data={"purpose": "register"}).status_code == 403


def test_the_right_code_opens_a_new_session_and_the_half_one_ends(acting, visitor, seen_by):
    """S2: the id is another after the password, and another again after the second factor."""
    secret, _ = app_of(acting, ALICE)
    client = by_password(visitor, ALICE)
    first = cookie(client)
    page = client.get("/me/wallet")
    assert page.location.startswith("/login/second")
    answer = client.post("/login/second", data={"way": "totp", "code": now_code(acting, secret), "next": "/me/wallet"})
    assert (answer.status_code, answer.location) == (303, "/me/wallet")
    assert cookie(client) != first
    assert client.get("/me/wallet").status_code == 200
    stale = visitor()
    stale.set_cookie("sid", first, domain=CIRCLE.host)
    assert stale.get("/login/second").status_code == 303
    assert stale.get("/me/wallet").location.startswith("/login?")
    with seen_by(CIRCLE) as session:
        amr = session.scalars(select(DeviceSession.amr).where(DeviceSession.revoked_at.is_(None))).all()
    assert "pwd+totp" in amr


def test_a_person_without_a_second_factor_comes_in_as_before(visitor):
    assert by_password(visitor, ALICE).get("/me/wallet").status_code == 200


def test_whoever_leaves_half_way_is_nobody(acting, visitor):
    app_of(acting, ALICE)
    client = by_password(visitor, ALICE)
    assert client.post("/logout").status_code == 303
    assert client.get("/login/second").location.startswith("/login?")


def test_a_role_that_needs_one_makes_it_before_anything_else(app, visitor, acting, require):
    """The admin's page is not seen until there is a factor; making it ends the half session (S2)."""
    require(OLGA, "admin")
    client = by_password(visitor, OLGA)
    first = cookie(client)
    assert client.get("/admin").location.startswith("/login/second")
    assert client.get("/login/second").location.startswith("/me/security/second")
    page = client.get("/me/security/second")
    assert page.status_code == 200
    assert page.text.index("Passkey") < page.text.index("Authenticator app")
    assert client.post("/me/security/app").status_code == 303
    with acting(CIRCLE, OLGA):
        secret = factors.setup(OLGA.id, OLGA.email).secret
    assert secret[:4] in client.get("/me/security/app").text
    done = client.post("/me/security/app/confirmation", data={"code": now_code(acting, secret), "next": "/admin"})
    assert done.status_code == 200
    assert len(re.findall(r"<code>", done.text)) == 10
    assert cookie(client) != first
    assert client.get("/admin").status_code == 200


def test_a_needed_factor_is_not_the_last_to_go(acting, require):
    require(OLGA, "admin")
    app_of(acting, OLGA)
    with acting(CIRCLE, OLGA):
        method = factors.methods(OLGA.id)[0]
        with pytest.raises(factors.StillNeeded):
            factors.remove(OLGA.id, method.id)


@pytest.fixture
def require(app, monkeypatch):
    """Let the tenant want a second factor of a role."""
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants import hosts

    def require(person, role):
        with app.app_context(), tenant_scope(CIRCLE.id):
            from flask import g

            g.seeding = True
            db.session.execute(
                text("UPDATE tenants SET settings = cast(:s AS jsonb) WHERE id = :t"),
                {"s": json.dumps({"second_factor": {role: "required"}}), "t": CIRCLE.id},
            )
            db.session.commit()
            g.seeding = False
        hosts.forget()

    yield require
    hosts.forget()


def test_five_wrong_codes_and_the_sixth_waits_though_it_is_right(acting, visitor, seen_by):
    """S5, security.md 14: 5 in five minutes for a person, counted in PostgreSQL; a recovery code still opens."""
    secret, codes = app_of(acting, ALICE)
    client = by_password(visitor, ALICE)
    for _ in range(5):
        assert client.post("/login/second", data={"way": "totp", "code": "000000"}).status_code == 422
    waits = client.post("/login/second", data={"way": "totp", "code": now_code(acting, secret)})
    assert waits.status_code == 429
    assert 0 < int(waits.headers["Retry-After"]) <= 300
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(func.count()).where(LoginFailure.kind == "second")) == 5
    assert client.post("/login/second", data={"way": "recovery", "code": codes[3]}).status_code == 303


@pytest.mark.parametrize(("tries", "ago", "wait"), [(20, "30 minutes", 1800), (50, "20 hours", 14400)])
def test_twenty_an_hour_and_fifty_a_day(tries, ago, wait, acting, visitor, seed, app):
    """S5: fifty guesses a day at a code of three live steps are 0.015 % a day; then only a second channel opens."""
    from datetime import timedelta

    from portal.identity import failures

    secret, codes = app_of(acting, ALICE)
    with acting(CIRCLE):
        now = factors.sessions.real_now()
    amount, unit = ago.split()
    then = now - timedelta(**{unit: int(amount)})
    seed(
        CIRCLE,
        *(LoginFailure(kind="second", key=failures._key(f"{ALICE.id}|totp"), at=then) for _ in range(tries)),
    )
    client = by_password(visitor, ALICE)
    waits = client.post("/login/second", data={"way": "totp", "code": now_code(acting, secret)})
    assert waits.status_code == 429
    assert wait - 60 < int(waits.headers["Retry-After"]) <= wait + 1
    assert client.post("/login/second", data={"way": "recovery", "code": codes[0]}).status_code == 303


def test_ten_tries_from_an_address_whoever_they_are_for(acting, visitor):
    """S5: an address has ten in five minutes, over several people."""
    people = (ALICE, EVE, BOB)
    clients = {}
    for person in people:
        app_of(acting, person)
        clients[person] = by_password(visitor, person)
    answers = [
        clients[person].post("/login/second", data={"way": "totp", "code": "000000"}).status_code
        for person in people
        for _ in range(4)
    ]
    assert answers == [422] * 10 + [429] * 2


def test_before_what_matters_one_shows_who_one_is_once_more(sign_in, seen_by, app):
    """Step-up: after five minutes a form is held back, a factor is asked for, and the form goes on as typed."""
    client = sign_in(ALICE)
    stale(app, ALICE)
    held = client.post("/me/security/recovery-codes", headers={"Referer": f"http://{CIRCLE.host}:8000/me/security"})
    assert held.status_code == 303
    assert held.location == "/me/confirm?next=/me/security"
    assert client.post("/me/confirm", data={"way": "password", "secret": "not it at all"}).status_code == 422
    done = client.post("/me/confirm", data={"way": "password", "secret": PASSWORD, "next": "/me/security"})
    assert done.location == "/me/confirm/resume"
    page = client.get("/me/confirm/resume")
    assert 'action="/me/security/recovery-codes"' in page.text
    assert client.get("/me/confirm/resume").location == "/me"
    stale(app, ALICE)
    by_htmx = client.post("/me/security/recovery-codes", headers={"HX-Request": "true"})
    assert by_htmx.headers["HX-Redirect"].startswith("/me/confirm")


def stale(app, person):
    """Let the last proof of a person's sessions be six minutes old."""
    from flask import g

    from portal.kernel.tenancy import tenant_scope

    with app.app_context(), tenant_scope(person.tenant.id):
        g.seeding = True
        db.session.execute(
            text(
                "UPDATE device_sessions SET proved_at = clock_timestamp() - interval '6 minutes' WHERE user_id = :who"
            ),
            {"who": person.id},
        )
        db.session.commit()
        g.seeding = False


def test_the_member_hears_of_each_factor(acting, deliver, seen_by):
    app_of(acting, ALICE)
    with acting(CIRCLE, ALICE):
        factors.remove(ALICE.id, factors.methods(ALICE.id)[0].id)
        assert factors.codes_left(ALICE.id) is None
    deliver()
    with seen_by(CIRCLE) as session:
        told = session.scalars(select(Notification.kind).where(Notification.member_id == ALICE.id)).all()
    assert {"factor.added", "factor.removed"} <= set(told)


@pytest.mark.commits
@pytest.mark.parametrize("way", [factors.APP, factors.RECOVERY])
def test_of_two_who_use_one_code_at_once_one_comes_in(way, acting, visitor):
    """R19: the same code from two browsers at the same moment, real threads and commits: one is let in."""
    secret, codes = app_of(acting, ALICE)
    clients = [by_password(visitor, ALICE) for _ in range(4)]
    for client in clients:
        client.get("/login/second")
    code = now_code(acting, secret) if way == factors.APP else codes[0]
    gate = threading.Barrier(len(clients))

    def enter(client):
        gate.wait()
        return client.post("/login/second", data={"way": way, "code": code}).status_code

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(enter, clients))
    assert sorted(answers) == [303, 422, 422, 422]


def test_the_admin_says_which_roles_need_one_and_the_signed_in_are_led_to_it(sign_in, seen_by):
    """S2, S4: Frank's open session reaches nothing until he has made a factor; Alice's goes on."""
    frank, alice, olga = sign_in(FRANK), sign_in(ALICE), sign_in(OLGA)
    assert frank.get("/admin").status_code == 200
    page = olga.get("/admin/settings/security")
    assert 'value="finance"' in page.text
    assert olga.post("/admin/settings/security", data={"roles": ["finance", "admin"]}).status_code == 303
    assert frank.get("/admin").location.startswith("/login/second")
    assert frank.get("/login/second").location.startswith("/me/security/second")
    assert olga.get("/admin").location.startswith("/login/second")
    assert alice.get("/me/wallet").status_code == 200


def test_a_role_of_our_own_needs_one_as_the_admin_says(acting, sign_in, seen_by):
    """2FA-1, S4: ticked by itself, at a business too; one that nothing was said of counts as admin."""
    from portal.identity import roles

    with acting(CIRCLE, OLGA):
        ticked = roles.create_role("Stocktaker", "business", ["desk.read"])
        free = roles.create_role("Reader", "tenant", ["tiers.read"])
        roles.assign(ticked, ALICE.id, CAFE.id)
        roles.assign(free, EVE.id)
    page = sign_in(OLGA).get("/admin/settings/security").text
    assert "Stocktaker" in page
    assert "Reader" in page
    answer = sign_in(OLGA).post("/admin/settings/security", data={"roles": ["admin", str(ticked)]})
    assert answer.status_code == 303
    with seen_by(CIRCLE) as session:
        said = session.scalar(text("SELECT settings -> 'second_factor' FROM tenants WHERE id = :t"), {"t": CIRCLE.id})
    assert said == {"admin": "required", str(ticked): "required", str(free): "not_required"}
    with acting(CIRCLE):
        later = roles.create_role("Later", "tenant", ["tiers.read"])
        due = {name: factors.required([name]) for name in ("finance", str(ticked), str(free), str(later))}
        assert due == {"finance": False, str(ticked): True, str(free): False, str(later): True}
        assert factors.required(queries.role_keys(ALICE.id))
        assert not factors.required(queries.role_keys(EVE.id))


def test_whoever_has_a_ticked_role_of_our_own_is_led_to_a_factor_at_once(acting, sign_in, visitor):
    from portal.identity import roles

    with acting(CIRCLE, OLGA):
        ticked = roles.create_role("Reader", "tenant", ["audit.read"])
        roles.assign(ticked, EVE.id)
    eve = by_password(visitor, EVE)
    assert eve.get("/admin/audit").status_code == 200
    assert sign_in(OLGA).post("/admin/settings/security", data={"roles": [str(ticked)]}).status_code == 303
    assert eve.get("/admin/audit").location.startswith("/login/second")
    assert sign_in(FRANK).get("/admin").status_code == 200


def test_what_matters_asks_once_more(app):
    """Step-up: the addresses that ask for a factor no older than five minutes."""
    asking = {name for name, view in app.view_functions.items() if getattr(view, "fresh", False)}
    assert asking >= {
        "identity.change_password",
        "identity.name_method",
        "identity.remove_method",
        "identity.renew_codes",
        "identity_admin.adjust",
        "identity_settings.security",
        "partners_desk.end_role",
        "partners_desk.end_staff",
        "partners_desk.keys",
        "partners_desk.move_role",
        "partners_desk.move_staff",
        "partners_desk.staff",
        "reports_admin.file",
        "reports_desk.file",
        "roles_admin.end_assignment",
        "roles_admin.end_grant",
        "roles_admin.new_role",
        "roles_admin.role",
        "roles_admin.roles",
        "roles_admin.stop_role",
    }


def test_codes_by_mail_are_a_second_factor_once_one_has_arrived(acting, visitor, monkeypatch):
    """2FA-1, S6: chosen only after a code was typed back; asked for at the door, each once; no use beside a code that
    opened the door itself.
    """
    monkeypatch.setattr(codes.secrets, "randbelow", lambda _: 123456)
    with acting(CIRCLE, ALICE):
        asked = factors.send_code(ALICE.id, factors.EMAIL, factors.SETTING_UP)
        codes.mint(asked)
        with pytest.raises(codes.WrongCode):
            factors.add_codes(ALICE.id, asked, "654321")
        assert len(factors.add_codes(ALICE.id, asked, "123456")) == 10
        assert factors.ways(ALICE.id, "pwd") == {factors.EMAIL}
        assert factors.ways(ALICE.id, "otp-email", "hash") == {factors.PASSWORD}
        assert factors.ways(ALICE.id, "otp-sms", "hash") == {factors.EMAIL}
        db.session.rollback()
        command("test.wait")(
            lambda: db.session.execute(
                text("UPDATE one_time_codes SET created_at = created_at - interval '2 minutes' WHERE tenant_id = :t"),
                {"t": CIRCLE.id},
            )
        )()
    client = by_password(visitor, ALICE)
    assert client.post("/login/second", data={"way": "email", "code": "123456"}).status_code == 422
    assert client.post("/login/second/code", data={"way": "email"}).location.startswith("/login/second")
    with acting(CIRCLE):
        newest = db.session.scalar(text("SELECT id FROM one_time_codes ORDER BY created_at DESC LIMIT 1"))
        codes.mint(newest)
    assert client.post("/login/second", data={"way": "email", "code": "123456"}).status_code == 303
    assert client.get("/me/wallet").status_code == 200


def test_a_mailed_code_does_not_stand_for_the_code_by_sms(acting, seed, visitor, texts, monkeypatch):
    """2FA-1, S4: a member without a password whose second factor is SMS comes in by a code to the mailbox: the session is a
    half one, no new factor can be made from it, and only the code to the telephone opens it. Seen
    red with both channels dropped whichever of them opened the door: the first session was a full one.
    """
    monkeypatch.setattr(codes.secrets, "randbelow", lambda _: 123456)
    with acting(CIRCLE):
        now = factors.sessions.real_now()
    seed(CIRCLE, TwoFactorMethod(user_id=ALICE.id, kind=factors.SMS, created_at=now, confirmed_at=now))
    with acting(CIRCLE, ALICE):
        command("test.no_password")(
            lambda: db.session.execute(update(User).where(User.id == ALICE.id).values(password_hash=None))
        )()

    def newest_arrives():
        with acting(CIRCLE):
            codes.mint(db.session.scalar(text("SELECT id FROM one_time_codes ORDER BY created_at DESC LIMIT 1")))

    thief = visitor()
    thief.submit("/login", form="sign-in", email=ALICE.email, way="code")
    newest_arrives()
    thief.submit("/login/code", form="type-code", code="123456")
    assert thief.get("/me/wallet").location.startswith("/login/second")
    assert thief.get("/me/security/app").status_code != 200
    asked = thief.get("/login/second").text
    assert 'value="sms"' in asked
    assert 'value="email"' not in asked
    with acting(CIRCLE):
        halved = db.session.execute(
            select(DeviceSession.state, DeviceSession.amr).order_by(DeviceSession.created_at.desc())
        ).first()
        assert tuple(halved) == ("half", "otp-email")
    renewed(thief)
    assert thief.post("/login/second/code", data={"way": "email"}).status_code == 404
    assert thief.post("/login/second/code", data={"way": "sms"}).status_code == 303
    newest_arrives()
    assert thief.post("/login/second", data={"way": "sms", "code": "123456"}).status_code == 303
    assert thief.get("/me/wallet").status_code == 200


def test_nothing_is_paid_out_for_a_day_after_a_contact_changed(acting, seed):
    """2FA-1: a changed channel freezes withdrawals for 24 hours."""
    from datetime import timedelta

    with acting(CIRCLE):
        now = factors.sessions.real_now()
        assert factors.frozen_until(ALICE.id) is None
    changed = now - timedelta(hours=20)
    seed(CIRCLE, ContactChange(member_id=ALICE.id, kind="email", old="a", new="b", changed_at=changed))
    seed(CIRCLE, ContactChange(member_id=EVE.id, kind="email", changed_at=now - timedelta(hours=25)))
    with acting(CIRCLE):
        assert factors.frozen_until(ALICE.id) == changed + timedelta(hours=24)
        assert factors.frozen_until(EVE.id) is None
