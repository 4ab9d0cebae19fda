"""What a till asks for: a purchase as it was sent, checked, and its fingerprint (WAL-3, D24). Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from uuid import UUID

from flask_babel import gettext

from portal.kernel.errors import PortalError
from portal.kernel.money import BIGGEST

_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
LONGEST = {"external_id": 200, "receipt_number": 100, "till": 60, "category": 60, "name": 300, "sku": 100}
MOST_LINES = 500
MOST_QUANTITY = Decimal(10) ** 12


class InvalidPurchase(PortalError):
    """Something in the purchase cannot be; `field` names it."""

    code = "purchase.invalid"


class LinesMismatch(InvalidPurchase):
    """The lines do not sum to the amount (D24)."""

    code = "purchase.lines_mismatch"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the receipt; `amount` is the line's whole price in minor units, `earns=False` goods bring no bonus."""

    name: str
    amount: int
    quantity: Decimal = Decimal(1)
    sku: str | None = None
    category: str = ""
    earns: bool = True

    @classmethod
    def of(cls, given: "Line | Mapping[str, Any]", number: int) -> "Line":
        """A checked line out of a mapping with the same names."""
        line = given if isinstance(given, Line) else cls(**given)
        try:
            quantity = Decimal(line.quantity)
        except InvalidOperation as error:
            raise InvalidPurchase(
                gettext("Line %(number)s: the quantity is no number.", number=number), field="lines"
            ) from error
        if not quantity.is_finite() or not 0 < quantity < MOST_QUANTITY or quantity != round(quantity, 3):
            raise InvalidPurchase(
                gettext("Line %(number)s: the quantity is above zero and has three decimals at most.", number=number),
                field="lines",
            )
        if not 0 <= line.amount <= BIGGEST:
            raise InvalidPurchase(
                gettext("Line %(number)s: the amount cannot be below zero.", number=number), field="lines"
            )
        if not line.name.strip():
            raise InvalidPurchase(gettext("Line %(number)s: the goods need a name.", number=number), field="lines")
        return cls(
            _short(line.name, "name"),
            line.amount,
            quantity,
            _short(line.sku, "sku"),
            _short(line.category, "category"),
            bool(line.earns),
        )


def lines_of(given: Sequence[Line | Mapping[str, Any]], amount: int) -> tuple[Line, ...]:
    """The lines, checked: together they are the amount. Raises `LinesMismatch`, `InvalidPurchase`."""
    if len(given) > MOST_LINES:
        raise InvalidPurchase(gettext("A receipt has at most %(count)s lines.", count=MOST_LINES), field="lines")
    lines = tuple(Line.of(line, n) for n, line in enumerate(given, 1))
    if lines and sum(line.amount for line in lines) != amount:
        raise LinesMismatch(gettext("The lines do not add up to the amount."), field="lines")
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A purchase as asked for. Amounts are minor units; what is None the shop's own is taken for."""

    business_id: UUID
    member_id: UUID
    amount: int
    external_id: str
    currency: str | None
    occurred_at: datetime | None
    category: str | None
    location_id: UUID | None
    till: str
    receipt_number: str | None
    lines: tuple[Line, ...]
    bonus_to_spend: int
    source: str
    historical: bool

    def __post_init__(self) -> None:
        check_texts(
            external_id=self.external_id, receipt_number=self.receipt_number, till=self.till, category=self.category
        )
        if not self.external_id:
            raise InvalidPurchase(gettext("A purchase needs a key of its own."), field="external_id")
        if not 0 <= self.amount <= BIGGEST:
            raise InvalidPurchase(gettext("The amount cannot be below zero."), field="amount")
        if not 0 <= self.bonus_to_spend <= self.amount:
            raise InvalidPurchase(gettext("The bonus cannot be more than the bill."), field="bonus_to_spend")

    @property
    def no_earn(self) -> int:
        """What of the bill brings no bonus."""
        return sum(line.amount for line in self.lines if not line.earns)

    def fingerprint(self) -> tuple[str, dict[str, str]]:
        """What makes a second sending the same one; how the member agreed to spend is not part of it."""
        return fingerprint(
            {
                "member_id": str(self.member_id),
                "amount": self.amount,
                "currency": self.currency,
                "occurred_at": self.occurred_at,
                "category": self.category,
                "location_id": str(self.location_id) if self.location_id else None,
                "till": self.till or None,
                "receipt_number": self.receipt_number,
                "lines": self.lines or None,
                "bonus_to_spend": self.bonus_to_spend or None,
            }
        )


def check_texts(**texts: str | None) -> None:
    """Refuse a text that is longer than its column is meant for, or that PostgreSQL cannot keep."""
    for name, value in texts.items():
        _short(value, name)


def fingerprint(fields: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The hash of the whole request over canonical JSON, and a short one of each field, to name what differs later."""
    plain = {name: _canonical(value) for name, value in fields.items() if value is not None}
    return _sha(plain), {name: _short_sha(value) for name, value in plain.items()}


def differing(stored: Mapping[str, str], sent: Mapping[str, str]) -> list[str]:
    """The names of the fields in which two requests under one key differ."""
    return sorted(name for name in {*stored, *sent} if stored.get(name) != sent.get(name))


def _short(value: Any, name: str) -> Any:
    if value is not None and (len(value) > LONGEST[name] or "\x00" in value):
        raise InvalidPurchase(gettext("“%(field)s” is too long or cannot be stored.", field=name), field=name)
    return value


def _canonical(value: Any) -> Any:
    if isinstance(value, Line):
        return {
            "name": value.name,
            "amount": value.amount,
            "quantity": str(value.quantity.normalize()),
            "sku": value.sku,
            "category": value.category,
            "earns": value.earns,
        }
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str | int | bool):
        return value
    if isinstance(value, Iterable):
        return [_canonical(item) for item in value]
    return str(value)


def _sha(value: Any) -> str:
    return hashlib.sha256(_json(value).encode()).hexdigest()


def _short_sha(value: Any) -> str:
    return _scalar_sha(value) if isinstance(value, str | int) else _sha(value)[:16]


@lru_cache(maxsize=16384, typed=True)
def _scalar_sha(value: str | int) -> str:
    """An import has the same days, shops and prices again and again."""
    return _sha(value)[:16]
