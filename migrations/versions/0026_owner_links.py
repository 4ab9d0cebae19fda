"""an owner's link, by which the operator lets the first admin in, is an invitation like the others"""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade():
    op.drop_constraint(op.f("ck_invitations_kind"), "invitations")
    op.create_check_constraint(op.f("ck_invitations_kind"), "invitations", "kind IN ('member','staff','owner')")


def downgrade():
    from tenant_ops import for_each_tenant

    op.execute("SET LOCAL row_security = on")
    for _ in for_each_tenant(op):
        op.execute("DELETE FROM invitations WHERE kind = 'owner'")
    op.execute("SET LOCAL row_security = off")
    op.drop_constraint(op.f("ck_invitations_kind"), "invitations")
    op.create_check_constraint(op.f("ck_invitations_kind"), "invitations", "kind IN ('member','staff')")
