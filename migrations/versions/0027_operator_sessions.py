"""operators' sessions: which browser and where, so that operators see and end their own

The defaults are for processes of the release before, which know none of it while they still run.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
AT = sa.DateTime(timezone=True)


def upgrade():
    op.execute("DELETE FROM operator_sessions")  # a quarter of an hour long: operators sign in again
    op.add_column("operator_sessions", sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False))
    op.add_column("operator_sessions", sa.Column("user_agent", sa.Text(), server_default="", nullable=False))
    op.add_column("operator_sessions", sa.Column("ip", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "operator_sessions",
        sa.Column("last_seen_at", AT, server_default=sa.text("clock_timestamp()"), nullable=False),
    )
    op.create_unique_constraint(op.f("uq_operator_sessions_id"), "operator_sessions", ["id"])


def downgrade():
    for column in ("last_seen_at", "ip", "user_agent", "id"):
        op.drop_column("operator_sessions", column)
