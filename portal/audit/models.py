"""The chain over the audit log: seals, the roots that were signed, the key that signs (security.md 11, D20)."""

from datetime import datetime

from sqlalchemy import BigInteger, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, Xid8, pii, recorded_at


class AuditSeal(TenantOwned, Model):
    """Up to 1,000 entries under one Merkle root, chained to the seal before.

    `seqs` are the entries' numbers in the order of the leaves, which is that of their transactions; it is kept because
    a restored database has other transaction ids. `entries` counts all entries up to here. `through_xact` and `to_seq`
    name the last leaf: from there the next seal goes on. Hashes are SHA-256 in hexadecimal.
    """

    __tablename__ = "audit_seals"
    __table_args__ = (UniqueConstraint("tenant_id", "n"),)

    n: Mapped[int]
    from_seq: Mapped[int]
    to_seq: Mapped[int]
    count: Mapped[int]
    entries: Mapped[int]
    seqs: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), info=pii("keep:technical"))
    leaf_root: Mapped[str] = mapped_column(info=pii("keep:hash"))
    prev_hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    through_xact: Mapped[str] = mapped_column(Xid8())
    sealed_at: Mapped[datetime]


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
