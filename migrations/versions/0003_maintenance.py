"""maintenance: forgetting delivered messages"""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
SQL = Path(__file__).parents[1] / "sql" / "maintenance.sql"


def upgrade():
    op.execute("SET LOCAL row_security = on")
    op.get_bind().connection.cursor().execute(SQL.read_text())
    op.execute("SET LOCAL row_security = off")


def downgrade():
    op.execute("DROP SCHEMA maintenance CASCADE")
    op.execute("DROP POLICY maintenance ON outbox_messages")
    op.execute("DROP POLICY maintenance ON outbox_deliveries")
