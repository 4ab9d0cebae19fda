"""a tenant's owner, named by the operator"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade():
    op.add_column("tenants", sa.Column("owner_id", sa.Uuid()))
    op.execute("SET LOCAL row_security = on")  # a function of the steward's is checked as if its author ran it
    op.execute("""
GRANT UPDATE (owner_id) ON tenants TO portal_steward;
GRANT CREATE ON SCHEMA platform TO portal_steward;

-- The acting tenant's owner: an admin whose role nobody in the tenant can take.
CREATE FUNCTION platform.set_owner(p_member uuid) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE tenants SET owner_id = p_member WHERE id = NULLIF(current_setting('app.tenant_id', true), '')::uuid
$$;
REVOKE ALL ON FUNCTION platform.set_owner FROM PUBLIC;
ALTER FUNCTION platform.set_owner OWNER TO portal_steward;
SET ROLE portal_steward;
GRANT EXECUTE ON FUNCTION platform.set_owner TO portal_app;
RESET ROLE;
REVOKE CREATE ON SCHEMA platform FROM portal_steward;
""")
    op.execute("SET LOCAL row_security = off")


def downgrade():
    op.execute("DROP FUNCTION platform.set_owner")
    op.drop_column("tenants", "owner_id")
