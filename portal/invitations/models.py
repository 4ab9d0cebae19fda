"""Who was asked to come: a stranger, a member who never signed in, somebody who is to work here."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, pii, tenant_fk


class Invitation(TenantOwned, Model):
    """A link that lets one person in, once, within a week (security.md 8).

    `target` is the only contact it can be accepted for. `member_id`: whose account it is about, from the beginning or
    since it was accepted. A staff invitation gives `role`, a frozen one, or `role_id`, one of the tenant's own; that of an
    owner, whom the operator named, gives them a way to sign in to the account that is theirs.
    `token_hash` is made when the link is sent; the link itself is kept nowhere.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        tenant_fk("users", "member_id", ondelete="CASCADE"),
        tenant_fk("custom_roles", "role_id", ondelete="CASCADE"),
        tenant_fk("businesses", "business_id"),
        tenant_fk("business_locations", "location_id"),
        Index(None, "tenant_id", "created_at", "id"),
        Index(None, "tenant_id", "target_key"),
        CheckConstraint("kind IN ('member','staff','owner')", name="kind"),
        CheckConstraint("(kind = 'staff') = (role IS NOT NULL OR role_id IS NOT NULL)", name="gives"),
    )

    kind: Mapped[str] = mapped_column(info=pii("keep:technical"))
    name: Mapped[str] = mapped_column(server_default="", info=pii("erase"))
    channel: Mapped[str] = mapped_column(info=pii("keep:technical"))
    target: Mapped[str] = mapped_column(info=pii("erase"))
    target_key: Mapped[str] = mapped_column(info=pii("keep:hash"))
    locale: Mapped[str] = mapped_column(info=pii("keep:technical"))
    member_id: Mapped[UUID | None]
    role: Mapped[str | None] = mapped_column(info=pii("keep:name of a role"))
    role_id: Mapped[UUID | None]
    business_id: Mapped[UUID | None]
    location_id: Mapped[UUID | None]
    invited_by: Mapped[UUID | None]
    token_hash: Mapped[str | None] = mapped_column(info=pii("keep:secret"))
    sendings: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
