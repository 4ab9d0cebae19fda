"""operators: tries at the door and at the second step, counted before they are looked at"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade():
    op.create_table(
        "operator_tries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_tries")),
    )
    op.create_index(op.f("ix_operator_tries_kind_account_at"), "operator_tries", ["kind", "account", "at"])
    op.create_index(op.f("ix_operator_tries_kind_address_at"), "operator_tries", ["kind", "address", "at"])
    op.execute("REVOKE ALL ON operator_tries FROM PUBLIC")
    op.execute("GRANT SELECT, INSERT, DELETE ON operator_tries TO portal_platform")
    op.execute("GRANT SELECT ON operator_tries TO portal_backup")


def downgrade():
    op.drop_table("operator_tries")
