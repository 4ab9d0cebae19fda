"""the functions that every sale and every command's books run"""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"
SQL = Path(__file__).parents[1] / "sql" / "portal.sql"


def upgrade():
    op.get_bind().connection.cursor().execute(SQL.read_text())


def downgrade():
    op.execute("DROP SCHEMA portal CASCADE")
