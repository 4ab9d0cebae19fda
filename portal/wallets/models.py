"""The ledger's tables, for reading: rows are written by the functions of `migrations/sql/ledger.sql` alone (D16, D17)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.chain import Seal
from portal.kernel.model import Model, TenantOwned, Xid8, pii, recorded_at, tenant_fk


class WalletAccount(TenantOwned, Model):
    """A balance of one owner, currency and type. Lazy ones keep a folded checkpoint instead of a balance (D19)."""

    __tablename__ = "wallet_accounts"
    __table_args__ = (
        UniqueConstraint(
            "tenant_id", "owner_kind", "owner_id", "owner_key", "currency", "type", postgresql_nulls_not_distinct=True
        ),
        CheckConstraint("owner_kind IN ('member','business','system')", name="owner_kind"),
        CheckConstraint("lazy OR posted - held >= floor", name="floor"),
        CheckConstraint("held >= 0 AND debt >= 0", name="not_negative"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    owner_kind: Mapped[str] = mapped_column(info=pii("keep:technical"))
    owner_id: Mapped[UUID | None]
    owner_key: Mapped[str] = mapped_column(server_default="", info=pii("keep:technical"))
    currency: Mapped[str] = mapped_column(info=pii("keep:technical"))
    type: Mapped[str] = mapped_column(info=pii("keep:main, bonus, locked, payable, issuance, …"))
    lazy: Mapped[bool] = mapped_column(server_default=text("false"))
    posted: Mapped[int] = mapped_column(server_default="0")
    held: Mapped[int] = mapped_column(server_default="0")
    floor: Mapped[int] = mapped_column(server_default="0")
    debt: Mapped[int] = mapped_column(server_default="0")
    version: Mapped[int] = mapped_column(server_default="0")
    folded_through: Mapped[str] = mapped_column(Xid8(), server_default=text("'0'::xid8"))
    created_at: Mapped[datetime] = recorded_at()


class LedgerTransaction(TenantOwned, Model):
    """One posting, idempotent by `(source, external_id)` (WAL-3); types are G5's."""

    __tablename__ = "ledger_transactions"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source", "external_id"),
        Index(
            "ix_ledger_transactions_reverses_id",
            "tenant_id",
            "reverses_id",
            unique=True,
            postgresql_where=text("reverses_id IS NOT NULL"),
        ),
        Index(None, "tenant_id", "member_id", "seq"),
        Index(None, "tenant_id", "xact_id", "seq"),
        Index(None, "tenant_id", "caused_by"),
        CheckConstraint("status IN ('pending','success','failed','cancelled')", name="status"),
        CheckConstraint("amount > 0", name="amount"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    type: Mapped[str] = mapped_column(info=pii("keep:technical"))
    module: Mapped[str] = mapped_column(info=pii("keep:technical"))
    action: Mapped[str] = mapped_column(info=pii("keep:technical"))
    source: Mapped[str] = mapped_column(info=pii("keep:technical"))
    external_id: Mapped[str] = mapped_column(info=pii("keep:bookkeeping"))
    request_hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    status: Mapped[str] = mapped_column(server_default="success", info=pii("keep:technical"))
    currency: Mapped[str] = mapped_column(info=pii("keep:technical"))
    amount: Mapped[int]
    member_id: Mapped[UUID | None]
    business_id: Mapped[UUID | None]
    reverses_id: Mapped[UUID | None]
    caused_by: Mapped[UUID | None]
    details: Mapped[dict[str, Any]] = mapped_column("metadata", server_default="{}", info=pii("keep:figures and ids"))
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = recorded_at()
    processed_at: Mapped[datetime | None]
    xact_id: Mapped[str] = mapped_column(Xid8(), server_default=text("pg_current_xact_id()"))


class LedgerEntry(TenantOwned, Model):
    """One side of a posting; never updated, never deleted. Balances stand on eager accounts' entries (D19)."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        tenant_fk("ledger_transactions", "transaction_id"),
        Index(
            "ix_ledger_entries_member",
            "tenant_id",
            "member_id",
            "occurred_at",
            "id",
            postgresql_where=text("member_id IS NOT NULL"),
        ),
        Index(None, "tenant_id", "transaction_id"),
        UniqueConstraint("tenant_id", "account_id", "account_version"),
        Index(
            "ix_ledger_entries_lazy",
            "tenant_id",
            "account_id",
            "xact_id",
            postgresql_where=text("account_version IS NULL"),
        ),
        CheckConstraint("amount <> 0", name="amount"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    transaction_id: Mapped[UUID]
    account_id: Mapped[UUID]
    member_id: Mapped[UUID | None]
    currency: Mapped[str] = mapped_column(info=pii("keep:technical"))
    amount: Mapped[int]
    balance_before: Mapped[int | None]
    balance_after: Mapped[int | None]
    account_version: Mapped[int | None]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = recorded_at()
    xact_id: Mapped[str] = mapped_column(Xid8(), server_default=text("pg_current_xact_id()"))


class Lot(TenantOwned, Model):
    """A credit and what is left of it (LOY-1, LOY-2)."""

    __tablename__ = "lots"
    __table_args__ = (
        tenant_fk("ledger_transactions", "source_transaction_id"),
        Index(
            "ix_lots_spendable",
            "tenant_id",
            "account_id",
            "priority",
            "expires_at",
            "seq",
            postgresql_where=text("remaining > 0"),
        ),
        Index(
            "ix_lots_expiring",
            "tenant_id",
            "expires_at",
            postgresql_where=text("remaining > 0 AND expires_at IS NOT NULL"),
        ),
        Index("ix_lots_activating", "tenant_id", "activates_at", postgresql_where=text("state = 'pending'")),
        Index(None, "tenant_id", "source_transaction_id"),
        CheckConstraint("remaining >= 0 AND held >= 0 AND held <= remaining", name="remaining"),
        CheckConstraint("priority BETWEEN 1 AND 50", name="priority"),
        CheckConstraint("state IN ('pending','active','exhausted','expired','voided')", name="state"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    account_id: Mapped[UUID]
    source_transaction_id: Mapped[UUID]
    amount: Mapped[int]
    remaining: Mapped[int]
    held: Mapped[int] = mapped_column(server_default="0")
    priority: Mapped[int] = mapped_column(server_default="50")
    granted: Mapped[bool] = mapped_column(server_default=text("true"))
    activates_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(server_default="active", info=pii("keep:technical"))
    created_at: Mapped[datetime]


class LotAllocation(TenantOwned, Model):
    """Which debit took how much from which lot; negative rows give it back (LOY-1, LOY-6)."""

    __tablename__ = "lot_allocations"
    __table_args__ = (
        tenant_fk("ledger_transactions", "debit_transaction_id"),
        tenant_fk("lots", "lot_id"),
        Index(None, "tenant_id", "lot_id"),
        Index(None, "tenant_id", "debit_transaction_id"),
        CheckConstraint("amount <> 0", name="amount"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    debit_transaction_id: Mapped[UUID]
    lot_id: Mapped[UUID]
    amount: Mapped[int]
    recorded_at: Mapped[datetime] = recorded_at()


class LedgerSeal(Seal, Model):
    """A seal over postings with their entries and allocations."""

    __tablename__ = "ledger_seals"
