"""operators: passkeys, and what their browsers were asked to sign"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
AT = sa.DateTime(timezone=True)
TABLES = "operator_passkeys, operator_challenges"


def upgrade():
    op.create_table(
        "operator_passkeys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.Text(), nullable=False),
        sa.Column("rp_id", sa.Text(), nullable=False),
        sa.Column("created_at", AT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("last_used_at", AT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_operator_passkeys_credential_id")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_operator_passkeys_operator_id"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_operator_passkeys_operator_id"), "operator_passkeys", ["operator_id"])
    op.create_table(
        "operator_challenges",
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid()),
        sa.Column("expires_at", AT, nullable=False),
        sa.PrimaryKeyConstraint("challenge", name=op.f("pk_operator_challenges")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_operator_challenges_operator_id"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_operator_challenges_operator_id"), "operator_challenges", ["operator_id"])
    op.create_index(op.f("ix_operator_challenges_expires_at"), "operator_challenges", ["expires_at"])
    op.execute(f"REVOKE ALL ON {TABLES} FROM PUBLIC")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLES} TO portal_platform")
    op.execute(f"GRANT SELECT ON {TABLES} TO portal_backup")


def downgrade():
    op.drop_table("operator_challenges")
    op.drop_table("operator_passkeys")
