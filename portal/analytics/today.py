"""Today's figures, from PostgreSQL: they are there with the commit, ClickHouse or not."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import text

from portal.analytics.handlers import FACTS
from portal.extensions import db
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id

WEEK = timedelta(days=7)
_TODAY = """
WITH sold AS MATERIALIZED (
    SELECT occurred_at >= :today AS now, coalesce(u.merged_into, member_id) AS member_id, amount, refunded_total, bonus_accrued, bonus_taken_back, paid_with_bonus, bonus_given_back
      FROM purchases b LEFT JOIN users u ON u.tenant_id = :tenant AND u.id = b.member_id AND u.merged_into IS NOT NULL
     WHERE b.tenant_id = :tenant AND {where}
       AND ((occurred_at >= :today AND occurred_at <= :now) OR (occurred_at >= :week AND occurred_at < :then))
)
SELECT count(*) FILTER (WHERE now) AS purchases, count(*) FILTER (WHERE NOT now) AS purchases_then,
       count(DISTINCT member_id) FILTER (WHERE now) AS members,
       coalesce(sum(amount) FILTER (WHERE now), 0)::bigint AS billed, coalesce(sum(refunded_total) FILTER (WHERE now), 0)::bigint AS refunded,
       coalesce(sum(bonus_accrued) FILTER (WHERE now), 0)::bigint AS accrued,
       coalesce(sum(bonus_taken_back) FILTER (WHERE now), 0)::bigint AS taken_back,
       coalesce(sum(paid_with_bonus) FILTER (WHERE now), 0)::bigint AS redeemed,
       coalesce(sum(bonus_given_back) FILTER (WHERE now), 0)::bigint AS given_back,
       coalesce(sum(amount - refunded_total) FILTER (WHERE NOT now), 0)::bigint AS sales_then,
       coalesce(sum(bonus_accrued - bonus_taken_back) FILTER (WHERE NOT now), 0)::bigint AS given_then,
       coalesce(sum(paid_with_bonus - bonus_given_back) FILTER (WHERE NOT now), 0)::bigint AS spent_then,
       (SELECT count(*) FROM (SELECT DISTINCT member_id FROM sold WHERE now) s WHERE NOT EXISTS (
            SELECT 1 FROM purchases p WHERE p.tenant_id = :tenant AND p.member_id = s.member_id AND p.occurred_at < :today AND {earlier})
           AND NOT EXISTS (SELECT 1 FROM users u JOIN purchases p ON p.tenant_id = :tenant AND p.member_id = u.id
             WHERE u.tenant_id = :tenant AND u.merged_into = s.member_id AND p.occurred_at < :today AND {earlier}))
           AS new_members
  FROM sold
"""


@dataclass(frozen=True, slots=True)
class Today:
    """Since midnight of the tenant; `…_then` is the same hours of the same weekday a week ago. Minor units.

    Merged accounts are one member (D28), here and in every other count of people on this page.
    """

    purchases: int
    purchases_then: int
    members: int
    billed: int
    refunded: int
    accrued: int
    taken_back: int
    redeemed: int
    given_back: int
    sales_then: int
    given_then: int
    spent_then: int
    new_members: int

    @property
    def sales(self) -> int:
        """Bills after refunds."""
        return self.billed - self.refunded

    @property
    def given(self) -> int:
        """Bonus accrued and kept."""
        return self.accrued - self.taken_back

    @property
    def spent(self) -> int:
        """The part of the bills that stayed paid with bonus."""
        return self.redeemed - self.given_back


def midnight() -> datetime:
    """When today began in the tenant's zone."""
    zone = ZoneInfo(g.tenant.timezone)
    return datetime.combine(clock.now().astimezone(zone).date(), time(), zone)


def today(business_id: UUID | None = None, currency: str | None = None) -> Today:
    """Today of one business, or of the whole tenant in one currency."""
    begun, now = midnight(), clock.now()
    where = "business_id = :business" if business_id else "currency = :currency"
    statement = _TODAY.format(where=where, earlier="p.business_id = :business" if business_id else "true")
    values: dict[str, Any] = {
        "tenant": current_tenant_id(),
        "business": business_id,
        "currency": currency,
        "today": begun,
        "now": now,
        "week": begun - WEEK,
        "then": now - WEEK,
    }
    return Today(**db.session.execute(text(statement), values).one()._mapping)


_AS_OF = text("""
SELECT coalesce(least((SELECT min(recorded_at) FROM outbox_deliveries WHERE tenant_id = :tenant AND subscriber = :name AND open),
                      (SELECT min(recorded_at) FROM outbox_deliveries WHERE tenant_id = :tenant AND subscriber = :name AND status = 'dead')),
                clock_timestamp())
""")


def as_of() -> datetime:
    """Every purchase committed before this moment has reached ClickHouse (ANA-1)."""
    moment: datetime = db.session.execute(_AS_OF, {"tenant": current_tenant_id(), "name": FACTS}).scalar_one()
    return moment


_COSTS = text("""
SELECT coalesce(-sum(ledger.balance(id)) FILTER (WHERE type = 'issuance'), 0)::bigint AS issued,
       coalesce(sum(ledger.balance(id)) FILTER (WHERE type = 'payable'), 0)::bigint AS payable
  FROM wallet_accounts WHERE tenant_id = :tenant AND owner_kind = 'business' AND owner_id = :business AND currency = :currency
""")


def costs(business_id: UUID, currency: str) -> Any:
    """What bonus costs a business: `issued` and not taken back; `payable`, what the circle owes it for bills paid with bonus (G18)."""
    values = {"tenant": current_tenant_id(), "business": business_id, "currency": currency}
    return db.session.execute(_COSTS, values).one()


_TOTALS = text("""
SELECT (SELECT count(*) FROM users WHERE tenant_id = :tenant AND archived_at IS NULL AND merged_into IS NULL) AS members,
       (SELECT count(*) FROM users WHERE tenant_id = :tenant AND merged_into IS NULL AND joined_at >= :today) AS joined_today,
       (SELECT count(*) FROM users WHERE tenant_id = :tenant AND merged_into IS NULL AND joined_at >= :month) AS joined,
       (SELECT count(*) FROM users WHERE tenant_id = :tenant AND merged_into IS NULL AND joined_at >= :before AND joined_at < :month) AS joined_then,
       (SELECT count(*) FROM businesses WHERE tenant_id = :tenant AND archived_at IS NULL) AS businesses,
       (SELECT coalesce(sum(posted), 0)::bigint FROM wallet_accounts WHERE tenant_id = :tenant AND owner_kind = 'member'
           AND type = 'bonus' AND currency = :currency) AS active,
       (SELECT coalesce(sum(posted), 0)::bigint FROM wallet_accounts WHERE tenant_id = :tenant AND owner_kind = 'member'
           AND type = 'locked' AND currency = :currency) AS waiting,
       coalesce(-sum(ledger.balance(id)) FILTER (WHERE type = 'issuance'), 0)::bigint AS issued,
       coalesce(sum(ledger.balance(id)) FILTER (WHERE type = 'payable'), 0)::bigint AS spent,
       coalesce(sum(ledger.balance(id)) FILTER (WHERE owner_key = 'breakage'), 0)::bigint AS burnt
  FROM wallet_accounts WHERE tenant_id = :tenant AND currency = :currency AND owner_kind IN ('business', 'system')
""")


def totals(currency: str) -> Any:
    """Members and newcomers, shops, and the bonus ledger of the circle: issued, spent, burnt, active and waiting."""
    month = clock.now() - timedelta(days=30)
    values = {
        "tenant": current_tenant_id(),
        "currency": currency,
        "today": midnight(),
        "month": month,
        "before": month - timedelta(days=30),
    }
    return db.session.execute(_TOTALS, values).one()


_SEEN = text("""
SELECT count(*) FILTER (WHERE seen >= :day AND coalesce(bought, :never) < :day) AS day,
       count(*) FILTER (WHERE seen >= :week AND coalesce(bought, :never) < :week) AS week,
       count(*) FILTER (WHERE coalesce(bought, :never) < :month) AS month
  FROM (SELECT s.member, s.seen,
               greatest((SELECT max(p.occurred_at) FROM purchases p
                          WHERE p.tenant_id = :tenant AND p.member_id = s.member AND p.occurred_at <= :now),
                        (SELECT max(p.occurred_at) FROM users u JOIN purchases p ON p.tenant_id = :tenant AND p.member_id = u.id
                          WHERE u.tenant_id = :tenant AND u.merged_into = s.member AND p.occurred_at <= :now)) AS bought
          FROM (SELECT coalesce(u.merged_into, u.id) AS member, max(d.last_seen_at) AS seen
                  FROM device_sessions d JOIN users u ON u.tenant_id = :tenant AND u.id = d.user_id
                 WHERE d.tenant_id = :tenant AND d.last_seen_at >= :month GROUP BY 1) s) m
""")


def only_looked() -> Any:
    """Members who opened the portal today, in 7 and in 30 days, and bought nothing in that time (ANA-6, with `buyers`)."""
    begun = midnight()
    values = {
        "tenant": current_tenant_id(),
        "now": clock.now(),
        "day": begun,
        "week": begun - timedelta(days=6),
        "month": begun - timedelta(days=29),
        "never": datetime(1, 1, 2, tzinfo=ZoneInfo("UTC")),
    }
    return db.session.execute(_SEEN, values).one()


_HEALTH = text("""
SELECT count(*) AS pending, coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::int AS lag,
       (SELECT count(*) FROM outbox_deliveries WHERE tenant_id = :tenant AND status = 'dead') AS dead
  FROM outbox_deliveries WHERE tenant_id = :tenant AND open
""")


def health() -> Any:
    """Events on their way, those that could not be delivered, and the age in seconds of the oldest."""
    return db.session.execute(_HEALTH, {"tenant": current_tenant_id()}).one()
