"""B1 for every money and quantity field of the API: the fields are found in the schemas, so that a new one cannot be forgotten.

Seen red with digits of every script let into a quantity: a sale of `١٢٣` pieces was recorded.
"""

import json
from decimal import Decimal
from typing import Any, get_args
from uuid import uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from portal.api import fields, schemas
from portal.extensions import db
from tests.api.conftest import sale
from tests.cast import CIRCLE

TEXTS = [
    "NaN", "sNaN", "Infinity", "-Infinity", "-0", "-1", "+1", "1e309", "1E+2", "0x10", "1_000", "١٢٣", "１２３", "1,00", "1.0005", "−1",
    str(2**63), str(2**64), "900000000000000000.99", "", "null", "true",
]  # fmt: skip
LITERALS = [
    "NaN", "-Infinity", "Infinity", "-0", "-1", "1e309", "1E+2", "0.001", "900000000000000000.99", str(2**63), str(2**64), "null",
    "[]", "{}", "true", "false",
]  # fmt: skip
CHECKS = {fields._amount, fields._quantity}
LINE = {"name": "Tea", "amount": "100.00", "quantity": "1"}
PLACES = {  # field → how a call carries it: where it is sent and the call around it
    "PurchaseIn.amount": ("/purchases", lambda put: sale(amount=put)),
    "PurchaseIn.bonus_to_spend": ("/purchases", lambda put: sale(bonus_to_spend=put)),
    "LineIn.quantity": ("/purchases", lambda put: sale(lines=[{**LINE, "quantity": put}])),
    "LineIn.amount": ("/purchases", lambda put: sale(lines=[{**LINE, "amount": put}])),
    "RefundIn.amount": ("/refunds", lambda put: {"external_id": "R-1", "amount": put}),
    "RefundLineIn.number": ("/refunds", lambda put: {"external_id": "R-1", "lines": [{"number": put, "amount": "1.00"}]}),
    "RefundLineIn.amount": ("/refunds", lambda put: {"external_id": "R-1", "lines": [{"number": 1, "amount": put}]}),
}  # fmt: skip
NAMED_LIKE_NUMBERS = ("amount", "bonus", "quantity", "price", "total", "sum", "count", "percent", "rate")


def bodies(model=fields.Body):
    for found in model.__subclasses__():
        yield found
        yield from bodies(found)


def _parts(annotation: Any, metadata: Any):
    yield annotation
    yield from (getattr(m, "func", m) for m in metadata)
    for inner in get_args(annotation):
        yield from _parts(inner, getattr(inner, "__metadata__", ()))


def numbers():
    """`Model.field` of every field of a body that carries money or a quantity."""
    found = set()
    for model in bodies():
        if model is schemas.PurchasesQuery:  # a page's length is no quantity of anything, and arrives in an address
            continue
        for name, field in model.model_fields.items():
            parts = list(_parts(field.annotation, field.metadata))
            assert not {float, Decimal} & {p for p in parts if isinstance(p, type)}, (
                f"{model.__name__}.{name}: Amount or Quantity"
            )
            holds = any(p in CHECKS or p is int for p in parts if callable(p))
            assert holds or not any(word in name for word in NAMED_LIKE_NUMBERS), (
                f"{model.__name__}.{name}: of what type?"
            )
            if holds:
                found.add(f"{model.__name__}.{name}")
    return found


def test_no_field_is_forgotten():
    assert all(issubclass(model, BaseModel) for model in bodies())
    assert numbers() == set(PLACES)


def rows():
    """How many rows each table that the application may read holds for this tenant; the operators' own are closed to it."""
    readable = text("SELECT has_table_privilege(:name, 'SELECT')")
    every = sorted(table.name for table in db.metadata.sorted_tables)
    names = [name for name in every if db.session.scalar(readable, {"name": name})]
    assert {"purchases", "ledger_entries", "audit_entries", "outbox_messages", "idempotency_keys"} <= set(names)
    counted = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in names)
    return dict(tuple(row) for row in db.session.execute(text(counted)))


@pytest.mark.parametrize("field", sorted(PLACES))
def test_what_is_no_number_writes_nothing(till, seen_by, field):
    one = till()
    sold = one.sell(external_id="S-0", lines=[LINE])
    assert sold.status_code == 201, sold.json
    where, around = PLACES[field]
    path = where if where == "/purchases" else f"/purchases/{sold.json['id']}{where}"
    with seen_by(CIRCLE):
        before = rows()
    name = field.partition(".")[2]
    for literal in [*(json.dumps(typed, ensure_ascii=False) for typed in TEXTS), *LITERALS]:
        if literal == "-0" and name == "number":
            continue  # 0 by another name: refused below as 0 is
        body = json.dumps(around("@@"), ensure_ascii=False).replace('"@@"', literal)
        answer = one.post(path, body, key=str(uuid4()))
        assert answer.mimetype == "application/problem+json", (literal, answer.status_code)
        told = answer.json
        if literal in {"NaN", "Infinity", "-Infinity"}:
            assert (answer.status_code, told["code"]) == (400, "request.not_json"), literal
            continue
        assert answer.status_code == 422, (literal, answer.status_code, told)
        named = told.get("field") or next(e["field"] for e in told.get("errors", []))
        assert named.split(".")[-1] == name or "lines" in named, (literal, told)
    with seen_by(CIRCLE):
        assert rows() == before
    good = {"bonus_to_spend": "0", "number": 1, "quantity": "2"}.get(name, "100.00")
    taken = one.post(path, around(good), key=str(uuid4()))
    assert taken.status_code == 201, ("what was refused above was refused for something else", taken.json)
