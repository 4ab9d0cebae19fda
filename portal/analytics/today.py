"""Today's figures, from PostgreSQL: they are there with the commit, ClickHouse or not."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id

WEEK = timedelta(days=7)
_TODAY = """
SELECT coalesce(sum(amount - refunded_total) FILTER (WHERE occurred_at >= :today), 0)::bigint AS sales,
       count(*) FILTER (WHERE occurred_at >= :today) AS purchases,
       count(DISTINCT member_id) FILTER (WHERE occurred_at >= :today) AS members,
       coalesce(sum(bonus_accrued - bonus_taken_back) FILTER (WHERE occurred_at >= :today), 0)::bigint AS given,
       coalesce(sum(paid_with_bonus - bonus_given_back) FILTER (WHERE occurred_at >= :today), 0)::bigint AS spent,
       coalesce(sum(amount - refunded_total) FILTER (WHERE occurred_at < :then), 0)::bigint AS sales_then,
       count(*) FILTER (WHERE occurred_at < :then) AS purchases_then
  FROM purchases WHERE tenant_id = :tenant AND {where}
   AND ((occurred_at >= :today AND occurred_at <= :now) OR (occurred_at >= :week AND occurred_at < :then))
"""


@dataclass(frozen=True, slots=True)
class Today:
    """Since midnight of the tenant; `…_then` is the same hours a week ago. Money in minor units."""

    sales: int
    purchases: int
    members: int
    given: int
    spent: int
    sales_then: int
    purchases_then: int

    @property
    def growth(self) -> float | None:
        """Sales against last week's, e.g. 0.12; None without a last week."""
        return self.sales / self.sales_then - 1 if self.sales_then else None


def midnight() -> datetime:
    """When today began in the tenant's zone."""
    zone = ZoneInfo(g.tenant.timezone)
    return datetime.combine(clock.now().astimezone(zone).date(), time(), zone)


def today(business_id: UUID | None = None, currency: str | None = None) -> Today:
    """Today of one business, or of the whole tenant in one currency."""
    begun, now = midnight(), clock.now()
    where = "business_id = :business" if business_id else "currency = :currency"
    values: dict[str, Any] = {
        "tenant": current_tenant_id(),
        "business": business_id,
        "currency": currency,
        "today": begun,
        "now": now,
        "week": begun - WEEK,
        "then": now - WEEK,
    }
    return Today(*db.session.execute(text(_TODAY.format(where=where)), values).one())


_TOTALS = text("""
SELECT (SELECT count(*) FROM users WHERE tenant_id = :tenant AND archived_at IS NULL AND merged_into IS NULL) AS members,
       (SELECT count(*) FROM users WHERE tenant_id = :tenant AND joined_at >= :month) AS joined,
       (SELECT count(*) FROM businesses WHERE tenant_id = :tenant AND archived_at IS NULL) AS businesses,
       (SELECT coalesce(sum(posted), 0)::bigint FROM wallet_accounts WHERE tenant_id = :tenant AND owner_kind = 'member'
           AND type IN ('bonus', 'locked') AND currency = :currency) AS liability,
       (SELECT count(*) FROM outbox_deliveries WHERE tenant_id = :tenant AND open) AS pending,
       (SELECT count(*) FROM outbox_deliveries WHERE tenant_id = :tenant AND status = 'dead') AS dead,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::int FROM outbox_deliveries
         WHERE tenant_id = :tenant AND open) AS lag
""")


def totals(currency: str) -> Any:
    """Members, joined in 30 days, shops, what is owed in bonus, and the health of delivery."""
    values = {"tenant": current_tenant_id(), "currency": currency, "month": clock.now() - timedelta(days=30)}
    return db.session.execute(_TOTALS, values).one()
