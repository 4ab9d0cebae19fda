"""PostgreSQL against ClickHouse, day by day of the acting tenant (ANA-7, I12)."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text

from portal.analytics import facts
from portal.analytics.clickhouse import client
from portal.extensions import db
from portal.kernel.tenancy import current_tenant_id

BATCH = 20_000
_BOOKS = text("""
SELECT (occurred_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n, sum(amount)::bigint AS amount, sum(refunded_total)::bigint AS refunded,
       sum(bonus_accrued)::bigint AS bonus, sum(version)::bigint AS versions
  FROM purchases WHERE tenant_id = :tenant GROUP BY 1
""")
_FACTS = """
SELECT toDate(ts) AS day, count() AS n, sum(amount_minor) AS amount, sum(refunded_minor) AS refunded, sum(bonus_accrued) AS bonus,
       sum(version) AS versions FROM v_facts(tenant = {tenant:UUID}) GROUP BY day
"""


@dataclass(frozen=True, slots=True)
class DayOff:
    """A day on which the two disagree; tuples are purchases, amount, refunded, bonus, versions."""

    day: date
    books: tuple[int, ...]
    facts: tuple[int, ...]


def differences() -> list[DayOff]:
    """Every day that differs."""
    tenant = current_tenant_id()
    books = {row[0]: tuple(int(v) for v in row[1:]) for row in db.session.execute(_BOOKS, {"tenant": tenant})}
    rows = client().query(_FACTS, parameters={"tenant": tenant}).result_rows
    shown = {row[0]: tuple(int(v) for v in row[1:]) for row in rows}
    nothing = (0,) * 5
    days = sorted({*books, *shown})
    return [
        DayOff(d, books.get(d, nothing), shown.get(d, nothing))
        for d in days
        if books.get(d, nothing) != shown.get(d, nothing)
    ]


def repair() -> int:
    """Ship the days that differ again; returns how many days."""
    off = differences()
    for found in off:
        ship_where("(p.occurred_at AT TIME ZONE 'UTC')::date = :day", day=found.day)
    return len(off)


def rebuild() -> int:
    """Forget the tenant's facts and ship every purchase; returns how many."""
    facts.forget_tenant(current_tenant_id())
    return ship_where("true")


def ship_where(condition: str, **values: Any) -> int:
    """Stream the purchases that meet a condition into ClickHouse, 20,000 at a time."""
    statement = text(f"{facts.SELECT} WHERE p.tenant_id = :tenant AND {condition} ORDER BY p.occurred_at, p.id")
    sent = 0
    rows = db.session.execute(
        statement, {"tenant": current_tenant_id(), **values}, execution_options={"yield_per": BATCH}
    )
    for part in rows.partitions():
        facts.insert(part)
        sent += len(part)
    return sent
