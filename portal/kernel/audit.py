"""The audit log: who did what to which object, written by the command wrapper, never changed afterwards (AUD-1)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, Xid8, pii, recorded_at

ERASABLE = {"changed": True}  # how a personal value appears in a diff: the value stays in its row alone (D42)


class AuditEntry(TenantOwned, Model):
    """One command. `changes` is a list of `{table, key, fields}`, fields as name → [before, after].

    `business_id` is the business whose till, desk or key it was done at, or that it is about. `xact_id` is the transaction that wrote it: in its order entries are sealed (D20).
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index(None, "tenant_id", "seq"),
        Index(None, "tenant_id", "xact_id", "seq"),
        Index(None, "tenant_id", "object_type", "object_id", "seq"),
        Index(None, "tenant_id", "actor_id", "seq"),
        Index(None, "tenant_id", "action", "seq"),
        Index(
            "ix_audit_entries_business",
            "tenant_id",
            "business_id",
            "seq",
            postgresql_where=text("business_id IS NOT NULL"),
        ),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    action: Mapped[str] = mapped_column(info=pii("keep:name of an act"))
    actor_id: Mapped[UUID | None]
    actor_kind: Mapped[str] = mapped_column(info=pii("keep:member, key, system or operator"))
    on_behalf_of: Mapped[UUID | None]
    object_type: Mapped[str | None] = mapped_column(info=pii("keep:name of a noun"))
    object_id: Mapped[UUID | None]
    business_id: Mapped[UUID | None]
    changes: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, info=pii("keep:personal values are masked"))
    reason: Mapped[str | None] = mapped_column(info=pii("keep:why staff acted"))
    ip: Mapped[str | None] = mapped_column(info=pii("keep:security log"))
    request_id: Mapped[str | None] = mapped_column(info=pii("keep:technical"))
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = recorded_at()
    xact_id: Mapped[str] = mapped_column(Xid8(), server_default=text("pg_current_xact_id()"))
