"""notes of staff on members"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade():
    op.create_tenant_table(
        "member_notes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        *(
            sa.ForeignKeyConstraint(
                ["tenant_id", column],
                ["users.tenant_id", "users.id"],
                name=op.f(f"fk_member_notes_tenant_id_{column}"),
                ondelete="RESTRICT",
            )
            for column in ("member_id", "author_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_member_notes")),
    )
    op.create_index(
        op.f("ix_member_notes_tenant_id_member_id_written_at"), "member_notes", ["tenant_id", "member_id", "written_at"]
    )


def downgrade():
    op.drop_table("member_notes")
