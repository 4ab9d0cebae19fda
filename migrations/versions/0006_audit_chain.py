"""the audit log's chain of seals, its signed roots and the key that signs them"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from alembic import op

revision = "0006"
down_revision = "0005"
APPEND_ONLY = ("audit_seals", "audit_roots")
REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'KR500';
END $$
"""


def upgrade():
    # A constant first, so that the table is not written anew: what is there is older than whatever comes.
    op.execute("ALTER TABLE audit_entries ADD COLUMN xact_id xid8 NOT NULL DEFAULT '3'::xid8")
    op.execute("ALTER TABLE audit_entries ALTER COLUMN xact_id SET DEFAULT pg_current_xact_id()")
    op.create_index(
        op.f("ix_audit_entries_tenant_id_xact_id_seq"), "audit_entries", ["tenant_id", "xact_id", "seq"], unique=False
    )
    op.create_tenant_table(
        "audit_seals",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("from_seq", sa.BigInteger(), nullable=False),
        sa.Column("to_seq", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("seqs", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("leaf_root", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_audit_seals")),
        sa.UniqueConstraint("tenant_id", "n", name=op.f("uq_audit_seals_tenant_id_n")),
        app="SELECT, INSERT",
    )
    op.execute("ALTER TABLE audit_seals ADD COLUMN through_xact xid8 NOT NULL")
    op.create_tenant_table(
        "audit_roots",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_audit_roots")),
        sa.UniqueConstraint("tenant_id", "n", name=op.f("uq_audit_roots_tenant_id_n")),
        app="SELECT, INSERT",
    )
    op.create_tenant_table(
        "audit_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_audit_keys")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_audit_keys_tenant_id")),
        app="SELECT, INSERT",
    )
    op.execute(REFUSE)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    for table in ("audit_entries", *APPEND_ONLY):
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade():
    for table in ("audit_keys", "audit_roots", "audit_seals"):
        op.drop_table(table)
    op.execute("DROP TRIGGER no_truncate ON audit_entries")
    op.execute("DROP FUNCTION refuse_change()")
    op.drop_index(op.f("ix_audit_entries_tenant_id_xact_id_seq"), table_name="audit_entries")
    op.drop_column("audit_entries", "xact_id")
