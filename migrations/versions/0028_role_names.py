"""roles of the tenant's own: a name in each language; the one they had becomes the one in the first language

`name` stays, made of it, for processes of the release before, which read it with every session; what they write of roles fails meanwhile. The next release drops it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
FIRST = "(SELECT t.default_locale FROM tenants t WHERE t.id = r.tenant_id)"


def upgrade():
    op.add_column("custom_roles", sa.Column("name_i18n", postgresql.JSONB()))
    _per_tenant(f"UPDATE custom_roles r SET name_i18n = jsonb_build_object({FIRST}, r.name)")
    op.alter_column("custom_roles", "name_i18n", nullable=False)
    op.drop_constraint(op.f("uq_custom_roles_tenant_id_name"), "custom_roles")
    op.drop_column("custom_roles", "name")
    said = "jsonb_path_query_first(name_i18n, '$.*') #>> '{}'"
    op.add_column("custom_roles", sa.Column("name", sa.Text(), sa.Computed(said, persisted=True)))


def downgrade():
    op.execute("ALTER TABLE custom_roles DROP COLUMN IF EXISTS name")
    op.add_column("custom_roles", sa.Column("name", sa.Text()))
    _per_tenant(
        f"UPDATE custom_roles r SET name = coalesce(r.name_i18n->>{FIRST},"
        " (SELECT min(value) FROM jsonb_each_text(r.name_i18n)) || ' ' || left(cast(r.id AS text), 13))"
    )
    op.alter_column("custom_roles", "name", nullable=False)
    op.create_unique_constraint(op.f("uq_custom_roles_tenant_id_name"), "custom_roles", ["tenant_id", "name"])
    op.drop_column("custom_roles", "name_i18n")


def _per_tenant(statement):
    from tenant_ops import for_each_tenant

    op.execute("SET LOCAL row_security = on")
    for _ in for_each_tenant(op):
        op.execute(statement)
    op.execute("SET LOCAL row_security = off")
