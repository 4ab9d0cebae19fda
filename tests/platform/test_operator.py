"""The operator's room on ops.<base>."""

import re

import psycopg
import pytest

from portal.platform import service
from portal.settings import settings
from tests.cast import ALICE, CIRCLE, GLOBEX, MALLORY, OLGA, OPERATOR_EMAIL, PASSWORD

OPS = "ops.localhost"
SECRET = "lantern orchard seventeen"
PAGES = ("/tenants", "/domains", "/health", "/audit")

pytestmark = pytest.mark.commits


@pytest.fixture
def operator(app):
    with app.app_context():
        return service.create_operator(OPERATOR_EMAIL, "Sergey Petrov", SECRET)


@pytest.fixture
def inside(visitor, operator):
    browser = visitor(OPS)
    assert enter(browser).status_code == 303
    return browser


def enter(browser, email=OPERATOR_EMAIL, password=SECRET, url="/login"):
    return browser.submit(url, form="sign-in", email=email, password=password)


def ask(statement, *values):
    with psycopg.connect(settings().database_url("portal_owner")) as connection:
        answer = connection.execute(statement, values)
        return answer.fetchall() if answer.description else None


def test_a_stranger_is_sent_to_the_door_and_back(visitor, operator):
    for url in PAGES:
        answer = visitor(OPS).get(url)
        assert (answer.status_code, answer.location) == (303, f"/login?next={url}")
    browser = visitor(OPS)
    assert enter(browser, url="/login?next=/health").location == "/health"
    assert enter(visitor(OPS), url="/login?next=//evil.example").location == "/tenants"


def test_the_tenants_with_their_figures(inside):
    page = inside.get("/tenants").text
    assert page.index("Circle") < page.index("Globex")
    for tenant in (CIRCLE, GLOBEX):
        assert f'id="tenant-{tenant.slug}"' in page
        assert tenant.host in page
    row = page.split('id="tenant-circle"')[1].split("</tr>")[0]
    assert re.findall(r'<td class="r[^"]*">([^<]+)</td>', row) == ["10", "2", "0", "0", "0"]
    assert "Well" in row
    assert "Alice" not in page


def test_the_tenants_are_found_by_the_beginning_of_name_or_host(inside):
    page = inside.get("/tenants?q=glob", headers={"HX-Request": "true"}).text
    assert "Globex" in page
    assert "Circle" not in page
    assert "<title>" not in page
    assert "No tenant begins like this" in inside.get("/tenants?q=zzz").text


def test_health_shows_every_store_answering(inside):
    page = inside.get("/health").text
    for word in ("PostgreSQL", "Redis", "ClickHouse", "Python"):
        assert word in page
    assert "everything answers" in page
    assert "unreachable" not in page


def test_dead_deliveries_show_on_both_pages(inside, acting):
    from portal.identity.service import register_member

    with acting(CIRCLE):
        register_member(name="New Member", joined_via="till")
    with psycopg.connect(settings().database_url("portal_relay")) as relay:
        killed = relay.execute("UPDATE outbox_deliveries SET status = 'dead'").rowcount
    if not killed:
        pytest.skip("nobody listens to a member's joining")
    assert "Dead deliveries" in inside.get("/tenants").text.split('id="tenant-circle"')[1].split("</tr>")[0]
    assert "Dead deliveries" not in inside.get("/tenants").text.split('id="tenant-globex"')[1].split("</tr>")[0]
    assert "text-error" in inside.get("/health").text


def test_every_look_is_written_down(inside, operator):
    for url in PAGES:
        inside.get(url)
    made, *rows = ask("SELECT action, operator_id, ip FROM platform_audit ORDER BY seq")
    assert made == ("operator.create", None, None)
    assert [r[0] for r in rows] == ["operator.sign_in", "tenants.read", "domains.read", "health.read", "audit.read"]
    assert {r[1] for r in rows} == {operator}
    assert {r[2] for r in rows} == {"127.0.0.1"}
    page = inside.get("/audit").text
    assert page.index("health.read") < page.index("tenants.read")
    assert "Sergey Petrov" in page


def test_the_log_is_paged(inside, monkeypatch):
    from portal.platform import audit

    monkeypatch.setattr(audit, "SHOWN", 2)
    for _ in range(3):
        inside.get("/tenants")
    page = inside.get("/audit").text
    older = re.search(r'rel="next" href="([^"]+)"', page)[1]
    first = re.findall(r'id="entry-(\d+)"', page)
    second = re.findall(r'id="entry-(\d+)"', inside.get(older).text)
    assert len(first) == len(second) == 2
    assert int(second[0]) < int(first[-1])


def test_the_log_cannot_be_changed_by_whoever_uses_the_room(inside):
    with (
        psycopg.connect(settings().database_url("portal_platform")) as platform,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        platform.execute("DELETE FROM platform_audit")


def test_nobody_of_a_tenant_comes_in(visitor, operator, sign_in):
    for person in (OLGA, MALLORY):
        assert enter(visitor(OPS), email=person.email, password=PASSWORD).status_code == 422
    token = sign_in(OLGA).get_cookie("sid", domain=CIRCLE.host).value
    browser = visitor(OPS)
    browser.set_cookie("sid", token, domain=OPS)
    assert browser.get("/tenants").status_code == 303


def test_an_operator_is_nobody_in_a_tenant(inside, visitor):
    token = inside.get_cookie("sid", domain=OPS).value
    browser = visitor(CIRCLE)
    browser.set_cookie("sid", token, domain=CIRCLE.host)
    assert browser.get("/admin/members").status_code == 303
    assert enter(visitor(CIRCLE)).status_code == 422


def test_the_two_rooms_do_not_show_each_other(inside, sign_in, visitor):
    olga = sign_in(OLGA)
    for url in PAGES:
        assert olga.get(url).status_code == 404
        assert visitor().get(url).status_code == 404
    for url in (
        "/me/more",
        "/me/card",
        "/admin/members",
        "/join",
        f"/c/{ALICE.card}",
        "/admin/members/new",
        "/manifest.webmanifest",
        "/api/v1/ping",
    ):
        assert inside.get(url).status_code == 404, url
    assert inside.get("/healthz").status_code == 200


def test_unknown_and_wrong_get_the_same_answer(visitor, operator):
    pages = [
        enter(visitor(OPS), email, "wrong password") for email in (OPERATOR_EMAIL, "nobody@krug.example", "gibberish")
    ]
    assert {p.status_code for p in pages} == {422}
    assert all("E-mail or password is wrong." in p.text for p in pages)


def test_ten_wrong_passwords_and_the_door_waits(visitor, operator):
    for n in range(10):
        browser = visitor(OPS)
        browser.environ_base["REMOTE_ADDR"] = f"10.0.0.{n}"
        assert enter(browser, password="wrong password").status_code == 422
    refused = enter(visitor(OPS))
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 301
    assert "Wait 5 minutes" in refused.text


def test_ten_wrong_names_from_one_address_and_it_waits(visitor, operator):
    browser = visitor(OPS)
    for n in range(10):
        assert enter(browser, f"nobody{n}@krug.example", "x").status_code == 422
    assert enter(browser).status_code == 429
    other = visitor(OPS)
    other.environ_base["REMOTE_ADDR"] = "10.0.0.9"
    assert enter(other).status_code == 303


def test_the_session_is_a_new_one_short_lived_and_kept_as_a_hash(visitor, operator):
    browser = visitor(OPS)
    browser.set_cookie("sid", "planted", domain=OPS)
    enter(browser)
    token = browser.get_cookie("sid", domain=OPS).value
    assert token != "planted"
    ((stored, idle, whole),) = ask(
        "SELECT token_hash, extract(epoch FROM idle_until - created_at)::int, extract(epoch FROM expires_at - created_at)::int FROM operator_sessions"
    )
    assert stored != token
    assert (round(idle / 60), round(whole / 3600)) == (15, 4)


@pytest.mark.parametrize("column", ["idle_until", "expires_at"])
def test_sessions_end_by_themselves(inside, column):
    ask(f"UPDATE operator_sessions SET {column} = clock_timestamp() - interval '1 second'")
    assert inside.get("/tenants").status_code == 303


def test_looking_keeps_the_session_but_never_past_its_end(inside):
    ask(
        "UPDATE operator_sessions SET idle_until = clock_timestamp() + interval '1 minute', expires_at = clock_timestamp() + interval '5 minutes'"
    )
    inside.get("/tenants")
    ((left,),) = ask("SELECT extract(epoch FROM idle_until - clock_timestamp())::int FROM operator_sessions")
    assert 240 < left <= 300


def test_signing_out_ends_it(inside, visitor):
    token = inside.get_cookie("sid", domain=OPS).value
    page = inside.get("/tenants").text
    csrf = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]
    assert inside.post("/logout", data={"csrf_token": csrf}, csrf=False).location == "/login"
    thief = visitor(OPS)
    thief.set_cookie("sid", token, domain=OPS)
    assert thief.get("/tenants").status_code == 303
    assert ask("SELECT action FROM platform_audit ORDER BY seq DESC LIMIT 1") == [("operator.sign_out",)]


def test_without_its_token_the_door_does_nothing(visitor, operator):
    assert (
        visitor(OPS).post("/login", data={"email": OPERATOR_EMAIL, "password": SECRET}, csrf=False).status_code == 400
    )


def test_language_and_theme_of_the_room(inside):
    csrf = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', inside.get("/tenants").text)[1]
    inside.post("/language", data={"locale": "ru", "csrf_token": csrf}, csrf=False)
    inside.post("/theme", data={"theme": "dark", "csrf_token": csrf}, csrf=False)
    page = inside.get("/tenants").text
    assert 'lang="ru"' in page
    assert 'data-theme="dark"' in page


def test_an_operator_made_again_gets_the_new_password_and_is_signed_out(app, visitor, inside, operator):
    """S2. Seen red with the sessions left open: the old browser went on."""
    assert inside.get("/tenants").status_code == 200
    with app.app_context():
        assert service.create_operator(OPERATOR_EMAIL.upper(), "Sergey P.", "orchard lantern eighteen") == operator
    assert inside.get("/tenants").location.startswith("/login")
    assert enter(visitor(OPS)).status_code == 422
    assert enter(visitor(OPS), password="orchard lantern eighteen").status_code == 303
