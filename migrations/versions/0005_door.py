"""door: one-time codes, resets, contacts that changed, consents, who brought whom, invitations"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

AT = sa.DateTime(timezone=True)
USERS = ("email_confirmed_at", "phone_confirmed_at", "welcomed_at")


def upgrade():
    for column in USERS:
        op.add_column("users", sa.Column(column, AT))
    _table(
        "one_time_codes",
        sa.Column("purpose", sa.Text(), nullable=False),
        *_whom(),
        sa.Column("code_hash", sa.Text()),
        sa.Column("tries", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("data", JSONB(), server_default="{}", nullable=False),
        *_asked(),
        _of("one_time_codes", "member_id", ondelete="CASCADE"),
        indexes=(("target_key", "created_at"), ("expires_at",)),
    )
    _table(
        "password_resets",
        *_whom(),
        sa.Column("token_hash", sa.Text()),
        *_asked(),
        _of("password_resets", "member_id", ondelete="CASCADE"),
        _unique("password_resets", "token_hash"),
        indexes=(("target_key", "created_at"), ("expires_at",)),
    )
    _table(
        "contact_changes",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("old", sa.Text()),
        sa.Column("new", sa.Text()),
        sa.Column("changed_at", AT, nullable=False),
        _of("contact_changes", "member_id", ondelete="CASCADE"),
        sa.CheckConstraint("kind IN ('email','phone')", name=op.f("ck_contact_changes_kind")),
        indexes=(("member_id",),),
    )
    _table(
        "consents",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("agreed_at", AT, nullable=False),
        sa.Column("withdrawn_at", AT),
        _of("consents", "member_id"),
        sa.CheckConstraint("purpose IN ('terms','privacy','marketing')", name=op.f("ck_consents_purpose")),
        indexes=(("member_id", "purpose"),),
    )
    _table(
        "referral_codes",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        _of("referral_codes", "member_id"),
        _unique("referral_codes", "member_id"),
        _unique("referral_codes", "code"),
    )
    _table(
        "referrals",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("referrer_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        _of("referrals", "member_id"),
        _of("referrals", "referrer_id"),
        _unique("referrals", "member_id"),
        indexes=(("referrer_id", "created_at"),),
    )


def _whom():
    return (
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid()),
    )


def _asked():
    return (
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.Column("sent_at", AT),
        sa.Column("used_at", AT),
    )


def _table(name, *columns, indexes=()):
    op.create_tenant_table(
        name,
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{name}")),
    )
    for which in indexes:
        op.create_index(op.f(f"ix_{name}_tenant_id_{'_'.join(which)}"), name, ["tenant_id", *which])


def _of(table, column, target="users", ondelete="RESTRICT"):
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{target}.tenant_id", f"{target}.id"],
        name=op.f(f"fk_{table}_tenant_id_{column}"),
        ondelete=ondelete,
    )


def _unique(table, *columns):
    return sa.UniqueConstraint("tenant_id", *columns, name=op.f(f"uq_{table}_tenant_id_{'_'.join(columns)}"))


def downgrade():
    for table in ("referrals", "referral_codes", "consents", "contact_changes", "password_resets", "one_time_codes"):
        op.drop_table(table)
    for column in USERS:
        op.drop_column("users", column)
