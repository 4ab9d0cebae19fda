"""the operator's room shows the hosts that tenants claim and why a proof failed, never the token of the proof"""

from alembic import op

revision = "0025"
down_revision = "0024"
COLUMNS = "tenant_id, id, host, state, created_at, checked_at, verified_at, failure"


def upgrade():
    op.execute("CREATE POLICY platform ON domain_claims FOR SELECT TO portal_platform USING (true)")
    op.execute(f"GRANT SELECT ({COLUMNS}) ON domain_claims TO portal_platform")


def downgrade():
    op.execute(f"REVOKE SELECT ({COLUMNS}) ON domain_claims FROM portal_platform")
    op.execute("DROP POLICY platform ON domain_claims")
