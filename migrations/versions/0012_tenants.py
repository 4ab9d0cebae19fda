"""tenants: opened by the operator, suspended, limited; domains with proof; versions of settings; legal texts"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0012"
down_revision = "0011"
SQL = Path(__file__).parents[1] / "sql" / "platform.sql"
AT = sa.DateTime(timezone=True)
COUNTED = ("stored_files", "notification_states", "api_key_uses", "business_staff")


def upgrade():
    op.add_column("tenants", sa.Column("status", sa.Text(), server_default="active", nullable=False))
    op.add_column("tenants", sa.Column("suspended_at", AT))
    op.add_column("tenants", sa.Column("suspended_reason", sa.Text()))
    op.add_column("tenants", sa.Column("opening_key", sa.Text()))
    op.add_column("tenants", sa.Column("opening", JSONB()))
    op.add_column("tenants", sa.Column("allowed_modules", ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("tenants", sa.Column("limits", JSONB(), server_default="{}", nullable=False))
    op.execute("SET LOCAL row_security = on")  # the owner's own policy shows every tenant
    op.execute("UPDATE tenants SET allowed_modules = modules")
    op.execute("SET LOCAL row_security = off")
    op.create_unique_constraint(op.f("uq_tenants_opening_key"), "tenants", ["opening_key"])
    op.create_check_constraint(op.f("ck_tenants_status"), "tenants", "status IN ('opening','active','suspended')")
    _table(
        "domain_claims",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("checked_at", AT),
        sa.Column("verified_at", AT),
        sa.Column("failure", sa.Text()),
        sa.UniqueConstraint("tenant_id", "host", name=op.f("uq_domain_claims_tenant_id_host")),
        sa.CheckConstraint("state IN ('pending','verified')", name=op.f("ck_domain_claims_state")),
    )
    _table(
        "tenant_versions",
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("before", JSONB(), nullable=False),
        sa.Column("after", JSONB(), nullable=False),
        sa.Column("actor_id", sa.Uuid()),
        sa.Column("restored", sa.BigInteger()),
        sa.Column("at", AT, nullable=False),
        sa.UniqueConstraint("tenant_id", "version", name=op.f("uq_tenant_versions_tenant_id_version")),
        app="SELECT, INSERT",
    )
    _table(
        "legal_texts",
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("published_at", AT, nullable=False),
        sa.Column("published_by", sa.Uuid()),
        sa.UniqueConstraint("tenant_id", "page", "locale", "version", name=op.f("uq_legal_texts_tenant_id_page_locale_version")),
        app="SELECT, INSERT",
    )
    op.execute("SET LOCAL row_security = on")
    op.get_bind().connection.cursor().execute(SQL.read_text())
    op.execute("SET LOCAL row_security = off")


def _table(name, *columns, app="SELECT, INSERT, UPDATE, DELETE"):
    op.create_tenant_table(
        name,
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{name}")),
        app=app,
    )


def downgrade():
    op.execute("DROP SCHEMA platform CASCADE")
    op.execute("DROP POLICY steward ON tenants")
    for table in COUNTED:
        op.execute(f"DROP POLICY platform ON {table}")
    for table in ("legal_texts", "tenant_versions", "domain_claims"):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_tenants_status"), "tenants")
    for column in ("limits", "allowed_modules", "opening", "opening_key", "suspended_reason", "suspended_at", "status"):
        op.drop_column("tenants", column)
