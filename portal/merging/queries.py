"""What the pages of merging show: two accounts side by side, what they would be together, and what was merged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, select

from portal.extensions import db
from portal.identity import queries as people
from portal.identity.labels import role
from portal.identity.models import MemberMerge, User
from portal.kernel import clock
from portal.loyalty import moves
from portal.loyalty import queries as loyalty
from portal.loyalty.ladder import Tier
from portal.profiles.models import Profile
from portal.purchases.models import Purchase
from portal.telegram.models import TelegramAccount
from portal.wallets.queries import Balance, balances

_from, _into, _by = (User.__table__.alias(name) for name in ("merged_from", "merged_into", "merged_by"))


@dataclass(frozen=True, slots=True)
class Side:
    """One of two accounts, as they are compared."""

    member: User
    born_on: date | None
    telegram: str | None
    tier: Tier | None
    balances: Sequence[Balance]
    purchases: int
    spent: int
    last_at: datetime | None
    roles: Sequence[str]

    def bonus(self, currency: str) -> int:
        """What stands on the account that pays at the tills, minor units."""
        return sum(b.posted for b in self.balances if (b.type, b.currency) == ("bonus", currency))


@dataclass(frozen=True, slots=True)
class Together:
    """What the account that stays will have: `balances` are (type, currency, minor units), and the tier."""

    balances: Sequence[tuple[str, str, int]]
    tier: Tier | None
    purchases: int


def side(member: User, currency: str) -> Side:
    """What there is to compare of one account."""
    figures = db.session.execute(
        select(
            func.count().label("purchases"),
            func.coalesce(
                func.sum(Purchase.amount - Purchase.refunded_total).filter(Purchase.currency == currency), 0
            ).label("spent"),
            func.max(Purchase.occurred_at).label("last_at"),
        ).where(people.whose(Purchase.member_id, member.id))
    ).one()
    telegram = select(TelegramAccount.username, TelegramAccount.first_name).where(TelegramAccount.user_id == member.id)
    linked = db.session.execute(telegram).one_or_none()
    return Side(
        member=member,
        born_on=db.session.scalar(select(Profile.born_on).where(Profile.id == member.id)),
        telegram=(linked.username or linked.first_name) if linked else None,
        tier=loyalty.tier_of(member.id),
        balances=balances(member.id),
        purchases=figures.purchases,
        spent=figures.spent,
        last_at=figures.last_at,
        roles=[role(name) for name in people.all_roles(member.id)],
    )


def together(first: Side, second: Side) -> Together:
    """The sum of both; the tier is the better one, or what both reach by what they spent together."""
    sums: dict[tuple[str, str], int] = {}
    for account in (*first.balances, *second.balances):
        name = (account.type, account.currency)
        sums[name] = sums.get(name, 0) + account.posted
    return Together(
        balances=[(*name, amount) for name, amount in sorted(sums.items()) if amount],
        tier=_tier(first.member.id, second.member.id),
        purchases=first.purchases + second.purchases,
    )


def _tier(one: UUID, other: UUID) -> Tier | None:
    place, came = loyalty.position(one), loyalty.position(other)
    if place is None or came is None:
        return None
    starts = {*place.windows, *came.windows}
    windows = {start: place.windows.get(start, 0) + came.windows.get(start, 0) for start in starts}
    return moves.joining(replace(place, windows=windows), came, one, clock.now()).standing.tier


def listed() -> Select[Any]:
    """Every merge, with the names of both and of whoever did it."""
    return (
        select(
            MemberMerge.id,
            MemberMerge.from_id,
            MemberMerge.into_id,
            MemberMerge.reason,
            MemberMerge.merged_at,
            MemberMerge.undo_until,
            MemberMerge.undone_at,
            MemberMerge.undo_reason,
            _from.c.name.label("from_name"),
            _into.c.name.label("into_name"),
            _by.c.name.label("by"),
        )
        .join(_from, and_(_from.c.tenant_id == MemberMerge.tenant_id, _from.c.id == MemberMerge.from_id))
        .join(_into, and_(_into.c.tenant_id == MemberMerge.tenant_id, _into.c.id == MemberMerge.into_id))
        .outerjoin(_by, and_(_by.c.tenant_id == MemberMerge.tenant_id, _by.c.id == MemberMerge.merged_by))
    )
