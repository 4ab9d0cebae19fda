"""telegram: who somebody is elsewhere; bots, accounts, talks"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

AT = sa.DateTime(timezone=True)


def upgrade():
    _table(
        "identities",
        _text("provider"),
        _text("subject"),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.CheckConstraint("provider IN ('telegram')", name=op.f("ck_identities_provider")),
        unique=("provider", "subject"),
        member=True,
    )
    op.create_index(op.f("ix_identities_tenant_id_user_id"), "identities", ["tenant_id", "user_id"])
    _table(
        "telegram_bots",
        sa.Column("bot_id", sa.BigInteger(), nullable=False),
        _text("username"),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        _text("hook_hash"),
        sa.Column("connected_at", AT, nullable=False),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_telegram_bots_tenant_id")),
    )
    _table(
        "telegram_accounts",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("telegram_id", sa.BigInteger(), nullable=False),
        *(_text(name) for name in ("username", "first_name", "last_name", "language")),
        sa.Column("linked_at", AT, nullable=False),
        sa.Column("updated_at", AT, nullable=False),
        sa.Column("blocked_at", AT),
        sa.UniqueConstraint("tenant_id", "user_id", name=op.f("uq_telegram_accounts_tenant_id_user_id")),
        unique=("telegram_id",),
        member=True,
    )
    _table("telegram_logins", _text("digest"), sa.Column("expires_at", AT, nullable=False), unique=("digest",))
    _table(
        "telegram_links",
        _text("token_hash"),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        unique=("token_hash",),
        member=True,
    )
    op.create_index(op.f("ix_telegram_links_tenant_id_user_id"), "telegram_links", ["tenant_id", "user_id"])
    for table in ("telegram_logins", "telegram_links"):
        op.create_index(op.f(f"ix_{table}_tenant_id_expires_at"), table, ["tenant_id", "expires_at"])
    _table(
        "bot_sessions",
        sa.Column("user_id", sa.Uuid()),
        sa.Column("telegram_id", sa.BigInteger(), nullable=False),
        sa.Column("started_at", AT, nullable=False),
        sa.Column("last_at", AT, nullable=False),
        sa.Column("activity_count", sa.BigInteger(), nullable=False),
        member=True,
    )
    op.create_index(
        op.f("ix_bot_sessions_tenant_id_telegram_id_last_at"), "bot_sessions", ["tenant_id", "telegram_id", "last_at"]
    )
    op.create_index(op.f("ix_bot_sessions_tenant_id_last_at"), "bot_sessions", ["tenant_id", "last_at"])
    _table(
        "bot_dialogs",
        sa.Column("user_id", sa.Uuid()),
        sa.Column("telegram_id", sa.BigInteger(), nullable=False),
        _text("awaiting"),
        sa.Column("started_at", AT, nullable=False),
        sa.Column("ended_at", AT),
        sa.Column("end_reason", sa.Text()),
        member=True,
    )
    op.create_index(
        "uq_bot_dialogs_open",
        "bot_dialogs",
        ["tenant_id", "telegram_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(op.f("ix_bot_dialogs_tenant_id_started_at"), "bot_dialogs", ["tenant_id", "started_at"])
    for table in ("bot_sessions", "bot_dialogs"):
        op.create_index(op.f(f"ix_{table}_tenant_id_user_id"), table, ["tenant_id", "user_id"])


def _text(name):
    return sa.Column(name, sa.Text(), nullable=False)


def _table(name, *parts, unique=(), member=False):
    keys = [
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{name}")),
    ]
    if unique:
        keys.append(sa.UniqueConstraint("tenant_id", *unique, name=op.f(f"uq_{name}_tenant_id_{'_'.join(unique)}")))
    if member:
        keys.append(
            sa.ForeignKeyConstraint(
                ["tenant_id", "user_id"],
                ["users.tenant_id", "users.id"],
                name=op.f(f"fk_{name}_tenant_id_user_id"),
                ondelete="CASCADE",
            )
        )
    op.create_tenant_table(name, *keys, *parts)


def downgrade():
    for table in (
        "bot_dialogs",
        "bot_sessions",
        "telegram_links",
        "telegram_logins",
        "telegram_accounts",
        "telegram_bots",
        "identities",
    ):
        op.drop_table(table)
