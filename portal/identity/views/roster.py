"""The admin's list of members: one statement, narrowed and sorted by its address (G13)."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import Select, and_, func, literal, or_, select
from sqlalchemy.orm import aliased

from portal.extensions import db
from portal.identity import queries
from portal.identity.models import TwoFactorMethod, User
from portal.kernel.reads import written_down
from portal.loyalty.models import StatusTier, TierMembership
from portal.purchases.models import Purchase
from portal.wallets.models import WalletAccount
from portal.web import paging

FILTERS = ("tier", "state", "from", "to")
NEVER = datetime(1, 1, 2, tzinfo=ZoneInfo("UTC"))
AT_ONCE = 1000

_bonus = (
    select(WalletAccount.posted)
    .where(
        WalletAccount.tenant_id == User.tenant_id,
        WalletAccount.owner_kind == "member",
        WalletAccount.owner_id == User.id,
        WalletAccount.owner_key == "",
        WalletAccount.type == "bonus",
    )
    .correlate(User)
)
_merged = aliased(User)


def _newest(account: Any) -> Any:
    """When the last purchase of this very account was, by one look into the index."""
    own = select(Purchase.occurred_at).where(Purchase.tenant_id == account.tenant_id, Purchase.member_id == account.id)
    newest_first = own.order_by(Purchase.occurred_at.desc(), Purchase.id.desc())
    return newest_first.limit(1).correlate(account).scalar_subquery()


_last = func.greatest(  # of the member's own account and of those that were merged into it (D28)
    _newest(User),
    select(func.max(_newest(_merged)))
    .where(_merged.tenant_id == User.tenant_id, _merged.merged_into == User.id)
    .correlate(User)
    .scalar_subquery(),
)


def found(filters: dict[str, str], q: str) -> Select[Any]:
    """Members as the list and the download show them: name, card, tier, bonus, last purchase, joined."""
    statement: Select[Any] = (
        select(
            User.id,
            User.name,
            User.card_number,
            User.phone,
            User.suspended_at,
            User.joined_at,
            TierMembership.tier_id.label("tier_id"),
            bonus().label("bonus"),
            _last.label("last_at"),
        )
        .outerjoin(TierMembership, and_(TierMembership.tenant_id == User.tenant_id, TierMembership.id == User.id))
        .where(*queries.listed())
    )
    if q:
        narrowed = queries.matching(statement, q)
        statement = statement.where(literal(False)) if narrowed is None else narrowed
    return _filtered(statement, filters)


def bonus() -> Any:
    """What a member's bonus account in the tenant's currency holds."""
    return func.coalesce(_bonus.where(WalletAccount.currency == g.tenant.currency).scalar_subquery(), 0)


def sorts() -> dict[str, paging.Sort]:
    """The columns that the list can be sorted by."""
    return {
        "name": paging.Sort(User.search_text.expression),
        "joined": paging.Sort(User.joined_at.expression, paging.when),
        "last": paging.Sort(func.coalesce(_last, NEVER), paging.when),
        "bonus": paging.Sort(bonus(), int),
    }


def in_order(filters: dict[str, str], q: str, sort: str) -> Iterator[Any]:
    """Every row of the list, for the download; read from the database a thousand at a time."""
    known = sorts()
    name = sort.removeprefix("-")
    chosen = known.get(name, known["joined"]).column
    order = chosen.desc() if sort.startswith("-") else chosen.asc()
    statement = found(filters, q).order_by(order, User.id).execution_options(yield_per=AT_ONCE)
    yield from db.session.execute(statement)


def note_export(filters: dict[str, str], q: str) -> None:
    """Who took the list away, and which part of it (AUD-2); what was typed to search is not kept."""
    told = [f"{name}={value}" for name, value in filters.items()] + (["search"] if q else [])
    written_down("members.export", *(told or ["all"]))


def _filtered(statement: Select[Any], filters: dict[str, str]) -> Select[Any]:
    if code := filters.get("tier"):
        tier = select(StatusTier.id).where(StatusTier.code == code).scalar_subquery()
        lowest = select(StatusTier.rank).where(StatusTier.code == code).scalar_subquery() == 0
        statement = statement.where(or_(TierMembership.tier_id == tier, and_(TierMembership.tier_id.is_(None), lowest)))
    if filters.get("state") == "suspended":
        statement = statement.where(User.suspended_at.is_not(None))
    elif filters.get("state") == "open":
        statement = statement.where(User.suspended_at.is_(None))
    elif filters.get("state") == "card_only":  # D28: a member may exist by card alone
        keys = select(TwoFactorMethod.user_id).where(TwoFactorMethod.kind == "passkey")
        statement = statement.where(User.password_hash.is_(None), User.id.not_in(keys))
    if since := midnight(filters.get("from", "")):
        statement = statement.where(User.joined_at >= since)
    if until := midnight(filters.get("to", ""), days=1):
        statement = statement.where(User.joined_at < until)
    return statement


def midnight(text: str, days: int = 0) -> datetime | None:
    """The beginning of a typed day in the tenant's zone, `days` later; None when it is no day (G11)."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(g.tenant.timezone))


def tier_names() -> dict[UUID | None, Any]:
    """The tenant's tiers by id; None stands for a member who has not moved yet: the lowest."""
    from portal.loyalty.queries import tiers

    steps = tiers()
    return {**{tier.id: tier for tier in steps}, None: steps[0] if steps else None}
