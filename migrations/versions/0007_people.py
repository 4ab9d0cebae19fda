"""people: profiles with public pages, proofs of identity"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"


def _at(name, nullable=True):
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _fk(table, column, target):
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{target}.tenant_id", f"{target}.id"],
        name=op.f(f"fk_{table}_tenant_id_{column}"),
        ondelete="RESTRICT",
    )


def upgrade():
    op.create_tenant_table(
        "profiles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("first_name", sa.Text(), server_default="", nullable=False),
        sa.Column("last_name", sa.Text(), server_default="", nullable=False),
        sa.Column("display_name", sa.Text(), server_default="", nullable=False),
        sa.Column("about", sa.Text(), server_default="", nullable=False),
        sa.Column("born_on", sa.Date(), nullable=True),
        sa.Column("avatar_id", sa.Uuid(), nullable=True),
        sa.Column("public", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("shows", postgresql.ARRAY(sa.Text()), server_default="{avatar}", nullable=False),
        sa.Column("ton_wallet_address", sa.Text(), nullable=True),
        sa.Column("ton_domain", sa.Text(), nullable=True),
        sa.Column("domain_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _at("domain_verified_at"),
        _at("updated_at"),
        sa.CheckConstraint("shows <@ ARRAY['avatar','tier','since','about']", name=op.f("ck_profiles_shows")),
        _fk("profiles", "id", "users"),
        _fk("profiles", "avatar_id", "stored_files"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_profiles")),
        sa.UniqueConstraint("tenant_id", "ton_domain", name=op.f("uq_profiles_tenant_id_ton_domain")),
    )
    op.create_tenant_table(
        "kyc_submissions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("legal_name", sa.LargeBinary(), nullable=True),
        sa.Column("born_on", sa.LargeBinary(), nullable=True),
        sa.Column("document_number", sa.LargeBinary(), nullable=True),
        sa.Column("number_blind", sa.Text(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        _at("submitted_at", nullable=False),
        sa.Column("first_approver_id", sa.Uuid(), nullable=True),
        _at("first_approved_at"),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        _at("decided_at"),
        sa.Column("reasons", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        _at("purge_at"),
        _at("purged_at"),
        sa.CheckConstraint(
            "state IN ('pending','verified','rejected','resubmit','expired','review')",
            name=op.f("ck_kyc_submissions_state"),
        ),
        sa.CheckConstraint("level IN ('basic','full')", name=op.f("ck_kyc_submissions_level")),
        _fk("kyc_submissions", "member_id", "users"),
        _fk("kyc_submissions", "first_approver_id", "users"),
        _fk("kyc_submissions", "decided_by", "users"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_kyc_submissions")),
        sa.UniqueConstraint(
            "tenant_id", "member_id", "version", name=op.f("uq_kyc_submissions_tenant_id_member_id_version")
        ),
    )
    op.create_index(
        "ix_kyc_submissions_open",
        "kyc_submissions",
        ["tenant_id", "member_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('pending','review')"),
    )
    op.create_index(
        op.f("ix_kyc_submissions_tenant_id_state_submitted_at_id"),
        "kyc_submissions",
        ["tenant_id", "state", "submitted_at", "id"],
    )
    op.create_index(
        op.f("ix_kyc_submissions_tenant_id_number_blind"), "kyc_submissions", ["tenant_id", "number_blind"]
    )
    op.create_tenant_table(
        "kyc_documents",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('front','back','selfie','address')", name=op.f("ck_kyc_documents_kind")),
        _fk("kyc_documents", "submission_id", "kyc_submissions"),
        _fk("kyc_documents", "file_id", "stored_files"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_kyc_documents")),
        sa.UniqueConstraint(
            "tenant_id", "submission_id", "kind", name=op.f("uq_kyc_documents_tenant_id_submission_id_kind")
        ),
    )


def downgrade():
    op.drop_table("kyc_documents")
    op.drop_table("kyc_submissions")
    op.drop_table("profiles")
