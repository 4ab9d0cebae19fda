"""D52: who may open what. access.csv is read by people; a new route or a changed verdict shows in its diff.

Allowed = any answer but 401, 403, 404, 5xx or being sent to the door. Each call runs in a transaction rolled back.
`UPDATE_ACCESS=1 pytest tests/architecture/test_access.py` writes the file anew; then read the diff.
Seen red: a permission removed from a route, PURCHASES_READ given to cashiers, `visible` dropped from a look-up.
"""

import csv
import json
import os
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from portal.extensions import db
from tests import cast
from tests.cast import uid
from tests.objects import objects

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
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            if method in rule.methods:
                yield rule.endpoint, method, rule


def address(app, rule, values):
    with app.test_request_context(base_url=f"http://{cast.CIRCLE.host}:8000"):
        return app.url_map.bind(cast.CIRCLE.host).build(rule.endpoint, values)


def allowed(response):
    if response.status_code in {401, 403, 404} or response.status_code >= 500:
        return False
    return not (response.status_code in {302, 303} and "/login" in response.headers.get("Location", ""))


@pytest.fixture
def things(seed):
    return objects(seed)


@pytest.fixture
def alone(app):
    """One request, read to its end, of which nothing stays: what one case ends or uses up is there for the next."""
    connection = db._app_engines[app][None]

    def alone(client, method, url, **headers):
        cookie = client.get_cookie("sid", domain=cast.CIRCLE.host)
        with connection.begin_nested() as before:
            with closing(client.open(url, method=method, headers=headers)) as response:
                response.get_data()
            before.rollback()
        if cookie:  # signing out takes it
            client.set_cookie("sid", cookie.value, domain=cast.CIRCLE.host)
        return response

    return alone


def test_everybody_may_what_the_matrix_says(app, things, alone, visitor, sign_in, monkeypatch):
    monkeypatch.setitem(
        app.config, "WTF_CSRF_ENABLED", False
    )  # a missing token would hide who may; tokens have tests of their own
    clients = {name: sign_in(who, at=cast.CIRCLE) if who else visitor() for name, who in ROLES.items()}
    found, broken = {}, []
    for endpoint, method, rule in routes(app):
        missing = [a for a in rule.arguments if a not in things]
        assert not missing, f"{endpoint}: tests/objects.py does not know {missing}"
        url = address(app, rule, {a: things[a].own for a in rule.arguments})
        row = {}
        for name, client in clients.items():
            response = alone(client, method, url)
            if response.status_code >= 500:
                broken.append(f"{name} {method} {url}: {response.status_code}")
            row[name] = "allow" if allowed(response) else "deny"
        found[endpoint, method] = row
    assert broken == []
    if os.environ.get("UPDATE_ACCESS"):
        with MATRIX.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["endpoint", "method", *ROLES])
            writer.writerows([*key, *row.values()] for key, row in sorted(found.items()))
    listed = {
        (r["endpoint"], r["method"]): {name: r[name] for name in ROLES}
        for r in csv.DictReader(MATRIX.read_text().splitlines())
    }
    assert found.keys() - listed.keys() == set(), "a new route needs its row in access.csv"
    assert listed.keys() - found.keys() == set(), "a row of access.csv has lost its route"
    assert {k: v for k, v in found.items() if v != listed[k]} == {}


def test_another_tenants_objects_do_not_exist(app, things, sign_in):
    """Every address with an object in it, asked by the admin and the owner with a foreign object: 404 (style.md 9)."""
    seen = 0
    wrong = []
    for who in (cast.OLGA, cast.IRINA, cast.EVE):
        client = sign_in(who)
        for endpoint, method, rule in routes(app):
            ids = [a for a in rule.arguments if things[a].foreign is not None]
            if not ids:
                continue
            for strange in ids:
                url = address(
                    app, rule, {a: things[a].foreign if a == strange else things[a].own for a in rule.arguments}
                )
                response = client.open(url, method=method)
                response.get_data()
                response.close()
                status = response.status_code
                seen += 1
                if status not in {401, 403, 404}:
                    wrong.append(f"{who.name} {method} {url}: {status}")
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


def whose(rule, things):
    """(whose, address values): own, and where the address names a row of a tenant a foreign one and one that never was."""
    own = {a: things[a].own for a in rule.arguments}
    yield "own", own
    for name in rule.arguments:
        if things[name].foreign is not None:
            yield "foreign", {**own, name: things[name].foreign}
            if isinstance(things[name].own, UUID):
                yield "missing", {**own, name: uid(99_999)}


PARTS = 16  # a transaction each: what is rolled back in one keeps locks until its end


@pytest.mark.skipif(not os.environ.get("WHOLE_MATRIX"), reason="make prove ONLY=access")
@pytest.mark.parametrize("part", range(PARTS))
def test_the_whole_matrix(app, things, alone, visitor, sign_in, monkeypatch, part):
    """Own objects as access.csv says, by HEAD as by GET and by htmx as without; others' and missing ones for nobody.

    What it counted goes as a line of JSON into the file that WHOLE_MATRIX names.
    """
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)
    monkeypatch.setattr("portal.identity.stepup.AGE", timedelta(hours=3))  # it takes longer than a proof holds
    clients = {name: sign_in(who, at=cast.CIRCLE) if who else visitor() for name, who in ROLES.items()}
    listed = {(r["endpoint"], r["method"]): r for r in csv.DictReader(MATRIX.read_text().splitlines())}
    rules = {}
    for endpoint, method, rule in routes(app):
        rules.setdefault(rule.rule, []).append((endpoint, method, rule))
    cases, wrong, unclassified = 0, [], []
    for ways in [*rules.values()][part::PARTS]:
        offered = {method: (endpoint, rule) for endpoint, method, rule in ways}
        for method in METHODS:
            listed_as = "GET" if method == "HEAD" else method
            endpoint, rule = offered.get(listed_as, ways[0][::2])
            for owner, values in whose(rule, things):
                if owner != "own" and listed_as not in offered:
                    continue
                url = address(app, rule, values)
                for name, client in clients.items():
                    for htmx in ({}, {"HX-Request": "true"}) if listed_as in offered else ({},):
                        response = alone(client, method, url, **htmx)
                        found = kinds(response)
                        cases += 1
                        row = listed.get((endpoint, listed_as)) if listed_as in offered else None
                        case = f"{name} {method} {url} {owner} {'htmx' if htmx else ''}: {response.status_code}"
                        if found not in {"allow", "deny", "absent"}:
                            unclassified.append(case)
                        elif listed_as not in offered:
                            wrong += [case] if found == "allow" else []
                        elif row is None:
                            unclassified.append(case)
                        elif found != (row[name] if owner == "own" else "deny"):
                            wrong.append(case)
    with open(os.environ["WHOLE_MATRIX"], "a") as told:
        told.write(json.dumps({"cases": cases, "wrong": wrong, "unclassified": unclassified}) + "\n")
    assert (wrong, unclassified) == ([], [])
