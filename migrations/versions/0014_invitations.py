"""invitations of members and of staff"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

AT = sa.DateTime(timezone=True)
POINTS = (
    ("member_id", "users", "CASCADE"),
    ("role_id", "custom_roles", "CASCADE"),
    ("business_id", "businesses", "RESTRICT"),
    ("location_id", "business_locations", "RESTRICT"),
)


def upgrade():
    op.create_tenant_table(
        "invitations",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid()),
        sa.Column("role", sa.Text()),
        sa.Column("role_id", sa.Uuid()),
        sa.Column("business_id", sa.Uuid()),
        sa.Column("location_id", sa.Uuid()),
        sa.Column("invited_by", sa.Uuid()),
        sa.Column("token_hash", sa.Text()),
        sa.Column("sendings", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.Column("sent_at", AT),
        sa.Column("used_at", AT),
        sa.Column("withdrawn_at", AT),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("tenant_id", "token_hash", name=op.f("uq_invitations_tenant_id_token_hash")),
        *(
            sa.ForeignKeyConstraint(
                ["tenant_id", column],
                [f"{table}.tenant_id", f"{table}.id"],
                name=op.f(f"fk_invitations_tenant_id_{column}"),
                ondelete=ondelete,
            )
            for column, table, ondelete in POINTS
        ),
        sa.CheckConstraint("kind IN ('member','staff')", name=op.f("ck_invitations_kind")),
        sa.CheckConstraint(
            "(kind = 'staff') = (role IS NOT NULL OR role_id IS NOT NULL)", name=op.f("ck_invitations_gives")
        ),
    )
    op.create_index(
        op.f("ix_invitations_tenant_id_created_at_id"), "invitations", ["tenant_id", "created_at", "id"]
    )
    op.create_index(op.f("ix_invitations_tenant_id_target_key"), "invitations", ["tenant_id", "target_key"])


def downgrade():
    op.drop_table("invitations")
