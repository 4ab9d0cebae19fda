"""A tenant: one community with its own address, brand, languages, currency and modules."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, new_id, pii, recorded_at


class Tenant(Model):
    """A row of the platform, not of a tenant: it holds no secrets."""

    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint("kind IN ('live','sandbox')", name="kind"),
        CheckConstraint("kind = 'sandbox' OR clock_offset = interval '0'", name="clock_only_in_sandbox"),
        CheckConstraint("slug ~ '^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$'", name="slug"),
        CheckConstraint("status IN ('opening','active','suspended')", name="status"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(unique=True, info=pii("keep:name of a tenant"))
    name: Mapped[str] = mapped_column(info=pii("keep:name of a tenant"))
    kind: Mapped[str] = mapped_column(server_default="live", info=pii("keep:technical"))
    currency: Mapped[str] = mapped_column(info=pii("keep:technical"))
    timezone: Mapped[str] = mapped_column(info=pii("keep:technical"))
    default_locale: Mapped[str] = mapped_column(info=pii("keep:technical"))
    locales: Mapped[list[str]] = mapped_column(ARRAY(Text), info=pii("keep:technical"))
    modules: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}", info=pii("keep:technical"))
    clock_offset: Mapped[timedelta] = mapped_column(server_default=text("interval '0'"))
    brand: Mapped[dict[str, Any]] = mapped_column(info=pii("keep:colours"))
    settings: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:technical"))
    created_at: Mapped[datetime] = recorded_at()
    status: Mapped[str] = mapped_column(server_default="active", info=pii("keep:technical"))
    suspended_at: Mapped[datetime | None]
    suspended_reason: Mapped[str | None] = mapped_column(info=pii("keep:the operator's reason"))
    opening_key: Mapped[str | None] = mapped_column(unique=True, info=pii("keep:technical"))
    opening: Mapped[dict[str, Any] | None] = mapped_column(info=pii("erase"))  # emptied once the tenant is open
    allowed_modules: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}", info=pii("keep:technical"))
    limits: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:technical"))
    owner_id: Mapped[UUID | None]  # a member; without a foreign key, since members point at tenants


class TenantDomain(Model):
    """A host name that shows one tenant; `retired` ones only keep old addresses answering (D44)."""

    __tablename__ = "tenant_domains"
    __table_args__ = (CheckConstraint("status IN ('active','retired')", name="status"),)

    host: Mapped[str] = mapped_column(primary_key=True, info=pii("keep:technical"))
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="RESTRICT"), index=True)
    status: Mapped[str] = mapped_column(server_default="active", info=pii("keep:technical"))
    primary: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = recorded_at()


class DomainClaim(TenantOwned, Model):
    """A host that a tenant says is its own: `verified` once its DNS has carried the token. Several may claim one."""

    __tablename__ = "domain_claims"
    __table_args__ = (
        UniqueConstraint("tenant_id", "host"),
        CheckConstraint("state IN ('pending','verified')", name="state"),
    )

    host: Mapped[str] = mapped_column(info=pii("keep:technical"))
    token: Mapped[str] = mapped_column(info=pii("keep:technical"))
    state: Mapped[str] = mapped_column(server_default="pending", info=pii("keep:technical"))
    created_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]
    verified_at: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(info=pii("keep:technical"))


class TenantVersion(TenantOwned, Model):
    """One change of a tenant's settings: which fields, from what to what, by whom; never changed."""

    __tablename__ = "tenant_versions"
    __table_args__ = (UniqueConstraint("tenant_id", "version"),)

    version: Mapped[int]
    page: Mapped[str] = mapped_column(info=pii("keep:technical"))
    before: Mapped[dict[str, Any]] = mapped_column(info=pii("keep:settings of a tenant"))
    after: Mapped[dict[str, Any]] = mapped_column(info=pii("keep:settings of a tenant"))
    actor_id: Mapped[UUID | None]
    restored: Mapped[int | None]
    at: Mapped[datetime]


class LegalText(TenantOwned, Model):
    """A published version of a legal page in one language; never changed, since people agreed to it."""

    __tablename__ = "legal_texts"
    __table_args__ = (UniqueConstraint("tenant_id", "page", "locale", "version"),)

    page: Mapped[str] = mapped_column(info=pii("keep:technical"))
    locale: Mapped[str] = mapped_column(info=pii("keep:technical"))
    version: Mapped[int]
    title: Mapped[str] = mapped_column(info=pii("keep:published text"))
    body: Mapped[str] = mapped_column(info=pii("keep:published text"))
    published_at: Mapped[datetime]
    published_by: Mapped[UUID | None]


class CurrencyRow(Model):
    """The currencies that accounts may be kept in (WAL-1)."""

    __tablename__ = "currencies"
    __table_args__ = (CheckConstraint("kind IN ('fiat','crypto','points')", name="kind"),)

    code: Mapped[str] = mapped_column(primary_key=True, info=pii("keep:technical"))
    exponent: Mapped[int]
    kind: Mapped[str] = mapped_column(info=pii("keep:technical"))


class TaskRun(TenantOwned, Model):
    """A tenant's local task done for a local day; inserting the row is the claim (D36)."""

    __tablename__ = "task_runs"
    __table_args__ = (UniqueConstraint("tenant_id", "task", "local_date"),)

    task: Mapped[str] = mapped_column(info=pii("keep:technical"))
    local_date: Mapped[str] = mapped_column(info=pii("keep:technical"))
    ran_at: Mapped[datetime] = recorded_at()


class FormSubmission(TenantOwned, Model):
    """The one-time key of a rendered form, so that a double click is one act; `result` is where it led."""

    __tablename__ = "form_submissions"
    __table_args__ = (UniqueConstraint("tenant_id", "form_key"),)

    form_key: Mapped[str] = mapped_column(info=pii("keep:technical"))
    user_id: Mapped[UUID | None]
    result: Mapped[str] = mapped_column(info=pii("keep:technical"))
    at: Mapped[datetime] = recorded_at()
