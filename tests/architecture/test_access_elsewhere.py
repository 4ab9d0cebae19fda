"""T3 beside the pages of a tenant: what each key of the API opens (access_api.csv), and the operator's room (access_ops.csv).

A key of no scope opens `ping` alone, one of another shop nothing of this one's, one of another tenant nothing at all.
Seen red: a scope dropped from a route of the API, `keep_apart` left out, a page of the room opened to half a session.
"""

import os
from pathlib import Path

import psycopg
import pytest

from tests.architecture.test_access import (
    OPS,
    address,
    allowed,
    alone,
    judge,
    listing,
    opened,
    routes,
    routes_of,
    told,
    whole,
)
from tests.cast import ALICE, BOOKS, CAFE, CIRCLE, FOREIGN_CAFE, GLOBEX, OLGA, OPERATOR_EMAIL, TRENT, uid
from tests.objects import Thing, _claim, objects, own_parts
from tests.tenants.test_domains import names
from tests.whole import in_full

__all__ = ["alone", "names"]  # fixtures
BODIES = {  # of the API's calls that write: one without a body is refused before it is known whose the purchase is
    "api.create_purchase": {"external_id": "S-1", "member": ALICE.card, "amount": "100.00", "currency": "RUB"},
    "api.create_refund": {"external_id": "R-1", "amount": "1.00"},
}
PASSKEY, ELSEWHERE = uid(1_002), uid(1_004)  # of the operator: a key, and a session in another browser
OF_KEYS, OF_OPERATORS = (Path(__file__).with_name(f"access_{room}.csv") for room in ("api", "ops"))


@pytest.fixture
def callers(app, acting, visitor, sign_in, seed):
    """Callers of the API by name: a browser and the key that it shows."""
    from portal.partners.keys import SCOPES, create_key, revoke_key

    def made(shop=CAFE, tenant=CIRCLE, scopes=SCOPES, *, ended=False):
        with acting(tenant):
            key_id, key = create_key(shop.id, "Till", scopes)
            if ended:
                revoke_key(key_id)
        return key

    every = made()
    shown = {
        "none": "",
        "wrong": every[:-1] + ("1" if every.endswith("0") else "0"),
        **{str(scope): made(scopes=[scope]) for scope in SCOPES},
        "every": every,
        "neighbour": made(BOOKS),
        "foreign": made(FOREIGN_CAFE, GLOBEX),
        "ended": made(ended=True),
    }
    return {**{name: (visitor(), key) for name, key in shown.items()}, "session": (sign_in(OLGA), "")}


@pytest.fixture
def by_key(alone):
    """A call with the caller's key, of which nothing stays; no limit on tries stands in its way."""
    from portal.kernel.redis import redis

    def by_key(caller, method, url, *, endpoint="", **headers):
        client, key = caller
        redis().flushdb()
        sent = {"Authorization": f"Bearer {key}", "Idempotency-Key": "a-call"} if key else {}
        return alone(client, method, url, endpoint=endpoint, body=BODIES.get(endpoint), **sent, **headers)

    return by_key


@pytest.fixture
def api_things(seed):
    return {**objects(seed), "card_or_phone": Thing(ALICE.card, TRENT.card)}


def test_every_key_opens_its_scopes_and_no_more(app, api_things, callers, by_key):
    found = {}
    for endpoint, method, rule in routes_of(app, "api"):
        url = address(app, rule, own_parts(api_things, endpoint, rule.arguments))
        answers = {name: by_key(caller, method, url, endpoint=endpoint).status_code for name, caller in callers.items()}
        assert max(answers.values()) < 500, answers
        found[endpoint, method] = {
            name: "deny" if status in {401, 403, 404} else "allow" for name, status in answers.items()
        }
    judge(found, OF_KEYS, (*callers,))


def test_a_key_opens_no_page(app, api_things, callers, by_key):
    """What a key opens is of the API; on a page it is a stranger's header (T3)."""
    listed = listing(Path(__file__).with_name("access.csv"))
    for endpoint, method, rule in routes(app):
        if method == "GET" and listed[endpoint, method]["anon"] == "deny":
            url = address(app, rule, own_parts(api_things, endpoint, rule.arguments))
            assert not allowed(by_key(callers["every"], method, url)), url


@pytest.fixture
def in_the_room(app, visitor, monkeypatch, names):
    """A browser of an operator, after the second factor or before it; a `bare` one has no factor yet."""
    from portal.platform import service, sessions

    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)
    with app.app_context():
        kept, fresh = (
            service.create_operator(email, "Sergey Petrov", "lantern orchard seventeen")
            for email in (OPERATOR_EMAIL, f"new-{OPERATOR_EMAIL}")
        )

    def in_the_room(*, half=False, bare=False):
        superuser.execute("DELETE FROM operator_factors; DELETE FROM operator_passkeys")
        superuser.execute(
            "INSERT INTO operator_sessions (token_hash, id, operator_id, user_agent, ip, idle_until, expires_at, state)"
            " VALUES ('elsewhere', %s, %s, '', '127.0.0.1', now() + '1 h', now() + '1 h', 'full') ON CONFLICT DO NOTHING",
            (ELSEWHERE, kept),
        )
        superuser.execute(
            "INSERT INTO operator_factors (operator_id, id, secret, confirmed_at) VALUES (%s, %s, '', now())",
            (kept, uid(1_003)),
        )
        superuser.execute(
            "INSERT INTO operator_passkeys (id, operator_id, name, credential_id, public_key, sign_count, transports, rp_id)"
            " VALUES (%s, %s, 'Key', '', '', 0, '', %s)",
            (PASSKEY, kept, OPS),
        )
        browser = visitor(OPS)
        with app.test_request_context():
            browser.set_cookie("sid", sessions.open_session(fresh if bare else kept, half=half), domain=OPS)
        return browser

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as superuser:
        yield in_the_room


@pytest.fixture
def operators(sign_in, visitor, in_the_room):
    """Who calls in the operator's room, by name; after a call that writes a session is opened anew, since one ends it."""

    def calls(begin):
        browsers = []

        def call(method, url, **headers):
            browser = browsers.pop() if browsers else begin()
            if method in {"GET", "HEAD"}:
                browsers.append(browser)
            return opened(browser, method, url, **headers)

        return call

    def admin():
        browser = visitor(OPS)
        browser.set_cookie("sid", sign_in(OLGA).get_cookie("sid", domain=CIRCLE.host).value, domain=OPS)
        return browser

    ways = {
        "anon": lambda: visitor(OPS),
        "half": lambda: in_the_room(half=True),
        "enrolling": lambda: in_the_room(half=True, bare=True),
        "operator": in_the_room,
        "admin": admin,
    }
    return {name: calls(begin) for name, begin in ways.items()}


@pytest.fixture
def ops_things(seed):
    return {
        "tenant_id": Thing(CIRCLE.id),
        "claim_id": Thing(_claim(seed, CIRCLE, None, None, None, uid(1_001))),
        "passkey_id": Thing(PASSKEY),
        "session_id": Thing(ELSEWHERE),
    }


@pytest.mark.commits
def test_the_operators_room_is_the_operators(app, ops_things, operators):
    """Half a session has the second factor's pages, and those that make one only while there is none (S4).

    Signing out leads everybody to the door, so its row denies.
    """
    found = {}
    for endpoint, method, rule in routes_of(app, "ops"):
        url = address(app, rule, own_parts(ops_things, endpoint, rule.arguments))
        answers = {name: call(method, url) for name, call in operators.items()}
        assert max(answer.status_code for answer in answers.values()) < 500, url
        found[endpoint, method] = {name: "allow" if allowed(answer) else "deny" for name, answer in answers.items()}
    judge(found, OF_OPERATORS, (*operators,))


@pytest.mark.commits
def test_the_rooms_are_apart(app, api_things, in_the_room, sign_in):
    """On the operator's host no page of a tenant is there, on a tenant's none of the room's; a few addresses are both's."""
    both = {"/login", "/logout", "/passkeys/options", "/language", "/theme", "/login/passkey", "/"}
    inside, olga, wrong = in_the_room(), sign_in(OLGA), []
    for endpoint, method, rule in (*routes(app), *routes_of(app, "api")):
        if rule.rule not in both:
            url = address(app, rule, own_parts(api_things, endpoint, rule.arguments))
            wrong += [url] if allowed(opened(inside, method, url)) else []
    for _, method, rule in routes_of(app, "ops"):
        if rule.rule not in both:
            url = address(app, rule, dict.fromkeys(rule.arguments, CIRCLE.id))
            wrong += [url] if allowed(opened(olga, method, url)) else []
    assert wrong == []


@in_full
def test_the_whole_matrix_of_keys(app, api_things, callers, by_key):
    """Own objects as access_api.csv says, by HEAD as by GET; other tenants' and missing ones for nobody."""
    listed, rules = listing(OF_KEYS), {}
    for endpoint, method, rule in routes_of(app, "api"):
        rules.setdefault(rule.rule, []).append((endpoint, method, rule))
    told([whole(app, ways, api_things, callers, listed, by_key) for ways in rules.values()])


@in_full
@pytest.mark.commits
def test_the_whole_matrix_of_operators(app, ops_things, operators):
    """The same of the operator's room."""
    listed, rules = listing(OF_OPERATORS), {}
    for endpoint, method, rule in routes_of(app, "ops"):
        rules.setdefault(rule.rule, []).append((endpoint, method, rule))

    def call(caller, method, url, *, endpoint, **headers):
        return caller(method, url, **headers)

    told([whole(app, ways, ops_things, operators, listed, call) for ways in rules.values()])
