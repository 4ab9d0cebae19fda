"""factors: passkeys, authenticator apps, codes; recovery codes; what browsers were asked to sign"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

AT = sa.DateTime(timezone=True)


def upgrade():
    op.create_tenant_table(
        "two_factor_methods",
        *_keys("two_factor_methods"),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("secret", sa.LargeBinary()),
        sa.Column("last_step", sa.BigInteger()),
        sa.Column("credential_id", sa.LargeBinary()),
        sa.Column("public_key", sa.LargeBinary()),
        sa.Column("sign_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("transports", sa.Text(), server_default="", nullable=False),
        sa.Column("rp_id", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("confirmed_at", AT),
        sa.Column("last_used_at", AT),
        sa.UniqueConstraint(
            "tenant_id", "credential_id", name=op.f("uq_two_factor_methods_tenant_id_credential_id")
        ),
        sa.CheckConstraint("kind IN ('passkey','totp','email','sms')", name=op.f("ck_two_factor_methods_kind")),
        sa.CheckConstraint(
            "(kind = 'passkey') = (credential_id IS NOT NULL)", name=op.f("ck_two_factor_methods_passkey")
        ),
        sa.CheckConstraint("(kind = 'totp') = (secret IS NOT NULL)", name=op.f("ck_two_factor_methods_totp")),
    )
    op.create_index(op.f("ix_two_factor_methods_tenant_id_user_id"), "two_factor_methods", ["tenant_id", "user_id"])
    op.create_index(
        "uq_two_factor_methods_one_each",
        "two_factor_methods",
        ["tenant_id", "user_id", "kind"],
        unique=True,
        postgresql_where=sa.text("kind <> 'passkey'"),
    )
    op.create_tenant_table(
        "recovery_codes",
        *_keys("recovery_codes"),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("used_at", AT),
        sa.UniqueConstraint(
            "tenant_id", "user_id", "code_hash", name=op.f("uq_recovery_codes_tenant_id_user_id_code_hash")
        ),
    )
    op.create_tenant_table(
        "passkey_challenges",
        *_keys("passkey_challenges"),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("expires_at", AT, nullable=False),
        sa.UniqueConstraint("tenant_id", "challenge", name=op.f("uq_passkey_challenges_tenant_id_challenge")),
    )
    op.create_index(
        op.f("ix_passkey_challenges_tenant_id_expires_at"), "passkey_challenges", ["tenant_id", "expires_at"]
    )


def _keys(table):
    return (
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name=op.f(f"fk_{table}_tenant_id_user_id"),
            ondelete="CASCADE",
        ),
    )


def downgrade():
    for table in ("passkey_challenges", "recovery_codes", "two_factor_methods"):
        op.drop_table(table)
