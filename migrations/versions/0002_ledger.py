"""the ledger's functions and guards"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
SQL = Path(__file__).parents[1] / "sql" / "ledger.sql"


def upgrade():
    op.get_bind().connection.cursor().execute(SQL.read_text())


def downgrade():
    for table, trigger in (
        ("ledger_entries", "sums_to_zero"), ("ledger_entries", "append_only"), ("lot_allocations", "append_only"),
        ("audit_entries", "append_only"), ("ledger_transactions", "final"),
    ):
        op.execute(f"DROP TRIGGER IF EXISTS {trigger} ON {table}")
    op.execute("DROP SCHEMA ledger CASCADE")
