"""Files that the portal keeps: their bytes lie in storage, their row says whose they are."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, pii, recorded_at, tenant_fk


class StoredFile(TenantOwned, Model):
    """`path` is random, never the uploaded name; `state` moves uploading → ready → deleted."""

    __tablename__ = "stored_files"
    __table_args__ = (
        tenant_fk("users", "owner_id"),
        CheckConstraint("state IN ('uploading','ready','deleted')", name="state"),
        Index(None, "tenant_id", "owner_id"),
    )

    owner_id: Mapped[UUID | None]
    business_id: Mapped[UUID | None]
    purpose: Mapped[str] = mapped_column(info=pii("keep:technical"))
    name: Mapped[str] = mapped_column(info=pii("export"))
    path: Mapped[str] = mapped_column(info=pii("keep:technical"))
    mime: Mapped[str] = mapped_column(info=pii("keep:technical"))
    sha256: Mapped[str] = mapped_column(server_default="", info=pii("keep:hash"))
    size: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(server_default="uploading", info=pii("keep:technical"))
    created_at: Mapped[datetime] = recorded_at()
    expires_at: Mapped[datetime | None]
