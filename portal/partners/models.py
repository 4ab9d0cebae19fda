"""Partner businesses of a tenant, their places, their staff and their API keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import I18n, Model, TenantOwned, pii, recorded_at, tenant_fk


class Business(TenantOwned, Model):
    """A shop. `max_bonus_share` is the largest share of a bill payable with bonus, in per cent."""

    __tablename__ = "businesses"
    __table_args__ = (
        UniqueConstraint("tenant_id", "slug"),
        CheckConstraint("max_bonus_share BETWEEN 0 AND 100", name="max_bonus_share"),
        CheckConstraint("spend_confirmation IN ('none','card_scan','code')", name="spend_confirmation"),
        CheckConstraint("slug ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'", name="slug"),
    )

    slug: Mapped[str] = mapped_column(info=pii("keep:name of a shop"))
    name: Mapped[str] = mapped_column(info=pii("keep:name of a shop"))
    category: Mapped[str] = mapped_column(info=pii("keep:kind of a shop"))
    currency: Mapped[str] = mapped_column(info=pii("keep:technical"))
    description_i18n: Mapped[I18n] = mapped_column(server_default="{}", info=pii("keep:advertising"))
    address: Mapped[str] = mapped_column(server_default="", info=pii("keep:address of a shop"))
    max_bonus_share: Mapped[int] = mapped_column(server_default="50")
    spend_confirmation: Mapped[str] = mapped_column(server_default="card_scan", info=pii("keep:technical"))
    settings: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:technical"))
    created_at: Mapped[datetime] = recorded_at()
    archived_at: Mapped[datetime | None]
    archived_by: Mapped[UUID | None]


class BusinessLocation(TenantOwned, Model):
    """A place of a business."""

    __tablename__ = "business_locations"
    __table_args__ = (UniqueConstraint("tenant_id", "business_id", "name"), tenant_fk("businesses", "business_id"))

    business_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(info=pii("keep:name of a place"))
    address: Mapped[str] = mapped_column(server_default="", info=pii("keep:address of a shop"))
    archived_at: Mapped[datetime | None]
    archived_by: Mapped[UUID | None]


class BusinessStaff(TenantOwned, Model):
    """A member who works at a business: cashier, manager or owner (G1)."""

    __tablename__ = "business_staff"
    __table_args__ = (
        tenant_fk("businesses", "business_id"),
        tenant_fk("users", "user_id"),
        tenant_fk("business_locations", "location_id"),
        UniqueConstraint("tenant_id", "business_id", "user_id", "role"),
        Index(None, "tenant_id", "user_id"),
        CheckConstraint("role IN ('cashier','manager','owner')", name="role"),
    )

    business_id: Mapped[UUID]
    user_id: Mapped[UUID]
    location_id: Mapped[UUID | None]
    role: Mapped[str] = mapped_column(info=pii("keep:name of a role"))
    archived_at: Mapped[datetime | None]
    archived_by: Mapped[UUID | None]


class ApiKey(TenantOwned, Model):
    """A business's key for tills and CRMs: `krug_live_<8>_<32>_<crc>`; only its hash is kept (security.md 9)."""

    __tablename__ = "api_keys"
    __table_args__ = (tenant_fk("businesses", "business_id"), UniqueConstraint("tenant_id", "prefix"))

    business_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(info=pii("keep:name of a till"))
    prefix: Mapped[str] = mapped_column(info=pii("keep:public part"))
    secret_hash: Mapped[str] = mapped_column(info=pii("keep:hash of a secret"))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), info=pii("keep:technical"))
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = recorded_at()
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[UUID | None]


class ApiKeyUse(TenantOwned, Model):
    """The hour in which a key was last seen; written on the side (D7)."""

    __tablename__ = "api_key_uses"
    __table_args__ = (tenant_fk("api_keys", "key_id"), UniqueConstraint("tenant_id", "key_id", "hour"))

    key_id: Mapped[UUID]
    hour: Mapped[datetime]
    uses: Mapped[int] = mapped_column(server_default=text("1"))


class IdempotencyKey(TenantOwned, Model):
    """An API call already answered: the same key and content get the same answer for 30 days (D23)."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("tenant_id", "principal_id", "route", "key"),
        Index(None, "tenant_id", "at"),
    )

    principal_id: Mapped[UUID]
    route: Mapped[str] = mapped_column(info=pii("keep:technical"))
    key: Mapped[str] = mapped_column(info=pii("keep:technical"))
    request_hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    request_fields: Mapped[dict[str, Any]] = mapped_column(info=pii("keep:hashes of fields"))
    status: Mapped[int]
    response: Mapped[dict[str, Any]] = mapped_column(info=pii("keep:ids and figures"))
    at: Mapped[datetime] = recorded_at()
