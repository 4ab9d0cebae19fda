"""members say whether shops may know their birthday"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade():
    op.add_column(
        "profiles", sa.Column("birthday_shared", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def downgrade():
    op.drop_column("profiles", "birthday_shared")
