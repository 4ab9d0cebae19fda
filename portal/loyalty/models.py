"""Status tiers: what a member reached in a period, and what it gives (LOY-9 to LOY-11)."""

from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import I18n, Model, TenantOwned, pii, recorded_at, tenant_fk


class TierProgram(TenantOwned, Model):
    """How a tenant's tiers are won and lost (LOY-10). `settings` holds anchor, length and expiry of bonus."""

    __tablename__ = "tier_programs"
    __table_args__ = (
        CheckConstraint("basis IN ('balance','earned_in_period','spend_in_period','lifetime')", name="basis"),
        CheckConstraint("period IN ('MONTH','QUARTER','HALF_YEAR','YEAR')", name="period"),
        CheckConstraint("end_rule IN ('END_OF_PERIOD','END_OF_NEXT_PERIOD')", name="end_rule"),
        CheckConstraint("downgrade IN ('one_down','balance_based')", name="downgrade"),
    )

    basis: Mapped[str] = mapped_column(server_default="spend_in_period", info=pii("keep:technical"))
    period: Mapped[str] = mapped_column(server_default="YEAR", info=pii("keep:technical"))
    end_rule: Mapped[str] = mapped_column(server_default="END_OF_NEXT_PERIOD", info=pii("keep:technical"))
    downgrade: Mapped[str] = mapped_column(server_default="one_down", info=pii("keep:technical"))
    currency: Mapped[str] = mapped_column(info=pii("keep:technical"))
    bonus_expiry: Mapped[str] = mapped_column(server_default="unlimited", info=pii("keep:duration, LOY-4"))
    refund_policy: Mapped[str] = mapped_column(server_default="within_balance", info=pii("keep:technical"))
    refund_grace_days: Mapped[int] = mapped_column(server_default="14")
    settings: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:technical"))


class StatusTier(TenantOwned, Model):
    """A tier: reached at `threshold` minor units, earning `rate_num/rate_den` of the base (LOY-7)."""

    __tablename__ = "status_tiers"
    __table_args__ = (
        tenant_fk("tier_programs", "program_id"),
        UniqueConstraint("tenant_id", "program_id", "rank"),
        UniqueConstraint("tenant_id", "program_id", "threshold"),
        UniqueConstraint("tenant_id", "program_id", "code"),
        CheckConstraint("threshold >= 0 AND rate_num >= 0 AND rate_den > 0 AND rate_num <= rate_den", name="numbers"),
        CheckConstraint("rank > 0 OR threshold = 0", name="lowest_starts_at_zero"),
    )

    program_id: Mapped[UUID]
    code: Mapped[str] = mapped_column(info=pii("keep:name of a tier"))
    name_i18n: Mapped[I18n] = mapped_column(info=pii("keep:name of a tier"))
    rank: Mapped[int]
    threshold: Mapped[int]
    rate_num: Mapped[int]
    rate_den: Mapped[int]

    @property
    def rate(self) -> Fraction:
        return Fraction(self.rate_num, self.rate_den)


class TierMembership(TenantOwned, Model):
    """A member's tier now; `id` is the member's. No row means the lowest tier."""

    __tablename__ = "tier_memberships"
    __table_args__ = (
        tenant_fk("users", "id"),
        tenant_fk("status_tiers", "tier_id"),
        Index(None, "tenant_id", "tier_id"),
        Index("ix_tier_memberships_due", "tenant_id", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    )

    tier_id: Mapped[UUID]
    since: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    locked_until: Mapped[datetime | None]
    cause: Mapped[str] = mapped_column(info=pii("keep:earned, expired, manual, merge or refund"))
    reason: Mapped[str | None] = mapped_column(info=pii("export"))
    actor_id: Mapped[UUID | None]


class TierChange(TenantOwned, Model):
    """A step between tiers, kept for the member's timeline and for "Why?" (LOY-11)."""

    __tablename__ = "tier_changes"
    __table_args__ = (tenant_fk("users", "member_id"), Index(None, "tenant_id", "member_id", "at"))

    member_id: Mapped[UUID]
    from_tier_id: Mapped[UUID | None]
    to_tier_id: Mapped[UUID]
    cause: Mapped[str] = mapped_column(info=pii("keep:earned, expired, manual, merge or refund"))
    purchase_id: Mapped[UUID | None]
    at: Mapped[datetime]
    recorded_at: Mapped[datetime] = recorded_at()


class TierProgress(TenantOwned, Model):
    """What counts towards a tier in one window, moved in the purchase's own statement (D22)."""

    __tablename__ = "tier_progress"
    __table_args__ = (
        tenant_fk("users", "member_id"),
        tenant_fk("tier_programs", "program_id"),
    )

    id = None  # type: ignore[assignment]  # the key is the window
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    program_id: Mapped[UUID] = mapped_column(primary_key=True)
    window_start: Mapped[datetime] = mapped_column(primary_key=True)
    qualifying: Mapped[int]
