"""operators: an authenticator app, recovery codes, half sessions"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
AT = sa.DateTime(timezone=True)


def upgrade():
    op.add_column("operator_sessions", sa.Column("state", sa.Text(), server_default="full", nullable=False))
    op.add_column("operator_sessions", sa.Column("proved_at", AT))
    op.create_check_constraint(op.f("ck_operator_sessions_state"), "operator_sessions", "state IN ('half','full')")
    op.create_table(
        "operator_factors",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger()),
        sa.Column("created_at", AT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("confirmed_at", AT),
        sa.Column("last_used_at", AT),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_operator_factors")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_operator_factors_operator_id"), ondelete="CASCADE"
        ),
    )
    op.create_table(
        "operator_recovery_codes",
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", AT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("used_at", AT),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_operator_recovery_codes")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_operator_recovery_codes_operator_id"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_operator_recovery_codes_operator_id"), "operator_recovery_codes", ["operator_id"])
    op.execute("REVOKE ALL ON operator_factors, operator_recovery_codes FROM PUBLIC")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON operator_factors, operator_recovery_codes TO portal_platform")
    op.execute("GRANT SELECT ON operator_factors, operator_recovery_codes TO portal_backup")


def downgrade():
    op.drop_table("operator_recovery_codes")
    op.drop_table("operator_factors")
    op.drop_constraint(op.f("ck_operator_sessions_state"), "operator_sessions")
    op.drop_column("operator_sessions", "proved_at")
    op.drop_column("operator_sessions", "state")
