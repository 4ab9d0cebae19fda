"""D52: who may open what. access.csv is read by people; a new route or a changed verdict shows in its diff.

Allowed = any answer but 401, 403, 404, 5xx or being sent to the door. Each call runs in a transaction rolled back.
`UPDATE_ACCESS=1 pytest tests/architecture/test_access*.py` writes the files anew; then read the diff.
Seen red: a permission removed from a route, PURCHASES_READ given to cashiers, `visible` dropped from a look-up.
"""

import csv
import os
from contextlib import closing, nullcontext
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID
from zlib import crc32

import jinja2
import pytest
from flask.testing import FlaskClient

from portal.extensions import db
from portal.kernel.authz import HALF, PUBLIC
from tests import cast
from tests.cast import uid
from tests.objects import ASKED, BESIDE, half_signed_in, named, objects, own_parts, suspended
from tests.tenants.test_domains import names
from tests.whole import in_full, tell

__all__ = ["names"]  # a fixture

MATRIX = Path(__file__).with_name("access.csv")
ROLES = {
    "anon": None,
    "member": cast.EVE,
    "cashier": cast.BOB,
    "manager": cast.CAROL,
    "owner": cast.IRINA,
    "neighbour": cast.BORIS,
    "editor": cast.ED,
    "support": cast.SAM,
    "finance": cast.FRANK,
    "admin": cast.OLGA,
    "foreign": cast.MALLORY,
}
SESSIONS = {  # what a session may be, beside whose it is
    "half": lambda seed, sign_in: sign_in(half_signed_in(seed), half=True),  # an admin's, before their second factor
    "enrolling": lambda _, sign_in: sign_in(cast.OLGA, half=True),  # who has none yet and must make one
    "suspended": lambda seed, sign_in: sign_in(suspended(seed)),  # an admin's, whose account was stopped
    "looking": lambda _, sign_in: sign_in(cast.EVE, impersonator_id=cast.SAM.id),  # support through the member's eyes
}
WHO = (*ROLES, *SESSIONS)
STRANGERS = ("foreign", "half", "enrolling", "suspended")  # whose session says nobody, but where the view itself asks
SKIPPED = {"static", "healthz", "readyz", "metrics"}
OPS = "ops.localhost"


def routes(app):
    """(endpoint, method, rule) of every address of a tenant; GET first."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda r: r.endpoint):
        view = app.view_functions[rule.endpoint]
        if (
            rule.endpoint in SKIPPED
            or rule.endpoint.startswith("openapi")
            or getattr(view, "room", "") in {"api", "ops"}
        ):
            continue
        yield from methods_of(rule)


def routes_of(app, room):
    """Those of the rooms `api` and `ops`, which are no pages of a tenant."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda r: r.endpoint):
        if getattr(app.view_functions[rule.endpoint], "room", "") == room:
            yield from methods_of(rule)


def methods_of(rule):
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        if method in rule.methods:
            yield rule.endpoint, method, rule


def address(app, rule, values):
    with app.test_request_context(base_url=f"http://{cast.CIRCLE.host}:8000"):
        return app.url_map.bind(cast.CIRCLE.host).build(rule.endpoint, values)


def allowed(response):
    if response.status_code in {401, 403, 404} or response.status_code >= 500:
        return False
    ahead = urlsplit(response.headers.get("Location", "")).path
    return not (response.status_code in {302, 303} and (ahead.startswith("/login") or ahead == "/second"))


def opened(client, method, url, *, endpoint="", body=None, **headers):
    """An answer, read to its end; what stands on the page is looked at elsewhere. `body` goes as JSON."""
    asked = {"method": method, "headers": headers, "base_url": f"http://{client.host}:8000", "json": body}
    more = ASKED.get((endpoint, "GET" if method == "HEAD" else method), {})
    headers |= more.get("headers", {})
    with closing(FlaskClient.open(client, url, **{**asked, **more, "headers": headers})) as response:
        response.get_data()
    return response


def judge(found, file, columns):
    """Hold verdicts against their file, or write it anew."""
    if os.environ.get("UPDATE_ACCESS"):
        with file.open("w", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(["endpoint", "method", *columns])
            writer.writerows([*key, *row.values()] for key, row in sorted(found.items()))
    listed = {key: {name: row[name] for name in found.get(key, columns)} for key, row in listing(file).items()}
    assert found.keys() - listed.keys() == set(), f"a new route needs its row in {file.name}"
    assert listed.keys() - found.keys() == set(), f"a row of {file.name} has lost its route"
    assert {k: v for k, v in found.items() if v != listed[k]} == {}


def listing(file):
    return {(r["endpoint"], r["method"]): r for r in csv.DictReader(file.read_text().splitlines())}


@pytest.fixture
def things(seed):
    return objects(seed)


@pytest.fixture
def alone(app, seed):
    """One request, read to its end, of which nothing stays: what one case ends or uses up is there for the next."""
    connection = db._app_engines[app][None]

    def alone(client, method, url, *, endpoint="", **headers):
        kept = {name: client.get_cookie(name, domain=client.host) for name in ("sid", "anon")}
        with connection.begin_nested() as before:
            with BESIDE[endpoint](seed, client) if endpoint in BESIDE else nullcontext():
                response = opened(client, method, url, endpoint=endpoint, **headers)
            before.rollback()
        for name, cookie in kept.items():  # signing out takes it, the door gives it
            client.delete_cookie(name, domain=client.host)
            if cookie:
                client.set_cookie(name, cookie.value, domain=client.host)
        return response

    return alone


@pytest.fixture
def everybody(app, seed, sign_in, visitor, names, monkeypatch):
    """A browser of each of WHO. A missing token would hide who may; tokens have tests of their own."""
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)
    monkeypatch.setattr(
        "portal.identity.stepup.AGE", timedelta(hours=3)
    )  # a busy machine takes longer than a proof holds
    monkeypatch.setattr("portal.identity.sessions.SEEN_EVERY", timedelta(hours=3))  # what is rolled back is never seen
    signed = {name: sign_in(who, at=cast.CIRCLE) if who else visitor() for name, who in ROLES.items()}
    return {**signed, **{name: begin(seed, sign_in) for name, begin in SESSIONS.items()}}


def asked_of(app, endpoint):
    """Who calls an address in the short form: of STRANGERS one by its name, but all where strangers may come."""
    if os.environ.get("UPDATE_ACCESS") or getattr(app.view_functions[endpoint], "permission", PUBLIC) in {PUBLIC, HALF}:
        return WHO
    left_out = {*STRANGERS} - {STRANGERS[crc32(endpoint.encode()) % len(STRANGERS)]}
    return [name for name in WHO if name not in left_out]


def test_everybody_may_what_the_matrix_says(app, things, alone, everybody, monkeypatch):
    """Nothing is drawn of what they may see: the whole matrix does that."""
    monkeypatch.setattr(jinja2.Template, "render", lambda *_, **__: "")
    found, broken = {}, []
    for endpoint, method, rule in routes(app):
        missing = [a for a in rule.arguments if a not in things]
        assert not missing, f"{endpoint}: tests/objects.py does not know {missing}"
        url = address(app, rule, own_parts(things, endpoint, rule.arguments))
        row = {}
        for name in asked_of(app, endpoint):
            response = alone(everybody[name], method, url, endpoint=endpoint)
            if response.status_code >= 500:
                broken.append(f"{name} {method} {url}: {response.status_code}")
            row[name] = "allow" if allowed(response) else "deny"
        found[endpoint, method] = row
    assert broken == []
    judge(found, MATRIX, WHO)


def test_what_sessions_may_follows_from_whose_they_are(app):
    """S4, S14: who looks through a member's eyes reads what the member reads and writes nothing; half a session, and one
    of a suspended account, reach no more than a stranger does and the second factor's own pages.
    """
    stop = {"identity.stop_looking", "identity.language", "identity.theme"}
    for (endpoint, method), row in listing(MATRIX).items():
        halves = getattr(app.view_functions[endpoint], "permission", None) is HALF
        if method == "GET":
            assert row["looking"] in {row["member"], "deny"}, endpoint
        elif endpoint not in stop:
            assert row["looking"] == "deny", endpoint
        assert row["suspended"] == row["anon"], endpoint
        for half in ("half", "enrolling"):
            assert halves or row[half] in {row["anon"], "deny"}, endpoint


def test_another_tenants_objects_do_not_exist(app, things, sign_in, monkeypatch):
    """Every address with an object in it, asked by the admin and the owner with a foreign object: 404 (style.md 9)."""
    monkeypatch.setattr(jinja2.Template, "render", lambda *_, **__: "")
    seen = 0
    wrong = []
    for who in (cast.OLGA, cast.IRINA, cast.EVE):
        client = sign_in(who)
        for endpoint, method, rule in routes(app):
            known = named(things, endpoint, rule.arguments)
            for strange in (a for a in known if known[a].foreign is not None):
                url = address(app, rule, {a: one.foreign if a == strange else one.own for a, one in known.items()})
                response = client.open(url, method=method)
                response.get_data()
                response.close()
                seen += 1
                if response.status_code not in {401, 403, 404}:
                    wrong.append(f"{who.name} {method} {url}: {response.status_code}")
    assert wrong == []
    assert seen > 20


METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")


def kinds(response):
    """What an answer says: `allow`, `deny`, `absent` (no such method), or its status where that is none of these."""
    if response.status_code >= 500:
        return str(response.status_code)
    if response.status_code == 405:
        return "absent"
    return "allow" if allowed(response) else "deny"


def whose(endpoint, rule, things):
    """(whose, address values): own, and where the address names a row of a tenant a foreign one and one that never was."""
    known = named(things, endpoint, rule.arguments)
    own = {a: thing.own for a, thing in known.items()}
    yield "own", own
    for name, thing in known.items():
        if thing.foreign is not None:
            yield "foreign", {**own, name: thing.foreign}
        if isinstance(thing.own, UUID):
            yield "missing", {**own, name: uid(99_999)}


def whole(app, ways, things, callers, listed, call):
    """Addresses × METHODS × whose × callers × by htmx or not, held against `listed`: (cases, wrong ones)."""
    cases, wrong = 0, []
    offered = {method: (endpoint, rule) for endpoint, method, rule in ways}
    for method in METHODS:
        listed_as = "GET" if method == "HEAD" else method
        endpoint, rule = offered.get(listed_as, ways[0][::2])
        for owner, values in whose(endpoint, rule, things):
            if owner != "own" and listed_as not in offered:
                continue
            url = address(app, rule, values)
            row = listed.get((endpoint, listed_as)) if listed_as in offered else None
            for name, caller in callers.items():
                for htmx in ({}, {"HX-Request": "true"}) if listed_as in offered else ({},):
                    response = call(caller, method, url, endpoint=endpoint, **htmx)
                    found = kinds(response)
                    cases += 1
                    case = f"{name} {method} {url} {owner} {'htmx' if htmx else ''}: {response.status_code}"
                    if listed_as not in offered:
                        wrong += [case] if found not in {"deny", "absent"} else []
                    elif row is None or found != (row[name] if owner == "own" else "deny"):
                        wrong.append(case)
    return cases, wrong


def told(counted):
    """Whether anything is wrong among what each place counted."""
    cases, wrong = (sum(column, type(column[0])()) for column in zip(*counted, strict=True))
    tell(cases, wrong)
    assert wrong == []


PARTS = 16  # a transaction each: what is rolled back in one keeps locks until its end


@in_full
@pytest.mark.parametrize("part", range(PARTS))
def test_the_whole_matrix(app, things, alone, everybody, monkeypatch, part):
    """Own objects as access.csv says, by HEAD as by GET and by htmx as without; others' and missing ones for nobody."""
    listed, rules = listing(MATRIX), {}
    for endpoint, method, rule in routes(app):
        rules.setdefault(rule.rule, []).append((endpoint, method, rule))
    told([whole(app, ways, things, everybody, listed, alone) for ways in [*rules.values()][part::PARTS]])
