"""What a bill would come to, before it is rung up: the same arithmetic as the purchase itself, and nothing written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty import durations
from portal.loyalty import queries as loyalty
from portal.loyalty.earn import Earning, earning
from portal.loyalty.ladder import Standing
from portal.purchases.decision import bonus_limit

PICKS = ("none", "expiring", "most")


@dataclass(frozen=True, slots=True)
class Quote:
    """A bill in minor units: `picks` is how much bonus each choice would pay, `spend` what the chosen one does."""

    amount: int
    currency: str
    spendable: int
    picks: dict[str, int]
    pick: str
    burns_at: datetime | None
    share: int
    earned: Earning
    bonus_expires_at: datetime | None
    standing: Standing | None

    @property
    def spend(self) -> int:
        return self.picks[self.pick]

    @property
    def to_pay(self) -> int:
        return self.amount - self.spend

    @property
    def seen(self) -> str:
        """What the cashier was shown, to be compared with what is rung up."""
        return f"{self.amount}:{self.spend}"


def quote(business: Any, member_id: UUID, amount: int, pick: str = "none") -> Quote:
    """The bill for a member at a shop; an unknown `pick` spends nothing."""
    now = clock.now()
    place = loyalty.position(member_id)
    standing = place.at(now) if place else None
    lots = spendable_lots(member_id, business.currency, now)
    spendable = sum(lot.amount for lot in lots)
    most = min(spendable, bonus_limit(amount, business.max_bonus_share))
    burns_at = next((lot.expires_at for lot in lots if lot.expires_at is not None), None)
    soon = sum(lot.amount for lot in lots if burns_at is not None and lot.expires_at == burns_at)
    picks = {"none": 0, "expiring": min(soon, most), "most": most}
    chosen = pick if pick in PICKS else "none"
    rate = standing.tier.rate if standing else Fraction(0)
    expires_at = (
        durations.parse(place.program.bonus_expiry).after(now, place.program.rules.calendar.zone) if place else None
    )
    return Quote(
        amount=amount,
        currency=business.currency,
        spendable=spendable,
        picks=picks,
        pick=chosen,
        burns_at=burns_at,
        share=business.max_bonus_share,
        earned=earning(amount, rate, paid_with_bonus=picks[chosen]),
        bonus_expires_at=expires_at,
        standing=standing,
    )


def spendable_lots(member_id: UUID, currency: str, now: datetime) -> Sequence[Any]:
    """What of a member's bonus can be spent now, by the date it burns, soonest first; without a date last."""
    return db.session.execute(
        text("""
        SELECT l.expires_at, sum(l.remaining - l.held)::bigint AS amount
          FROM wallet_accounts a JOIN lots l ON l.tenant_id = a.tenant_id AND l.account_id = a.id
         WHERE a.tenant_id = :tenant AND a.owner_kind = 'member' AND a.owner_id = :member AND a.owner_key = ''
           AND a.currency = :currency AND a.type = 'bonus' AND l.remaining > 0 AND l.remaining > l.held AND l.activates_at <= :now
           AND (l.expires_at IS NULL OR l.expires_at > :now)
         GROUP BY 1 ORDER BY 1 NULLS LAST"""),
        {"tenant": current_tenant_id(), "member": member_id, "currency": currency, "now": now},
    ).all()
