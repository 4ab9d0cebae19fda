"""the operator's room counts merged accounts as one member"""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade():
    op.execute("GRANT SELECT (merged_into) ON users TO portal_platform")


def downgrade():
    op.execute("REVOKE SELECT (merged_into) ON users FROM portal_platform")
