"""Lines of the statement as they are shown: every text made once, under the days of the reader's zone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g
from flask_babel import format_date

from portal.kernel import money
from portal.wallets.labels import signed, type_icon, type_name
from portal.wallets.why import formula
from portal.web.locale import current as locale
from portal.web.locale import zone


@dataclass(frozen=True, slots=True)
class Line:
    """A movement: whose shop it was, what happened, how much, and the balance after it."""

    entry_id: UUID
    icon: str
    where: str
    what: str
    formula: str
    amount: str
    incoming: bool
    balance: str


def by_day(rows: Sequence[Any]) -> Iterator[tuple[str, list[Line]]]:
    """Days in words, each with its lines, in the order of `rows`."""
    own, spoken = ZoneInfo(zone()), locale()
    for day, lines in groupby(rows, key=lambda row: row.occurred_at.astimezone(own).date()):
        yield format_date(day, "d MMMM y, EEEE"), [line(row, spoken) for row in lines]


def line(row: Any, spoken: str = "") -> Line:
    """An entry as it is shown."""
    what, reason = type_name(row.type), row.details.get("reason")
    return Line(
        entry_id=row.id,
        icon=type_icon(row.type),
        where=row.business or g.tenant.name,
        what=f"{what}: {reason}" if reason else what,
        formula=formula(row),
        amount=signed(row.amount, row.currency),
        incoming=row.amount > 0,
        balance=money.format_amount(row.running, row.currency, spoken or locale(), symbol=False),
    )
