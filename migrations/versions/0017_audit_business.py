"""whose business an act of the audit log was at, and finding acts by their name"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade():
    op.add_column("audit_entries", sa.Column("business_id", sa.Uuid()))
    op.create_index(
        "ix_audit_entries_business",
        "audit_entries",
        ["tenant_id", "business_id", "seq"],
        postgresql_where=sa.text("business_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_audit_entries_tenant_id_action_seq"), "audit_entries", ["tenant_id", "action", "seq"])


def downgrade():
    op.drop_index(op.f("ix_audit_entries_tenant_id_action_seq"), table_name="audit_entries")
    op.drop_index("ix_audit_entries_business", table_name="audit_entries")
    op.drop_column("audit_entries", "business_id")
