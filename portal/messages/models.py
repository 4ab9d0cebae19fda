"""What members are told: the inbox, their preferences, and the state of each mail (NTF-1, NTF-3)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, pii, recorded_at, tenant_fk


class Notification(TenantOwned, Model):
    """One line of a member's inbox; its text is made from `kind` and `data` in the reader's language."""

    __tablename__ = "notifications"
    __table_args__ = (
        tenant_fk("users", "member_id"),
        UniqueConstraint("tenant_id", "member_id", "kind", "dedupe_key"),
        Index(None, "tenant_id", "member_id", "created_at", "id"),
        Index("ix_notifications_unseen", "tenant_id", "member_id", postgresql_where=text("seen_at IS NULL")),
    )

    member_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(info=pii("keep:name of a template"))
    dedupe_key: Mapped[str] = mapped_column(info=pii("keep:id of the event"))
    data: Mapped[dict[str, Any]] = mapped_column(info=pii("export"))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime] = recorded_at()


class NotificationPreference(TenantOwned, Model):
    """A member's choice for one workflow and channel; no row means the workflow's default (NTF-1)."""

    __tablename__ = "notification_preferences"
    __table_args__ = (
        tenant_fk("users", "member_id"),
        UniqueConstraint("tenant_id", "member_id", "workflow", "channel"),
        CheckConstraint("channel IN ('in_app','email')", name="channel"),
    )

    member_id: Mapped[UUID]
    workflow: Mapped[str] = mapped_column(info=pii("export"))
    channel: Mapped[str] = mapped_column(info=pii("export"))
    enabled: Mapped[bool]


class NotificationState(TenantOwned, Model):
    """A mail on its way, so that a repeated delivery does not send it twice; written on the side (D7)."""

    __tablename__ = "notification_states"
    __table_args__ = (
        UniqueConstraint("tenant_id", "message_id", "member_id", "channel"),
        CheckConstraint("state IN ('sending','sent','skipped','failed')", name="state"),
    )

    message_id: Mapped[UUID]
    member_id: Mapped[UUID]
    channel: Mapped[str] = mapped_column(info=pii("keep:technical"))
    state: Mapped[str] = mapped_column(info=pii("keep:technical"))
    reason: Mapped[str | None] = mapped_column(info=pii("keep:why it was skipped"))
    attempts: Mapped[int] = mapped_column(server_default="1")
    updated_at: Mapped[datetime] = recorded_at()
