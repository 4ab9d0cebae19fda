"""S1: no other site and no other session writes here: every unsafe address, every way of forging, and the state stays as it was.

Seen red before `?_method=POST` was kept from the links of lists (tests/web/test_addresses.py).
"""

import csv
import json
from contextlib import closing

import pytest

from tests import cast
from tests.architecture.test_access import MATRIX, ROLES, address, routes
from tests.objects import objects, own_parts
from tests.tables import of_every_table
from tests.whole import share, tell

ONE_CLICK = {  # RFC 8058: the mail program holds nothing but the signed address; Telegram shows its secret in a header
    "messages_public.create_unsubscription",
    "telegram.hook",
}
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
OPS = "ops.localhost"
READS = {"audit_entries": "action NOT LIKE '%.read_%'"}  # a GET may leave these (AUD-2)
MOVING = ["last_seen_at", "idle_until"]  # of a session that is in use, and Flask-Login's mark in it


def state():
    """Every row the application can read: of each table their count and the sum of their hashes."""
    hashes = "sum(hashtextextended(((to_jsonb(t) #- '{data,_fresh}') - CAST(:moving AS text[]))::text, 0))"
    return of_every_table(f"count(*), {hashes}", only=READS, moving=MOVING)


def forged(own, others, tenants):
    """name → how the call differs from the page's own; `own` is the token that would be right."""
    right = {"X-CSRFToken": own}
    body = json.dumps({"csrf_token": own})
    return {
        "no token": {},
        "an empty token": {"headers": {"X-CSRFToken": ""}},
        "another session's token": {"headers": {"X-CSRFToken": others}},
        "another tenant's token": {"headers": {"X-CSRFToken": tenants}},
        "token in the address": {"query_string": {"csrf_token": own}},
        "token in a cookie": {"headers": {"Cookie": f"csrf_token={own}"}},
        "text/plain that is JSON": {"data": body, "content_type": "text/plain"},
        "JSON": {"data": body, "content_type": "application/json"},
        "forged HX-Request": {"headers": {"HX-Request": "true", "HX-Current-URL": "http://circle.localhost:8000/me"}},
        "HX-Request from another site": {"headers": {**right, "HX-Request": "true", "Sec-Fetch-Site": "cross-site"}},
        "Sec-Fetch-Site: cross-site": {"headers": {**right, "Sec-Fetch-Site": "cross-site"}},
        "Sec-Fetch-Site: same-site": {"headers": {**right, "Sec-Fetch-Site": "same-site"}},
        "Origin of another tenant": {"headers": {**right, "Origin": f"http://{cast.GLOBEX.host}:8000"}},
        "Origin that ends like ours": {"headers": {**right, "Origin": f"http://evil{cast.CIRCLE.host}:8000"}},
    }


@pytest.fixture
def tokens(sign_in, visitor):
    """Role → (client, its own token, the token of another session of the same tenant)."""
    clients = {name: sign_in(who, at=cast.CIRCLE) if who else visitor(csrf=True) for name, who in ROLES.items()}
    stranger = sign_in(cast.ALICE)._signed()
    return {name: (client, client._signed(), stranger) for name, client in clients.items()}


def test_no_forged_call_writes(app, seed, seen_by, tokens, sign_in):
    things = objects(seed)
    tenants = sign_in(cast.MALLORY)._signed()
    who = {
        (row["endpoint"], row["method"]): next((name for name in ROLES if row[name] == "allow"), "admin")
        for row in csv.DictReader(MATRIX.read_text().splitlines())
    }
    with seen_by(cast.CIRCLE):
        before = state()
    assert len(before) > 30
    wrong, cases = [], 0
    for turn, (endpoint, method, rule) in enumerate(routes(app)):
        if method not in UNSAFE or endpoint in ONE_CLICK:
            continue
        client, own, others = tokens[who[endpoint, method]]
        url = address(app, rule, own_parts(things, endpoint, rule.arguments))
        for name, how in share([*forged(own, others, tenants).items()], turn):
            with closing(client.open(url, method=method, csrf=False, **how)) as response:
                cases += 1
                if response.status_code not in {400, 403}:
                    wrong.append(f"{who[endpoint, method]} {method} {url} with {name}: {response.status_code}")
        overrides = [
            {"query_string": {"_method": method, "csrf_token": own}},
            {"headers": {"X-HTTP-Method-Override": method, "X-Method-Override": method, "X-CSRFToken": own}},
            {"data": {"_method": method, "csrf_token": own}},
        ]
        for how in share(overrides, turn):
            with closing(client.open(url, method="GET", **how)) as response:
                response.get_data()
                cases += 1
                if response.status_code >= 500:
                    wrong.append(f"GET {url} {how}: {response.status_code}")
        with seen_by(cast.CIRCLE):
            after = state()
        changed = [table for table in before if before[table] != after.get(table)]
        if changed:
            wrong.append(f"{method} {url} changed {changed}")
            before = after
    tell(cases)
    assert not wrong, "\n".join(wrong)
    assert cases > 500


def test_the_api_takes_no_session(app, sign_in):
    """S1: the API has no tokens because it has no cookies: a signed-in browser is a stranger there."""
    client = sign_in(cast.OLGA)
    seen = 0
    for rule in app.url_map.iter_rules():
        if getattr(app.view_functions[rule.endpoint], "room", "") != "api":
            continue
        for method in UNSAFE & set(rule.methods):
            url = address(app, rule, dict.fromkeys(rule.arguments, cast.uid(1)))
            with closing(client.open(url, method=method, json={})) as response:
                assert response.status_code in {400, 401, 403}, (method, url, response.status_code)
                seen += 1
    assert seen >= 2


def test_the_operators_room_asks_for_a_token(app, visitor):
    seen = 0
    client = visitor(OPS)
    for rule in app.url_map.iter_rules():
        if getattr(app.view_functions[rule.endpoint], "room", "") != "ops":
            continue
        for method in UNSAFE & set(rule.methods):
            url = address(app, rule, {a: cast.uid(1) for a in rule.arguments})
            with closing(client.open(url, method=method)) as response:
                assert response.status_code in {400, 403}, (method, url, response.status_code)
                seen += 1
    assert seen >= 2
