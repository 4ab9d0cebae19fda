"""a role of a tenant's own at one place of a business"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade():
    op.add_column("role_assignments", sa.Column("location_id", sa.Uuid()))
    op.execute("SET LOCAL row_security = on")  # the column is empty: there is nothing to check in any tenant
    op.create_foreign_key(
        op.f("fk_role_assignments_tenant_id_location_id"),
        "role_assignments",
        "business_locations",
        ["tenant_id", "location_id"],
        ["tenant_id", "id"],
        ondelete="RESTRICT",
    )
    op.execute("SET LOCAL row_security = off")


def downgrade():
    op.drop_column("role_assignments", "location_id")
