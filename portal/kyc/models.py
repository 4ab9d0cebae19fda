"""Proofs of who a member is: submissions in versions, documents whose bytes and numbers are sealed (KYC-1, D43)."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, pii, tenant_fk

STATES = ("pending", "verified", "rejected", "resubmit", "expired", "review")
LEVELS = ("basic", "full")
_listed = "','".join


class KycSubmission(TenantOwned, Model):
    """One try of a member to be verified. Open while `pending` or in `review`; a member has one open at most."""

    __tablename__ = "kyc_submissions"
    __table_args__ = (
        UniqueConstraint("tenant_id", "member_id", "version"),
        tenant_fk("users", "member_id"),
        tenant_fk("users", "first_approver_id"),
        tenant_fk("users", "decided_by"),
        CheckConstraint(f"state IN ('{_listed(STATES)}')", name="state"),
        CheckConstraint(f"level IN ('{_listed(LEVELS)}')", name="level"),
        Index(
            "ix_kyc_submissions_open",
            "tenant_id",
            "member_id",
            unique=True,
            postgresql_where=text("state IN ('pending','review')"),
        ),
        Index(None, "tenant_id", "state", "submitted_at", "id"),
        Index(None, "tenant_id", "number_blind"),
    )

    member_id: Mapped[UUID]
    version: Mapped[int]
    level: Mapped[str] = mapped_column(info=pii("export"))
    state: Mapped[str] = mapped_column(server_default="pending", info=pii("export"))
    legal_name: Mapped[bytes | None] = mapped_column(LargeBinary)
    born_on: Mapped[bytes | None] = mapped_column(LargeBinary)
    document_number: Mapped[bytes | None] = mapped_column(LargeBinary)
    number_blind: Mapped[str] = mapped_column(info=pii("keep:keyed hash, finds the same document again"))
    document_kind: Mapped[str] = mapped_column(info=pii("export"))
    country: Mapped[str] = mapped_column(info=pii("export"))
    submitted_at: Mapped[datetime]
    first_approver_id: Mapped[UUID | None]
    first_approved_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    reasons: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}", info=pii("export"))
    note: Mapped[str] = mapped_column(server_default="", info=pii("export"))
    valid_until: Mapped[date | None] = mapped_column(Date, info=pii("export"))
    purge_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]


class KycDocument(TenantOwned, Model):
    """A picture or PDF of a submission; the file it names holds sealed bytes."""

    __tablename__ = "kyc_documents"
    __table_args__ = (
        tenant_fk("kyc_submissions", "submission_id"),
        tenant_fk("stored_files", "file_id"),
        UniqueConstraint("tenant_id", "submission_id", "kind"),
        CheckConstraint("kind IN ('front','back','selfie','address')", name="kind"),
    )

    submission_id: Mapped[UUID]
    file_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(info=pii("export"))
    mime: Mapped[str] = mapped_column(info=pii("keep:technical"))
