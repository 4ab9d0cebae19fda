"""vault: wrapped keys of secrets at rest; what a session knows of how it was opened"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade():
    op.create_tenant_table(
        "data_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_data_keys")),
        sa.UniqueConstraint("tenant_id", "subject_id", name=op.f("uq_data_keys_tenant_id_subject_id")),
    )
    op.add_column("device_sessions", sa.Column("state", sa.Text(), server_default="full", nullable=False))
    op.add_column("device_sessions", sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("device_sessions", sa.Column("impersonator_id", sa.Uuid(), nullable=True))
    op.create_check_constraint(op.f("ck_device_sessions_state"), "device_sessions", "state IN ('half','full')")


def downgrade():
    op.drop_constraint(op.f("ck_device_sessions_state"), "device_sessions")
    op.drop_column("device_sessions", "impersonator_id")
    op.drop_column("device_sessions", "proved_at")
    op.drop_column("device_sessions", "state")
    op.drop_table("data_keys")
