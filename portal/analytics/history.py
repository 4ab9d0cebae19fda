"""What was, from ClickHouse: only parametrised views are named here (D47)."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g

from portal.analytics.clickhouse import ask
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id

PERIODS = {"week": 7, "month": 30, "quarter": 91}
_DAILY = """
SELECT day, sum(sales) AS sales, sum(purchases) AS purchases, sum(given) AS given, sum(spent) AS spent
  FROM v_daily_sales(tenant = {tenant:UUID}, zone = {zone:String}, since = {before:String}, until = {until:String})
 WHERE currency = {currency:String} AND ({business:String} = '' OR toString(business_id) = {business:String})
 GROUP BY day
"""
_PEOPLE = """
SELECT countIf(first >= toDateTime64({since:String}, 3, 'UTC')) AS new, countIf(first < toDateTime64({since:String}, 3, 'UTC')) AS returning
  FROM (SELECT member_id, min(first_at) AS first, max(last_at) AS latest FROM v_members(tenant = {tenant:UUID})
         WHERE {business:String} = '' OR toString(business_id) = {business:String} GROUP BY member_id)
 WHERE latest >= toDateTime64({since:String}, 3, 'UTC')
"""
_SHOPS = """
SELECT business_id, sum(net_minor) AS sales, count() AS purchases, uniqExact(member_id) AS members
  FROM v_facts(tenant = {tenant:UUID})
 WHERE ts >= toDateTime64({since:String}, 3, 'UTC') AND ts < toDateTime64({until:String}, 3, 'UTC') AND currency = {currency:String}
 GROUP BY business_id ORDER BY sales DESC LIMIT 12
"""
_HOURS = """
SELECT toDayOfWeek(ts, 0, {zone:String}) AS weekday, toHour(ts, {zone:String}) AS hour, count() AS purchases
  FROM v_facts(tenant = {tenant:UUID})
 WHERE ts >= toDateTime64({since:String}, 3, 'UTC') AND ts < toDateTime64({until:String}, 3, 'UTC') AND toString(business_id) = {business:String}
 GROUP BY weekday, hour
"""
_BUYERS = """
SELECT uniqExactIf(member_id, ts >= toDateTime64({day:String}, 3, 'UTC')) AS day,
       uniqExactIf(member_id, ts >= toDateTime64({week:String}, 3, 'UTC')) AS week, uniqExact(member_id) AS month
  FROM v_facts(tenant = {tenant:UUID}) WHERE ts >= toDateTime64({month:String}, 3, 'UTC') AND ts < toDateTime64({until:String}, 3, 'UTC')
"""


def daily(days: int, *, currency: str, business_id: UUID | None = None) -> list[dict[str, Any]]:
    """One row a day of the period and of as long before it, days without sales included. Raises `AnalyticsDown`."""
    found = {row["day"]: row for row in ask(_DAILY, **_bounds(days, business_id, currency))}
    last = clock.today(g.tenant.timezone)
    blank = {"sales": 0, "purchases": 0, "given": 0, "spent": 0}
    return [
        found.get(day) or {"day": day, **blank} for day in (last - timedelta(days=n) for n in range(2 * days)[::-1])
    ]


def people(days: int, *, business_id: UUID | None = None) -> tuple[int, int]:
    """Members who bought in the period: for the first time, and again."""
    rows = ask(_PEOPLE, **_bounds(days, business_id, ""))
    return (rows[0]["new"], rows[0]["returning"]) if rows else (0, 0)


def shops(days: int, *, currency: str) -> list[dict[str, Any]]:
    """Businesses by sales of the period."""
    return ask(_SHOPS, **_bounds(days, None, currency))


def hours(days: int, business_id: UUID) -> dict[tuple[int, int], int]:
    """Purchases by weekday (1 is Monday) and hour, in the tenant's zone."""
    rows = ask(_HOURS, **_bounds(days, business_id, ""))
    return {(row["weekday"], row["hour"]): row["purchases"] for row in rows}


def buyers() -> dict[str, int]:
    """Members with a purchase today, in 7 and in 30 days (ANA-6)."""
    rows = ask(_BUYERS, **_bounds(30, None, ""))
    return rows[0] if rows else {"day": 0, "week": 0, "month": 0}


def _bounds(days: int, business_id: UUID | None, currency: str) -> dict[str, Any]:
    """Parameters of every question; moments are UTC, days the tenant's."""
    last = clock.today(g.tenant.timezone)
    return {
        "tenant": current_tenant_id(),
        "zone": g.tenant.timezone,
        "before": _began(last - timedelta(days=2 * days - 1)),
        "since": _began(last - timedelta(days=days - 1)),
        "until": _began(last + timedelta(days=1)),
        "day": _began(last),
        "week": _began(last - timedelta(days=6)),
        "month": _began(last - timedelta(days=29)),
        "business": str(business_id) if business_id else "",
        "currency": currency,
    }


def _began(day: date) -> str:
    return f"{datetime.combine(day, time(), ZoneInfo(g.tenant.timezone)).astimezone(UTC):%Y-%m-%d %H:%M:%S}"
