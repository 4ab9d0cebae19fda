"""The member's statement: entries in the order in which they happened, with the balance after each (LOY-1, WAL-2).

Ordered by `occurred_at`, since a bought coffee belongs to its day however late its till came online. `running` is summed in
that order over the whole account; `balance_after`, in the order of booking, stays the ledger's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, select, text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id
from portal.partners.models import Business
from portal.wallets.models import LedgerEntry, LedgerTransaction

PERIODS = {"month": timedelta(days=30), "quarter": timedelta(days=91), "year": timedelta(days=365)}
SIGNS = {"in": LedgerEntry.amount > 0, "out": LedgerEntry.amount < 0}
COLUMNS = (
    LedgerEntry.id,
    LedgerEntry.account_id,
    LedgerEntry.amount,
    LedgerEntry.currency,
    LedgerEntry.occurred_at,
    LedgerEntry.seq,
    LedgerTransaction.id.label("transaction_id"),
    LedgerTransaction.type,
    LedgerTransaction.caused_by,
    LedgerTransaction.details,
    Business.name.label("business"),
    Business.category,
)


@dataclass(frozen=True, slots=True)
class Overview:
    """What ever moved on an account: the kinds and shops to filter by, and two sums in minor units."""

    types: Sequence[str]
    shops: Sequence[tuple[str, str]]
    spent: int
    burnt: int


def entries(account_id: UUID, filters: Mapping[str, str]) -> Select[Any]:
    """Entries of one account; filters: direction (in, out), type, business (slug), period (month, quarter, year)."""
    statement = _entries().where(LedgerEntry.account_id == account_id)
    if (sign := SIGNS.get(filters.get("direction", ""))) is not None:
        statement = statement.where(sign)
    if kind := filters.get("type"):
        statement = statement.where(LedgerTransaction.type == kind)
    if business := filters.get("business"):
        statement = statement.where(Business.slug == business)
    if period := PERIODS.get(filters.get("period", "")):
        statement = statement.where(LedgerEntry.occurred_at >= clock.now() - period)
    return statement


def entry(member_id: UUID, entry_id: UUID) -> Any:
    """One entry of this member, or None."""
    statement = _entries().where(LedgerEntry.member_id == member_id, LedgerEntry.id == entry_id)
    return db.session.execute(statement).one_or_none()


def _entries() -> Select[Any]:
    return (
        select(*COLUMNS)
        .join(
            LedgerTransaction,
            and_(
                LedgerTransaction.tenant_id == LedgerEntry.tenant_id, LedgerTransaction.id == LedgerEntry.transaction_id
            ),
        )
        .outerjoin(
            Business,
            and_(Business.tenant_id == LedgerTransaction.tenant_id, Business.id == LedgerTransaction.business_id),
        )
    )


def running(rows: Sequence[Any]) -> dict[UUID, int]:
    """The balance after each of these entries of one account, whatever a filter left out between them."""
    if not rows:
        return {}
    statement = text("""
        SELECT id, balance FROM (
            SELECT id, occurred_at, sum(amount) OVER (ORDER BY occurred_at, seq)::bigint AS balance FROM ledger_entries
             WHERE tenant_id = :tenant AND account_id = :account) e
         WHERE id = ANY (:ids)""")
    values = {"tenant": current_tenant_id(), "account": rows[0].account_id, "ids": [row.id for row in rows]}
    return {row.id: row.balance for row in db.session.execute(statement, values)}


def whole(account_id: UUID, filters: Mapping[str, str], limit: int) -> Sequence[Any]:
    """Every entry the filters let through, newest first, each with its `running` balance: what a download holds."""
    sums = (
        select(
            LedgerEntry.id,
            func.sum(LedgerEntry.amount).over(order_by=(LedgerEntry.occurred_at, LedgerEntry.seq)).label("running"),
        )
        .where(LedgerEntry.account_id == account_id)
        .subquery()
    )
    statement = entries(account_id, filters).add_columns(sums.c.running).join(sums, sums.c.id == LedgerEntry.id)
    return db.session.execute(
        statement.order_by(LedgerEntry.occurred_at.desc(), LedgerEntry.seq.desc()).limit(limit)
    ).all()


def overview(account_id: UUID) -> Overview:
    """The account's movements summed by kind and shop, in one statement."""
    rows = db.session.execute(
        select(LedgerTransaction.type, Business.slug, Business.name, func.sum(LedgerEntry.amount).label("amount"))
        .select_from(LedgerEntry)
        .join(
            LedgerTransaction,
            and_(
                LedgerTransaction.tenant_id == LedgerEntry.tenant_id, LedgerTransaction.id == LedgerEntry.transaction_id
            ),
        )
        .outerjoin(
            Business,
            and_(Business.tenant_id == LedgerTransaction.tenant_id, Business.id == LedgerTransaction.business_id),
        )
        .where(LedgerEntry.account_id == account_id)
        .group_by(LedgerTransaction.type, Business.slug, Business.name)
    ).all()
    moved = {kind: sum(int(row.amount) for row in rows if row.type == kind) for kind in {row.type for row in rows}}
    shops = sorted({(row.slug, row.name) for row in rows if row.slug}, key=lambda shop: shop[1].casefold())
    return Overview(
        types=sorted(moved),
        shops=shops,
        spent=-(moved.get("redemption", 0) + moved.get("refund_restore", 0)),
        burnt=-moved.get("expiry", 0),
    )
