"""PostgreSQL against ClickHouse, day by day of the acting tenant (ANA-7, I12)."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text

from portal.analytics import facts
from portal.analytics.clickhouse import client
from portal.analytics.handlers import FACTS
from portal.extensions import db
from portal.kernel.tenancy import current_tenant_id

MEASURES = ("purchases", "amount", "refunded", "spent", "accrued", "taken_back", "versions")
FIRST_DAY = date(1970, 1, 1)
_BOOKS = """
SELECT (p.occurred_at AT TIME ZONE 'UTC')::date AS day, count(*), sum(p.amount)::bigint, sum(p.refunded_total)::bigint,
       sum(p.paid_with_bonus)::bigint, sum(p.bonus_accrued)::bigint, sum(p.bonus_taken_back)::bigint, sum(p.version)::bigint
  FROM purchases p WHERE p.tenant_id = :tenant AND p.occurred_at >= :since AND {retain} >= :today GROUP BY 1
"""
_FACTS = """
SELECT toDate(ts) AS day, count(), sum(amount_minor), sum(refunded_minor), sum(paid_with_bonus), sum(bonus_accrued), sum(bonus_taken_back),
       sum(version) FROM v_facts(tenant = {tenant:UUID}) WHERE toDate(ts) >= {since:Date} GROUP BY day
"""


@dataclass(frozen=True, slots=True)
class DayOff:
    """A day (UTC) on which the two disagree; tuples are `MEASURES`."""

    day: date
    books: tuple[int, ...]
    facts: tuple[int, ...]

    def __str__(self) -> str:
        pairs = zip(MEASURES, self.books, self.facts, strict=True)
        told = ", ".join(f"{name} {ours} against {theirs}" for name, ours, theirs in pairs if ours != theirs)
        return f"{self.day}: PostgreSQL against ClickHouse: {told}"


def differences(since: date = FIRST_DAY) -> list[DayOff]:
    """Every day that differs, among what ClickHouse has to hold (D46)."""
    today: date = client().query("SELECT today()").result_rows[0][0]
    statement = _BOOKS.format(retain=facts.RETAIN.format(months=facts.months_kept()))
    books = _by_day(
        db.session.execute(text(statement), {"tenant": current_tenant_id(), "since": since, "today": today})
    )
    db.session.rollback()
    shown = _by_day(client().query(_FACTS, parameters={"tenant": current_tenant_id(), "since": since}).result_rows)
    nothing = (0,) * len(MEASURES)
    return [
        DayOff(day, books.get(day, nothing), shown.get(day, nothing))
        for day in sorted({*books, *shown})
        if books.get(day, nothing) != shown.get(day, nothing)
    ]


def on_their_way() -> int:
    """How many purchases have been committed and not shipped yet: they are no difference."""
    statement = text("SELECT count(*) FROM outbox_deliveries WHERE tenant_id = :tenant AND subscriber = :name AND open")
    found = int(db.session.scalar(statement, {"tenant": current_tenant_id(), "name": FACTS}) or 0)
    db.session.rollback()
    return found


def repair(since: date = FIRST_DAY) -> int:
    """Ship the days that differ again, and drop what was there before; returns how many days."""
    off = [found.day for found in differences(since)]
    if off:
        began = facts.server_now()
        for day in off:
            facts.ship_day(day)
        facts.forget_older(began, off)
    return len(off)


def rebuild() -> int:
    """Ship every purchase month by month, then drop all that arrived earlier: no page is empty meanwhile."""
    began = facts.server_now()
    sent = sum(facts.ship_month(month) for month in facts.months())
    facts.forget_older(began)
    return sent


def _by_day(rows: Any) -> dict[date, tuple[int, ...]]:
    return {row[0]: tuple(int(value) for value in row[1:]) for row in rows}
