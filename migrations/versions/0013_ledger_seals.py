"""the ledger's chain of seals"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade():
    op.create_tenant_table(
        "ledger_seals",
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
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_ledger_seals")),
        sa.UniqueConstraint("tenant_id", "n", name=op.f("uq_ledger_seals_tenant_id_n")),
        app="SELECT, INSERT",
    )
    op.execute("ALTER TABLE ledger_seals ADD COLUMN through_xact xid8 NOT NULL")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_seals FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    for table in ("ledger_seals", "ledger_entries", "ledger_transactions", "lot_allocations"):
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.create_index(op.f("ix_ledger_transactions_tenant_id_xact_id_seq"), "ledger_transactions", ["tenant_id", "xact_id", "seq"])


def downgrade():
    op.drop_index(op.f("ix_ledger_transactions_tenant_id_xact_id_seq"), table_name="ledger_transactions")
    for table in ("ledger_entries", "ledger_transactions", "lot_allocations"):
        op.execute(f"DROP TRIGGER no_truncate ON {table}")
    op.drop_table("ledger_seals")
