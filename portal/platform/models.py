"""The operator's own tables: people who run the installation, their sessions, and what they looked at."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, new_id, pii, recorded_at


class Operator(Model):
    """A person who runs the installation; sees tenants from outside, never their members."""

    __tablename__ = "operators"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(unique=True, info=pii("keep:staff of the operator"))
    name: Mapped[str] = mapped_column(info=pii("keep:staff of the operator"))
    password_hash: Mapped[str] = mapped_column(info=pii("keep:staff of the operator"))
    created_at: Mapped[datetime] = recorded_at()


class OperatorSession(Model):
    """An operator's browser: 15 minutes idle, 4 hours in all (D37); `half` until the second factor was shown (S4)."""

    __tablename__ = "operator_sessions"
    __table_args__ = (CheckConstraint("state IN ('half','full')", name="state"),)

    token_hash: Mapped[str] = mapped_column(primary_key=True, info=pii("keep:secret"))
    id: Mapped[UUID] = mapped_column(default=new_id, unique=True)
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    user_agent: Mapped[str] = mapped_column(info=pii("keep:staff of the operator"))
    ip: Mapped[str] = mapped_column(info=pii("keep:staff of the operator"))
    created_at: Mapped[datetime] = recorded_at()
    last_seen_at: Mapped[datetime] = recorded_at()
    idle_until: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="full", info=pii("keep:technical"))
    proved_at: Mapped[datetime | None]


class OperatorFactor(Model):
    """An operator's authenticator app; its secret is sealed under the installation's own key."""

    __tablename__ = "operator_factors"

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID]
    secret: Mapped[bytes]
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = recorded_at()
    confirmed_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class OperatorRecoveryCode(Model):
    """One of ten codes that let an operator in once, hashed; each has 80 bits."""

    __tablename__ = "operator_recovery_codes"

    code_hash: Mapped[str] = mapped_column(primary_key=True, info=pii("keep:secret"))
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = recorded_at()
    used_at: Mapped[datetime | None]


class OperatorPasskey(Model):
    """An operator's passkey, bound to the host of the operator's room (`rp_id`)."""

    __tablename__ = "operator_passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(info=pii("keep:staff of the operator"))
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[str] = mapped_column(info=pii("keep:technical"))
    rp_id: Mapped[str] = mapped_column(info=pii("keep:technical"))
    created_at: Mapped[datetime] = recorded_at()
    last_used_at: Mapped[datetime | None]


class OperatorChallenge(Model):
    """What an operator's browser was asked to sign: five minutes, once; of nobody known at the door."""

    __tablename__ = "operator_challenges"

    challenge: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(info=pii("keep:technical"))
    operator_id: Mapped[UUID | None] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class OperatorTry(Model):
    """A try at an operator's password or second factor; kept for a day, forgotten at once when it was right (S5)."""

    __tablename__ = "operator_tries"
    __table_args__ = (Index(None, "kind", "account", "at"), Index(None, "kind", "address", "at"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(info=pii("keep:technical"))
    account: Mapped[str] = mapped_column(info=pii("keep:hash"))
    address: Mapped[str] = mapped_column(info=pii("keep:hash"))
    at: Mapped[datetime] = recorded_at()


class PlatformAudit(Model):
    """Each use of the operator's room."""

    __tablename__ = "platform_audit"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    operator_id: Mapped[UUID | None]
    action: Mapped[str] = mapped_column(info=pii("keep:name of an act"))
    detail: Mapped[dict[str, Any]] = mapped_column(info=pii("keep:technical"))
    ip: Mapped[str | None] = mapped_column(info=pii("keep:security log"))
    recorded_at: Mapped[datetime] = recorded_at()
