"""B5: nothing that a parameter carries is run: as SQL, as a template, a format, a command, a path, a header or as XML.

Watched is the place where it would be run, not the look of the answer alone: the text of every statement of PostgreSQL and of
ClickHouse, all that Python compiles, every file, process and address that it opens (its audit events). A text that carries MARK
and turns up there is a defect, however the page looks; so is a sum that somebody worked out, a header of its own, and a 500.
The parameters are those that the views read, noted while they read them, the fields of every form, and the parts of addresses.
`make prove ONLY=B5` sends every text in every one of them alone.
Seen red: a sort column put into ORDER BY, what was searched for rendered as a template, and opened as a file's name.
"""

import csv
import json
import re
import sys
from base64 import urlsafe_b64encode
from collections import defaultdict
from contextlib import closing
from datetime import timedelta
from functools import cache
from urllib.parse import quote

import clickhouse_connect.driver.client as clickhouse
import pytest
from psycopg import Cursor
from werkzeug.datastructures import ImmutableMultiDict

from portal.extensions import db
from portal.settings import ROOT
from tests.architecture.test_access import MATRIX, OPS, ROLES, address, routes, routes_of, things
from tests.architecture.test_access_elsewhere import in_the_room, names, ops_things
from tests.cast import CIRCLE
from tests.checked import Outline
from tests.objects import own_parts
from tests.whole import TOLD, in_full, tell

__all__ = ["in_the_room", "names", "ops_things", "things"]  # fixtures
MARK, SUM, WORKED_OUT = "kr5g", "91827*71", str(91827 * 71)
ENTITY = '<?xml version="1.0"?><!DOCTYPE kr5g [<!ENTITY x SYSTEM "file:///etc/passwd">]><kr5g>&x;</kr5g>'
TEXTS = {
    "template": f"{MARK}{{{{{SUM}}}}}${{{SUM}}}#{{{SUM}}}<%={SUM}%>{{% print({SUM}) %}}",
    "format": f"{MARK}%(kr5g)s%s%n{{0.__class__}}{{kr5g.__init__.__globals__}}{{",
    "statement": f"{MARK}'\")) OR {SUM}>0; SELECT pg_sleep(9) --",
    "column": f"id,(SELECT {SUM}) DESC {MARK}",
    "number": f"1 OR {MARK}={SUM}",
    "command": f"{MARK};id|id`id`$(id)&id\nid",
    "path": f"../../../../../../../../../etc/passwd#{MARK}",
    "address": "file:///etc/passwd",
    "header": f"{MARK}\r\nX-{MARK}: 1\r\n\r\n<b>{MARK}</b>",
    "entity": ENTITY,
    "cursor": urlsafe_b64encode(json.dumps([f"{MARK}' OR 1=1 --", str(ROLES["member"].id)]).encode()).decode(),
    "object": f'{{"{MARK}": {{"$gt": ""}}, "__proto__": []}}',
}
ALL = " ".join(text for text in TEXTS.values())
LEAKED = re.compile(rf"{WORKED_OUT}|root:x?:0:0|uid=\d+\(|&lt;class &#39;|<built-in")
RUNS = (
    "open",
    "compile",
    "import",
    "os.",
    "subprocess.",
    "shutil.",
    "glob.",
    "socket.",
    "ctypes.",
    "pickle.",
    "urllib.",
)
FILTERS = re.compile(r"""\b(?:filters|FILTERS = )\(((?:\s*["']\w+["'],?)+)""")
READ_BY_VIEWS = re.compile(r"""args(?:\.get|\.getlist)?[(\[]\s*["'](\w+)""")
SHORT = {
    "audit_admin.entries", "audit_desk.entries_here", "delivery_admin.monitor", "home.front", "identity.sign_in", "identity_admin.members",
    "imports_desk.imports", "kyc_admin.submissions", "messages.notifications", "partners_admin.businesses",
    "purchases_desk.purchases", "reports_admin.purchases", "search_admin.search",
}  # fmt: skip
STAYS = {"csrf_token", "form_key"}
ENDS = ("logout", "sign_out", "stop_looking")
PARTS = 8
_seen = None  # where MARK turned up, while somebody watches


def _audit(event, arguments):
    if _seen is not None and event.startswith(RUNS):
        told = str(arguments[0] if event == "compile" else arguments) if arguments else ""
        if MARK in told or "etc/passwd" in told:
            _seen.append(f"{event}: {told[:200]}")


@cache
def _listen():
    """A hook cannot be taken out again: it comes when it is wanted, once, and does nothing unless somebody watches."""
    sys.addaudithook(_audit)


class Noted(ImmutableMultiDict):
    """Parameters that remember which of them were asked for."""

    read = set()

    def __getitem__(self, key):
        self.read.add(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self.read.add(key)
        return super().__contains__(key)

    def getlist(self, key, *more, **options):
        self.read.add(key)
        return super().getlist(key, *more, **options)


@pytest.fixture
def watched(monkeypatch):
    """What has been run of MARK since it was last asked."""
    global _seen
    _listen()
    _seen = []

    def watching(kind, name):
        inner = getattr(kind, name)

        def outer(self, statement, *values, **options):
            if MARK in str(statement):
                _seen.append(f"{kind.__name__}.{name}: {str(statement)[:200]}")
            return inner(self, statement, *values, **options)

        monkeypatch.setattr(kind, name, outer)

    for name in ("execute", "executemany", "copy", "stream"):
        watching(Cursor, name)
    for name in ("query", "query_rows_stream", "query_row_block_stream"):
        watching(clickhouse.Client, name)

    def since():
        found, _seen[:] = list(_seen), []
        return found

    yield since
    _seen = None


@pytest.fixture
def asked(app, watched, sign_in, visitor, monkeypatch):
    """`asked(role, method, url, data)`: what is wrong with the answer, if anything. Nothing of it stays."""
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)
    monkeypatch.setattr("portal.extensions.limiter.enabled", False)
    monkeypatch.setattr("portal.identity.stepup.AGE", timedelta(hours=3))
    connection, kept = db._app_engines[app][None], {}

    def asked(role, method, url, data=None, **headers):
        if role not in kept:
            signed_in = sign_in(ROLES[role], at=CIRCLE) if ROLES[role] else visitor()
            kept[role] = signed_in.get_cookie("sid", domain=CIRCLE.host)
        client = app.test_client()  # one that checks no page: they are long, and checked elsewhere
        if cookie := kept[role]:
            client.set_cookie("sid", cookie.value, domain=CIRCLE.host)
        with connection.begin_nested() as before:
            base_url = f"http://{CIRCLE.host}:8000"
            with closing(client.open(url, method=method, data=data, headers=headers, base_url=base_url)) as answer:
                answer.get_data()
            before.rollback()
        return answer, [*watched(), *told_of(answer)]

    return asked


def told_of(answer):
    """What an answer itself says of a text that was run."""
    if answer.status_code >= 500:
        yield str(answer.status_code)
    if leaked := LEAKED.search(answer.text if answer.mimetype.startswith("text/") else ""):
        yield f"says {leaked[0]}"
    if any(MARK in name.lower() for name, _ in answer.headers):
        yield "a header of its own"


def reachable(app, known):
    """(role, endpoint, method, rule, address parts) of every address, for the first role that may open it."""
    listed = {(r["endpoint"], r["method"]): r for r in csv.DictReader(MATRIX.read_text().splitlines())}
    for endpoint, method, rule in routes(app):
        row = listed[endpoint, method]
        role = next((name for name in ("anon", "admin", "owner", "cashier", "member") if row[name] == "allow"), None)
        if role and not rule.endpoint.endswith(ENDS):
            yield role, endpoint, method, rule, own_parts(known, endpoint, rule.arguments)


def typed(rule):
    """The parts of an address that are texts."""
    return [name for name, kind in rule._converters.items() if type(kind).__name__ == "UnicodeConverter"]


def test_nothing_that_an_address_carries_is_run(app, things, asked):
    """All texts in one, in every parameter at once, of a page of each kind."""
    sources = [file.read_text() for file in (ROOT / "portal").rglob("*.py")]
    names = {name for source in sources for name in READ_BY_VIEWS.findall(source)}
    filters = {name for source in sources for call in FILTERS.findall(source) for name in re.findall(r"\w+", call)}
    names |= {f"f.{name}" for name in filters}
    query = "?" + "&".join(f"{name}={quote(ALL[: 4000 // len(names)])}" for name in sorted(names))
    wrong = []
    pages = [one for one in reachable(app, things) if one[1] in SHORT]
    for role, _, method, rule, values in pages:
        url = address(app, rule, values) + query
        _, found = asked(role, method, url)
        wrong += [f"{role} {url.partition('?')[0]}: {one}" for one in found]
    assert wrong == []
    assert len(names) > 20
    assert filters
    assert {endpoint for _, endpoint, *_ in pages} == SHORT


@in_full
@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_that_any_parameter_carries_is_run(app, things, asked, monkeypatch, part):
    """Each text in each parameter alone: query, form, part of the address, body."""
    monkeypatch.setattr(app.request_class, "parameter_storage_class", Noted)
    every = list(reachable(app, things))
    forms = defaultdict(dict)  # the fields of every form, by where it is sent
    for role, _, method, rule, values in every:
        if method == "GET":
            url = address(app, rule, values)
            answer, _ = asked(role, method, url)
            if answer.mimetype == "text/html" and answer.status_code == 200:
                for form in Outline(answer.text).forms:
                    forms[(form["action"] or url).partition("?")[0]] |= dict(form["fields"])
    cases, wrong, more = 0, [], {"parameters": 0, "addresses": 0}

    def send(role, method, url, data, what):
        nonlocal cases, wrong
        cases += 1
        wrong += [f"{role} {method} {url[:80]} {what}: {one}" for one in asked(role, method, url, data)[1]]

    for role, _, method, rule, values in every[part::PARTS]:
        url = address(app, rule, values)
        own = forms[url] if method != "GET" else {}
        Noted.read.clear()
        send(role, method, url, own or None, "as it is")
        names = sorted((Noted.read | own.keys()) - STAYS)
        more["addresses"] += 1
        more["parameters"] += len(names) + len(typed(rule))
        for kind, text in TEXTS.items():
            for name in names:
                send(role, method, f"{url}?{name}={quote(text)}", own or None, f"{name} ({kind})")
                if method != "GET":
                    send(role, method, url, {**own, name: text}, f"{name} of the form ({kind})")
            for name in typed(rule):
                there = url.replace(quote(str(values[name])), quote(text, safe=""))
                send(role, method, there, own or None, f"<{name}> ({kind})")
            if method != "GET":
                send(
                    role,
                    method,
                    url,
                    {name: own.get(name, "") if name in STAYS else text for name in names},
                    f"all ({kind})",
                )
        if method != "GET":
            for mimetype in ("application/xml", "text/xml", "application/json"):
                _, found = asked(role, method, url, ENTITY, **{"Content-Type": mimetype})
                cases += 1
                wrong += [f"{role} {method} {url} {mimetype}: {one}" for one in found]
    tell(cases, wrong, **more)
    assert wrong == []


@pytest.mark.commits
def test_nothing_that_reaches_the_operators_room_is_run(app, ops_things, in_the_room, watched, monkeypatch):
    """The same in the room: all texts in one, in the long form each by itself, in every parameter and every field."""
    monkeypatch.setattr("portal.extensions.limiter.enabled", False)
    monkeypatch.setattr(app.request_class, "parameter_storage_class", Noted)
    cases, wrong, forms, browser = 0, [], defaultdict(dict), in_the_room()

    def send(method, url, data=None):
        nonlocal browser, cases
        if method != "GET":
            browser = in_the_room()  # some end the session
        cases += 1
        with closing(browser.open(url, method=method, data=data, base_url=f"http://{OPS}:8000")) as answer:
            answer.get_data()
        wrong.extend(f"{method} {url[:80]} {list(data or ())}: {one}" for one in [*watched(), *told_of(answer)])
        return answer

    every = [
        (address(app, rule, own_parts(ops_things, endpoint, rule.arguments)), method, rule)
        for endpoint, method, rule in routes_of(app, "ops")
        if not endpoint.endswith(ENDS)
    ]
    for url, method, _ in every:
        if method == "GET" and (answer := send(method, url)).mimetype == "text/html":
            for form in Outline(answer.text).forms:
                forms[(form["action"] or url).partition("?")[0]] |= dict(form["fields"])
    for url, method, rule in every:
        own = forms[url] if method != "GET" else {}
        Noted.read.clear()
        send(method, url, own or None)
        fields = sorted((Noted.read | own.keys()) - STAYS)
        for text in TEXTS.values() if TOLD else [ALL]:
            for name in fields:
                send(method, f"{url}?{name}={quote(text)}", own or None)
                if method != "GET":
                    send(method, url, {**own, name: text})
            parts = own_parts(ops_things, rule.endpoint, rule.arguments)
            for name in typed(rule):
                send(method, url.replace(quote(str(parts[name])), quote(text, safe="")), own or None)
    tell(cases, wrong)
    assert wrong == []
    assert cases > 2 * len(every)


@pytest.mark.parametrize("kind", ["query", "body"])
def test_nothing_that_a_call_of_the_api_carries_is_run(visitor, key_of, watched, kind):
    """Every field and every parameter that the description names; in the long form each text by itself."""
    client = visitor(CIRCLE)
    spec = client.get("/api/v1/openapi.json").json
    bearer = {"Authorization": f"Bearer {key_of()}"}
    wrong, seen = [], 0
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            names = [given["name"] for given in operation.get("parameters", []) if given["in"] == "query"]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            schema = spec["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], {})
            fields = list(schema.get("properties", ()))
            for text in TEXTS.values() if TOLD else [ALL]:
                url = re.sub(r"{\w+}", quote(text, safe=""), path)
                for name in names if kind == "query" else fields:
                    if kind == "query":
                        answer = client.open(f"{url}?{name}={quote(text)}", method=method, headers=bearer)
                    else:
                        told = {**schema.get("example", {}), name: text}
                        answer = client.open(url, method=method, headers={**bearer, "Idempotency-Key": MARK}, json=told)
                    seen += 1
                    wrong += [f"{method} {path} {name}: {one}" for one in watched()]
                    if answer.status_code >= 500 or LEAKED.search(answer.text):
                        wrong.append(f"{method} {path} {name}: {answer.status_code}")
    tell(seen, wrong)
    assert wrong == []
    assert seen > 3
