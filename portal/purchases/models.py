"""Purchases, their lines and refunds (G9, D24)."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, pii, recorded_at, tenant_fk


class Purchase(TenantOwned, Model):
    """A sale recorded for a member. Amounts are minor units; `version` moves under the row's lock (D47)."""

    __tablename__ = "purchases"
    __table_args__ = (
        tenant_fk("businesses", "business_id"),
        tenant_fk("users", "member_id"),
        tenant_fk("business_locations", "location_id"),
        tenant_fk("status_tiers", "tier_id"),
        UniqueConstraint("tenant_id", "business_id", "external_id"),
        Index(None, "tenant_id", "business_id", "occurred_at", "id"),
        Index(None, "tenant_id", "member_id", "occurred_at", "id"),
        Index(None, "tenant_id", "occurred_at", "id"),
        CheckConstraint("amount >= 0 AND paid_with_bonus >= 0 AND paid_with_bonus <= amount", name="amounts"),
        CheckConstraint("refunded_total >= 0 AND refunded_total <= amount", name="refunded"),
        CheckConstraint("source IN ('till','api','import','demo')", name="source"),
    )

    business_id: Mapped[UUID]
    member_id: Mapped[UUID]
    location_id: Mapped[UUID | None]
    till: Mapped[str] = mapped_column(server_default="", info=pii("keep:name of a till"))
    category: Mapped[str] = mapped_column(server_default="", info=pii("keep:kind of goods"))
    receipt_number: Mapped[str] = mapped_column(info=pii("keep:bookkeeping"))
    external_id: Mapped[str] = mapped_column(info=pii("keep:bookkeeping"))
    request_hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    amount: Mapped[int]
    paid_with_bonus: Mapped[int] = mapped_column(server_default="0")
    earn_base: Mapped[int]
    bonus_accrued: Mapped[int]
    refunded_total: Mapped[int] = mapped_column(server_default="0")
    bonus_taken_back: Mapped[int] = mapped_column(server_default="0")
    bonus_given_back: Mapped[int] = mapped_column(server_default="0")
    currency: Mapped[str] = mapped_column(info=pii("keep:technical"))
    rate_num: Mapped[int]
    rate_den: Mapped[int]
    tier_id: Mapped[UUID | None]
    version: Mapped[int] = mapped_column(server_default="1")
    source: Mapped[str] = mapped_column(info=pii("keep:technical"))
    cashier_id: Mapped[UUID | None]
    device_id: Mapped[UUID | None]
    historical: Mapped[bool] = mapped_column(server_default=text("false"))
    trace: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:the rule and its figures"))
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = recorded_at()


class PurchaseLine(TenantOwned, Model):
    """A line of the receipt; `earns=False` goods bring no bonus."""

    __tablename__ = "purchase_lines"
    __table_args__ = (
        tenant_fk("purchases", "purchase_id"),
        UniqueConstraint("tenant_id", "purchase_id", "number"),
        CheckConstraint("amount >= 0 AND quantity > 0", name="numbers"),
    )

    purchase_id: Mapped[UUID]
    number: Mapped[int]
    sku: Mapped[str | None] = mapped_column(info=pii("keep:goods"))
    name: Mapped[str] = mapped_column(info=pii("keep:goods"))
    category: Mapped[str] = mapped_column(server_default="", info=pii("keep:kind of goods"))
    quantity: Mapped[Decimal] = mapped_column(Numeric(18, 3))
    amount: Mapped[int]
    earns: Mapped[bool] = mapped_column(server_default=text("true"))


class PurchaseRefund(TenantOwned, Model):
    """Money given back for a purchase, in part or in full; an undo is a full one with `cause: undo` (G9).

    `eligible` is the part of `amount` that had earned bonus (LOY-6); `lines` names what came back, `{number, amount}`.
    """

    __tablename__ = "purchase_refunds"
    __table_args__ = (
        tenant_fk("purchases", "purchase_id"),
        UniqueConstraint("tenant_id", "purchase_id", "external_id"),
        CheckConstraint("cause IN ('refund','undo')", name="cause"),
        CheckConstraint(
            "amount >= 0 AND bonus_taken_back >= 0 AND bonus_given_back >= 0 AND unrecovered >= 0", name="numbers"
        ),
    )

    purchase_id: Mapped[UUID]
    external_id: Mapped[str] = mapped_column(info=pii("keep:bookkeeping"))
    request_hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    amount: Mapped[int]
    eligible: Mapped[int]
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]", info=pii("keep:goods"))
    bonus_taken_back: Mapped[int]
    bonus_given_back: Mapped[int]
    unrecovered: Mapped[int] = mapped_column(server_default="0")
    cause: Mapped[str] = mapped_column(info=pii("keep:refund or undo"))
    reason: Mapped[str] = mapped_column(server_default="", info=pii("keep:why goods came back"))
    actor_id: Mapped[UUID | None]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = recorded_at()


class SpendCode(TenantOwned, Model):
    """A member's consent to pay up to `amount` of a bill with bonus, shown to them as six digits (`spend_confirmation`).

    The digits are made from the row's id and the portal's key when they are shown and when they are checked.
    """

    __tablename__ = "spend_codes"
    __table_args__ = (
        tenant_fk("businesses", "business_id"),
        tenant_fk("users", "member_id"),
        Index(None, "tenant_id", "member_id", "created_at"),
    )

    business_id: Mapped[UUID]
    member_id: Mapped[UUID]
    amount: Mapped[int]
    currency: Mapped[str] = mapped_column(info=pii("keep:technical"))
    requested_by: Mapped[UUID | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class OtpAttempt(TenantOwned, Model):
    """A wrong one-time code, counted in PostgreSQL and kept whatever the command around it does (D7)."""

    __tablename__ = "otp_attempts"
    __table_args__ = (Index(None, "tenant_id", "purpose", "subject_id"),)

    purpose: Mapped[str] = mapped_column(info=pii("keep:technical"))
    subject_id: Mapped[UUID]
    at: Mapped[datetime]
