"""Purchases of a period: what is asked for, its sums, and its rows read in one snapshot (REP-1 to REP-3).

A refund belongs to its purchase (ANA-2): a row has the sum rung up, what of it went back until now, and what is left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from flask_babel import gettext
from sqlalchemy import Select, func, select

from portal.extensions import db
from portal.kernel import money
from portal.kernel.tenancy import current_tenant_id
from portal.purchases import queries
from portal.purchases.models import Purchase
from portal.reports import labels
from portal.reports.reading import MOST_ROWS, Reading, TooLong, compiled, digest

SUMS = ("gross", "refunded", "net", "paid_with_bonus", "bonus_given_back", "bonus_accrued", "bonus_taken_back")
# Name, kind and SQL of each column: `moment`, `text` that people wrote, `word` of ours, `money` in minor units.
COLUMNS = (
    ("occurred_at", "moment", "p.occurred_at"),
    ("business", "text", "b.name"),
    ("receipt_number", "text", "p.receipt_number"),
    ("member", "text", "coalesce(m.name, '')"),
    ("card_ends", "word", "right(m.card_number, 4)"),
    ("category", "text", "p.category"),
    ("currency", "word", "p.currency"),
    ("gross", "money", "p.amount"),
    ("refunded", "money", "p.refunded_total"),
    ("net", "money", "(p.amount - p.refunded_total)"),
    ("paid_with_bonus", "money", "p.paid_with_bonus"),
    ("bonus_given_back", "money", "p.bonus_given_back"),
    ("bonus_accrued", "money", "p.bonus_accrued"),
    ("bonus_taken_back", "money", "p.bonus_taken_back"),
    (
        "status",
        "word",
        "CASE WHEN p.refunded_total = 0 THEN 'paid' WHEN p.refunded_total < p.amount THEN 'partly_refunded' ELSE 'refunded' END",
    ),
    ("source", "word", "p.source"),
    ("till", "text", "p.till"),
    ("cashier", "text", "coalesce(c.name, '')"),
    ("purchase_id", "word", "p.id"),
)
_FROM = """
  FROM ({chosen}) p
  JOIN businesses b ON b.tenant_id = p.tenant_id AND b.id = p.business_id
  LEFT JOIN users o ON o.tenant_id = p.tenant_id AND o.id = p.member_id
  LEFT JOIN users m ON m.tenant_id = p.tenant_id AND m.id = coalesce(o.merged_into, o.id)
  LEFT JOIN users c ON c.tenant_id = p.tenant_id AND c.id = p.cashier_id
  LEFT JOIN unnest(%(codes)s::text[], %(units)s::numeric[], %(zeros)s::numeric[], %(exponents)s::int[]) AS u (code, unit, zero, exponent)
    ON u.code = p.currency
"""


@dataclass(frozen=True)
class Asked:
    """What is asked for: a shop or None for all, `first` and `last` day in `zone`, None for an open end.

    `filters` are the list's `till`, `source`, `refunded`, and `category`; `q` is a receipt or a member.
    """

    zone: str
    first: date | None = None
    last: date | None = None
    business_id: UUID | None = None
    q: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)

    def chosen(self, *, but: str = "") -> list[Any]:
        """The conditions on purchases; `but` leaves a filter out."""
        narrowed = {name: value for name, value in self.filters.items() if name != but}
        if self.first:
            narrowed["from"] = self.first.isoformat()
        if self.last:
            narrowed["to"] = self.last.isoformat()
        return [Purchase.tenant_id == current_tenant_id(), *queries.conditions(self.business_id, self.q, narrowed)]

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The report as REP-1 writes it; the tenant is not a part of it."""
        days = [("from", self.first), ("to", self.last)]
        filters = [{"col": "occurred_at", "op": name, "value": day.isoformat()} for name, day in days if day]
        filters += [{"col": name, "op": "=", "value": self.filters[name]} for name in sorted(self.filters)]
        if self.business_id:
            filters.append({"col": "business_id", "op": "=", "value": str(self.business_id)})
        if self.q:
            filters.append({"col": "q", "op": "matches", "value": self.q})
        return {
            "version": 1,
            "dataset": "purchases",
            "columns": [name for name, *_ in COLUMNS],
            "filters": filters,
            "order_by": ["occurred_at", "purchase_id"],
            "timezone": self.zone,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the definition, hex."""
        return digest(self.definition)


@dataclass(frozen=True)
class Sums:
    """Of one currency: how many purchases, and the sums of SUMS in minor units."""

    currency: str
    purchases: int
    amounts: Mapping[str, int]


def sums(asked: Asked) -> tuple[list[Sums], list[str]]:
    """The sums as they stand, one a currency, and the categories that the period has whatever category is chosen."""
    rows = db.session.execute(_grouped(asked)).all()
    return _summed(rows, asked), sorted({row[1] for row in rows if row[1]})


def refuse_too_many(found: Sequence[Sums]) -> None:
    """Raises `TooLong` when the rows do not fit into a file."""
    if (count := sum(one.purchases for one in found)) > MOST_ROWS:
        raise TooLong(
            gettext(
                "This period has %(count)s purchases, and a file holds %(most)s at most. Choose a shorter period; nothing was left out in silence.",
                count=f"{count:,}",
                most=f"{MOST_ROWS:,}",
            )
        )


class Snapshot(Reading):
    """The purchases that are asked for. Raises `AlreadyRunning`, `TooLong`."""

    COLUMNS, FROM, ORDER = COLUMNS, _FROM, "r.occurred_at, r.purchase_id"
    BESIDE = ("u.unit", "u.zero", "u.exponent")
    asked: Asked
    sums: list[Sums]

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked, select(Purchase.__table__).where(*asked.chosen()))

    def measure(self) -> None:
        grouped = compiled(_grouped(self.asked))
        self.sums = _summed(self.connection.execute(*grouped).fetchall(), self.asked)
        refuse_too_many(self.sums)

    @property
    def count(self) -> int:
        return sum(one.purchases for one in self.sums)

    @property
    def title(self) -> str:
        return gettext("Purchases")

    @property
    def words(self) -> Mapping[str, str]:
        return labels.columns()

    def more(self) -> dict[str, Any]:
        codes = [one.currency for one in self.sums]
        return {
            "codes": codes,
            "units": [money.decimal_string(1, code) for code in codes],
            "zeros": [money.decimal_string(0, code) for code in codes],
            "exponents": [money.currency(code).exponent for code in codes],
        }


def _grouped(asked: Asked) -> Select[Any]:
    columns: tuple[Any, ...] = (
        Purchase.amount,
        Purchase.refunded_total,
        Purchase.amount - Purchase.refunded_total,
        Purchase.paid_with_bonus,
        Purchase.bonus_given_back,
        Purchase.bonus_accrued,
        Purchase.bonus_taken_back,
    )
    by: tuple[Any, ...] = (Purchase.currency, Purchase.category)
    counted = select(*by, func.count(), *(func.sum(column) for column in columns))
    return counted.where(*asked.chosen(but="category")).group_by(*by)


def _summed(rows: Sequence[Any], asked: Asked) -> list[Sums]:
    wanted = asked.filters.get("category")
    together: dict[str, list[int]] = {}
    for currency, category, *figures in rows:
        if wanted in {None, category}:
            before = together.get(currency, [0] * len(figures))
            together[currency] = [a + int(b) for a, b in zip(before, figures, strict=True)]
    return [
        Sums(currency, count, dict(zip(SUMS, amounts, strict=True)))
        for currency, (count, *amounts) in sorted(together.items())
    ]


def iso(moment: datetime) -> str:
    """A moment of the file's frame, to the second."""
    return moment.isoformat(timespec="seconds")
