"""The member's statement: entries with running balance, and the reasons behind each (LOY-1, LOY-7)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select, text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id
from portal.partners.models import Business
from portal.wallets.models import LedgerEntry, LedgerTransaction, WalletAccount

PERIODS = {"month": timedelta(days=30), "quarter": timedelta(days=91), "year": timedelta(days=365)}
SIGNS = {"in": LedgerEntry.amount > 0, "out": LedgerEntry.amount < 0}
ENTRY = (
    LedgerEntry.id,
    LedgerEntry.account_id,
    LedgerEntry.amount,
    LedgerEntry.balance_after,
    LedgerEntry.currency,
    LedgerEntry.occurred_at,
    LedgerEntry.seq,
    LedgerTransaction.id.label("transaction_id"),
    LedgerTransaction.type,
    LedgerTransaction.caused_by,
    LedgerTransaction.details,
    Business.name.label("business"),
    WalletAccount.type.label("account_type"),
)


def entries(member_id: UUID, filters: Mapping[str, str]) -> Select[Any]:
    """A member's entries; filters: account, direction (in, out), type, business, period (month, quarter, year)."""
    statement = _entries().where(LedgerEntry.member_id == member_id)
    if account := _uuid(filters.get("account")):
        statement = statement.where(LedgerEntry.account_id == account)
    if sign := SIGNS.get(filters.get("direction", "")):
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
    return db.session.execute(
        _entries().where(LedgerEntry.member_id == member_id, LedgerEntry.id == entry_id)
    ).one_or_none()


def _entries() -> Select[Any]:
    return (
        select(*ENTRY)
        .join(
            LedgerTransaction,
            and_(
                LedgerTransaction.tenant_id == LedgerEntry.tenant_id, LedgerTransaction.id == LedgerEntry.transaction_id
            ),
        )
        .join(
            WalletAccount,
            and_(WalletAccount.tenant_id == LedgerEntry.tenant_id, WalletAccount.id == LedgerEntry.account_id),
        )
        .outerjoin(
            Business,
            and_(Business.tenant_id == LedgerTransaction.tenant_id, Business.id == LedgerTransaction.business_id),
        )
    )


def _uuid(value: str | None) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        return None


def lots_touched(transaction_id: UUID) -> Sequence[Any]:
    """Lots that a posting drew from, gave back to or made: each with the purchase that brought it (LOY-1)."""
    statement = text("""
        SELECT l.id, a.amount, l.amount AS lot_amount, l.remaining, l.expires_at, l.created_at, b.name AS business, x.type
          FROM lot_allocations a JOIN lots l ON l.tenant_id = a.tenant_id AND l.id = a.lot_id
          JOIN ledger_transactions x ON x.tenant_id = l.tenant_id AND x.id = l.source_transaction_id
          LEFT JOIN businesses b ON b.tenant_id = x.tenant_id AND b.id = x.business_id
         WHERE a.tenant_id = :tenant AND a.debit_transaction_id = :id
         UNION ALL
        SELECT l.id, -l.amount, l.amount, l.remaining, l.expires_at, l.created_at, b.name, x.type
          FROM lots l JOIN ledger_transactions x ON x.tenant_id = l.tenant_id AND x.id = l.source_transaction_id
          LEFT JOIN businesses b ON b.tenant_id = x.tenant_id AND b.id = x.business_id
         WHERE l.tenant_id = :tenant AND l.source_transaction_id = :id
         ORDER BY created_at""")
    return db.session.execute(statement, {"tenant": current_tenant_id(), "id": transaction_id}).all()


def spent_from(transaction_id: UUID) -> Sequence[Any]:
    """Where the bonus that this posting brought went: its lot's later debits."""
    statement = text("""
        SELECT a.amount, x.type, x.occurred_at, b.name AS business
          FROM lots l JOIN lot_allocations a ON a.tenant_id = l.tenant_id AND a.lot_id = l.id
          JOIN ledger_transactions x ON x.tenant_id = a.tenant_id AND x.id = a.debit_transaction_id
          LEFT JOIN businesses b ON b.tenant_id = x.tenant_id AND b.id = x.business_id
         WHERE l.tenant_id = :tenant AND l.source_transaction_id = :id ORDER BY x.seq""")
    return db.session.execute(statement, {"tenant": current_tenant_id(), "id": transaction_id}).all()
