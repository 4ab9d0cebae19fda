"""T4: a form writes what it shows. Every form of every page is sent with every column of every table besides; none arrives."""

import csv
import re
from uuid import UUID

from sqlalchemy import Boolean, Date, DateTime, Integer, LargeBinary, Numeric, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from portal.extensions import db
from tests.architecture.test_access import MATRIX, ROLES, address, routes
from tests.cast import ALICE, CAFE, CIRCLE, IRINA, MALLORY
from tests.checked import Outline
from tests.objects import objects, own_parts
from tests.tables import of_every_table

MARK, NUMBER, WHEN, ID = (
    "p0isoned",
    987654321,
    "2099-09-09T09:09:09+00:00",
    UUID("0badc0de-0bad-7bad-8bad-0badc0de0bad"),
)
ENDS = {"sign-out", "leave", "erase"}  # would end the session, or the person, that the next forms need


def poison(column):
    kind = column.type
    if isinstance(kind, Integer | Numeric):
        return str(NUMBER)
    if isinstance(kind, Uuid):
        return str(ID)
    if isinstance(kind, DateTime | Date):
        return WHEN
    if isinstance(kind, Boolean):
        return "y"
    if isinstance(kind, JSONB):
        return f'{{"{MARK}": {NUMBER}}}'
    return MARK if not isinstance(kind, ARRAY | LargeBinary) else f"{{{MARK}}}"


def everything():
    """Every column's name with a value that its type takes, and what people try besides."""
    columns = {column.name: poison(column) for table in db.metadatas[None].sorted_tables for column in table.columns}
    return columns | {
        "is_admin": "y",
        "balance": str(NUMBER),
        "price": str(NUMBER),
        "kyc_status": MARK,
        "current_uses": str(NUMBER),
    }


def arrived():
    """Where a mark stands."""
    marked = of_every_table(
        "count(*) FILTER (WHERE to_jsonb(t)::text ~ :marks)", marks=f"{MARK}|{NUMBER}|2099-09-09|{ID}"
    )
    return [name for name, (count,) in marked.items() if count]


def test_a_form_writes_what_it_shows(app, seed, sign_in, visitor, seen_by, monkeypatch):
    monkeypatch.setattr("portal.extensions.limiter.enabled", False)
    listed = {(r["endpoint"], r["method"]): r for r in csv.DictReader(MATRIX.read_text().splitlines())}
    clients = {
        name: sign_in(ROLES[name], at=CIRCLE) if ROLES[name] else visitor()
        for name in ("anon", "member", "cashier", "owner", "admin")
    }
    things, forms, broken = objects(seed), {}, []
    extra = everything()
    for endpoint, method, rule in routes(app):
        for name, client in clients.items() if method == "GET" else ():
            if listed[endpoint, method][name] != "allow":
                continue
            answer = client.get(address(app, rule, own_parts(things, endpoint, rule.arguments)))
            if answer.mimetype == "text/html" and answer.status_code == 200:
                for form in Outline(answer.text).forms:
                    if form["method"].lower() == "post":
                        shape = re.sub(r"[0-9a-f-]{36}", "*", form["action"])
                        forms.setdefault((shape, form["id"]), (client, answer.request.path, form))
            answer.close()
    sent = taken = 0
    for (shape, name), (client, page, form) in forms.items():
        if name in ENDS or "sign-out" in shape or "logout" in shape:
            continue
        own = dict(form["fields"])
        answer = client.post(
            form["action"] or page, data={**{k: v for k, v in extra.items() if k not in own}, **own}, csrf=False
        )
        sent += 1
        taken += answer.status_code in {200, 201, 303}
        if answer.status_code >= 500:
            broken.append(f"{page} {name}: {answer.status_code}")
        answer.close()
        with seen_by(CIRCLE):
            if where := arrived():
                broken.append(f"{page} {name}: {where}")
                break
    assert broken == []
    assert sent > 50
    assert taken > 25


def test_the_api_takes_what_it_describes(visitor, acting, seen_by):
    from portal.partners.keys import create_key

    with acting(CIRCLE, IRINA):
        key = create_key(CAFE.id, "Till", ["members.find", "purchases.create"])[1]
    good = {"member": ALICE.card, "amount": "100.00", "receipt_number": "r-1"}
    more = {name: value for name, value in everything().items() if name not in good}
    answer = visitor().post(
        "/api/v1/purchases",
        json={**good, **more, "tenant_id": str(MALLORY.tenant.id)},
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "mass-1"},
    )
    assert answer.status_code in {201, 422}, answer.text
    with seen_by(CIRCLE):
        assert arrived() == []
