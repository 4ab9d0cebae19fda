"""What was, from ClickHouse: only parametrised views are named here (D47)."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from flask import g

from portal.analytics.clickhouse import ask
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id

PERIODS = {"week": 7, "month": 30, "quarter": 91}
_DAILY = """
SELECT toDate(ts, {zone:String}) AS day, sum(net_minor) AS sales, count() AS purchases, uniqExact(member_id) AS members,
       sum(bonus_accrued - bonus_taken_back) AS given, sum(paid_with_bonus - bonus_given_back) AS spent
  FROM v_facts(tenant = {tenant:UUID})
 WHERE toDate(ts, {zone:String}) >= {first:Date} AND toDate(ts, {zone:String}) <= {last:Date} AND currency = {currency:String}
   AND ({business:String} = '' OR toString(business_id) = {business:String})
 GROUP BY day ORDER BY day
"""
_PEOPLE = """
SELECT countIf(first >= {first:Date}) AS new, countIf(first < {first:Date}) AS returning FROM (
    SELECT member_id, min(toDate(ts, {zone:String})) AS first, max(toDate(ts, {zone:String})) AS latest
      FROM v_facts(tenant = {tenant:UUID})
     WHERE ({business:String} = '' OR toString(business_id) = {business:String}) AND toDate(ts, {zone:String}) <= {last:Date}
     GROUP BY member_id HAVING latest >= {first:Date})
"""
_SHOPS = """
SELECT business_id, sum(net_minor) AS sales, count() AS purchases, uniqExact(member_id) AS members
  FROM v_facts(tenant = {tenant:UUID})
 WHERE toDate(ts, {zone:String}) >= {first:Date} AND currency = {currency:String} GROUP BY business_id ORDER BY sales DESC LIMIT 20
"""
_HOURS = """
SELECT toDayOfWeek(ts, 0, {zone:String}) AS weekday, toHour(ts, {zone:String}) AS hour, count() AS purchases
  FROM v_facts(tenant = {tenant:UUID})
 WHERE toDate(ts, {zone:String}) >= {first:Date} AND toString(business_id) = {business:String} GROUP BY weekday, hour
"""
_ACTIVE = """
SELECT uniqExactIf(member_id, toDate(ts, {zone:String}) = {last:Date}) AS day,
       uniqExactIf(member_id, toDate(ts, {zone:String}) > {last:Date} - 7) AS week, uniqExact(member_id) AS month, max(ts) AS as_of
  FROM v_facts(tenant = {tenant:UUID}) WHERE toDate(ts, {zone:String}) > {last:Date} - 30 AND toDate(ts, {zone:String}) <= {last:Date}
"""


def _common(days: int, business_id: UUID | None, currency: str) -> dict[str, Any]:
    last = clock.today(g.tenant.timezone)
    return {
        "tenant": current_tenant_id(),
        "zone": g.tenant.timezone,
        "first": last - timedelta(days=days - 1),
        "last": last,
        "business": str(business_id) if business_id else "",
        "currency": currency,
    }


def daily(days: int, *, currency: str, business_id: UUID | None = None) -> list[dict[str, Any]]:
    """One row a day of the period, days without sales included. Raises `AnalyticsDown`."""
    values = _common(days, business_id, currency)
    found = {row["day"]: row for row in ask(_DAILY, **values)}
    first: date = values["first"]
    blank = {"sales": 0, "purchases": 0, "members": 0, "given": 0, "spent": 0}
    return [found.get(d) or {"day": d, **blank} for d in (first + timedelta(days=n) for n in range(days))]


def people(days: int, *, business_id: UUID | None = None) -> tuple[int, int]:
    """Members who bought in the period: for the first time, and again."""
    rows = ask(_PEOPLE, **_common(days, business_id, ""))
    return (rows[0]["new"], rows[0]["returning"]) if rows else (0, 0)


def shops(days: int, *, currency: str) -> list[dict[str, Any]]:
    """Businesses by sales of the period."""
    return ask(_SHOPS, **_common(days, None, currency))


def hours(days: int, business_id: UUID) -> dict[tuple[int, int], int]:
    """Purchases by weekday (1 is Monday) and hour, in the tenant's zone."""
    rows = ask(_HOURS, **_common(days, business_id, ""))
    return {(row["weekday"], row["hour"]): row["purchases"] for row in rows}


def active() -> dict[str, Any]:
    """Members with a purchase today, in 7 and in 30 days (ANA-6), and the newest fact."""
    rows = ask(_ACTIVE, **_common(30, None, ""))
    return rows[0] if rows else {"day": 0, "week": 0, "month": 0, "as_of": None}
