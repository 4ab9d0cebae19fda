"""two members made one, and pairs that are not; the ledger moves lots whatever their dates"""

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
LEDGER = Path(__file__).parents[1] / "sql" / "ledger.sql"
AT = sa.DateTime(timezone=True)


def upgrade():
    op.create_index(
        op.f("ix_users_tenant_id_merged_into"),
        "users",
        ["tenant_id", "merged_into"],
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    _table(
        "member_merges",
        ("from_id", "into_id"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("from_id", sa.Uuid(), nullable=False),
        sa.Column("into_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("moved", JSONB(), server_default="{}", nullable=False),
        sa.Column("contacts", JSONB(), server_default="{}", nullable=False),
        sa.Column("merged_by", sa.Uuid()),
        sa.Column("merged_at", AT, nullable=False),
        sa.Column("undo_until", AT, nullable=False),
        sa.Column("undone_by", sa.Uuid()),
        sa.Column("undone_at", AT),
        sa.Column("undo_reason", sa.Text()),
        sa.Column("returned", JSONB(), server_default="{}", nullable=False),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_member_merges_tenant_id_key")),
        sa.CheckConstraint("from_id <> into_id", name=op.f("ck_member_merges_two")),
    )
    op.create_index(
        "ix_member_merges_standing",
        "member_merges",
        ["tenant_id", "from_id"],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    for column in ("into_id", "merged_at"):
        op.create_index(op.f(f"ix_member_merges_tenant_id_{column}"), "member_merges", ["tenant_id", column])
    _table(
        "member_pairs",
        ("low_id", "high_id"),
        sa.Column("low_id", sa.Uuid(), nullable=False),
        sa.Column("high_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Uuid()),
        sa.Column("at", AT, nullable=False),
        sa.UniqueConstraint("tenant_id", "low_id", "high_id", name=op.f("uq_member_pairs_tenant_id_low_id_high_id")),
        sa.CheckConstraint("low_id < high_id", name=op.f("ck_member_pairs_order")),
        sa.CheckConstraint("state IN ('asked','distinct')", name=op.f("ck_member_pairs_state")),
    )
    op.create_index(op.f("ix_member_pairs_tenant_id_high_id"), "member_pairs", ["tenant_id", "high_id"])
    op.execute("GRANT CREATE ON SCHEMA ledger TO portal_ledger")
    op.execute("SET LOCAL row_security = on")
    op.execute("SET ROLE portal_ledger")  # its owner, who may replace it
    for name in ("post_one", "post_alone"):
        op.get_bind().connection.cursor().execute(_function(name))
    op.execute("RESET ROLE")
    op.execute("SET LOCAL row_security = off")
    op.execute("REVOKE CREATE ON SCHEMA ledger FROM portal_ledger")


def _function(name):
    """As it stands in the ledger's own file."""
    return re.search(rf"^CREATE OR REPLACE FUNCTION ledger\.{name}\(.*?^END \$\$;", LEDGER.read_text(), re.M | re.S)[0]


def _table(name, members, *columns):
    op.create_tenant_table(
        name,
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        *columns,
        *(
            sa.ForeignKeyConstraint(
                ["tenant_id", column],
                ["users.tenant_id", "users.id"],
                name=op.f(f"fk_{name}_tenant_id_{column}"),
                ondelete="RESTRICT",
            )
            for column in members
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{name}")),
    )


def downgrade():
    op.drop_table("member_pairs")
    op.drop_table("member_merges")
    op.drop_index(op.f("ix_users_tenant_id_merged_into"), "users")
