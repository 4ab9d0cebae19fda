"""The chain over the audit log: seals, the roots that were signed, the key that signs (security.md 11, D20)."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.chain import Seal
from portal.kernel.model import Model, TenantOwned, pii, recorded_at


class AuditSeal(Seal, Model):
    """A seal over entries of the audit log."""

    __tablename__ = "audit_seals"


class AuditRoot(TenantOwned, Model):
    """The newest seal of a day, signed with Ed25519; the tenant's admins get it, so that nobody rewrites in silence."""

    __tablename__ = "audit_roots"
    __table_args__ = (UniqueConstraint("tenant_id", "n"),)

    n: Mapped[int]
    entries: Mapped[int]
    hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    public_key: Mapped[str] = mapped_column(info=pii("keep:public key"))
    signature: Mapped[str] = mapped_column(info=pii("keep:signature"))
    signed_at: Mapped[datetime]


class AuditKey(TenantOwned, Model):
    """The tenant's signing key; its private half is sealed by the vault and never exported."""

    __tablename__ = "audit_keys"
    __table_args__ = (UniqueConstraint("tenant_id"),)

    public_key: Mapped[str] = mapped_column(info=pii("keep:public key"))
    sealed: Mapped[bytes]
    recorded_at: Mapped[datetime] = recorded_at()
