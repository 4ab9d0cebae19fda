"""A tenant's bot, the members it knows, and what was said to it (D45)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, pii, tenant_fk


class TelegramBot(TenantOwned, Model):
    """The tenant's bot. `token` is sealed; `hook_hash` is SHA-256 of the secret that Telegram sends with each update."""

    __tablename__ = "telegram_bots"
    __table_args__ = (UniqueConstraint("tenant_id"),)

    bot_id: Mapped[int]
    username: Mapped[str] = mapped_column(info=pii("keep:name of a bot"))
    token: Mapped[bytes] = mapped_column(info=pii("keep:secret"))
    hook_hash: Mapped[str] = mapped_column(info=pii("keep:secret"))
    connected_at: Mapped[datetime]


class TelegramAccount(TenantOwned, Model):
    """A member's Telegram, one to one with their row in `identities`: document 002's bot_users.

    Its is_admin, is_vip and plan are not here: roles and subscriptions say them. `blocked_at`: they stopped the bot.
    """

    __tablename__ = "telegram_accounts"
    __table_args__ = (
        UniqueConstraint("tenant_id", "telegram_id"),
        UniqueConstraint("tenant_id", "user_id"),
        tenant_fk("users", "user_id", ondelete="CASCADE"),
    )

    user_id: Mapped[UUID]
    telegram_id: Mapped[int] = mapped_column(info=pii("erase"))
    username: Mapped[str] = mapped_column(info=pii("erase"))
    first_name: Mapped[str] = mapped_column(info=pii("erase"))
    last_name: Mapped[str] = mapped_column(info=pii("erase"))
    language: Mapped[str] = mapped_column(info=pii("export"))
    linked_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    blocked_at: Mapped[datetime | None]


class TelegramLogin(TenantOwned, Model):
    """The hash of data that let somebody in; it does so once (S11)."""

    __tablename__ = "telegram_logins"
    __table_args__ = (UniqueConstraint("tenant_id", "digest"), Index(None, "tenant_id", "expires_at"))

    digest: Mapped[str] = mapped_column(info=pii("keep:hash"))
    expires_at: Mapped[datetime]


class TelegramLink(TenantOwned, Model):
    """A link by which a member tells the bot who they are: a quarter of an hour, once. The token is stored nowhere."""

    __tablename__ = "telegram_links"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        tenant_fk("users", "user_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "user_id"),
        Index(None, "tenant_id", "expires_at"),
    )

    token_hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    user_id: Mapped[UUID]
    expires_at: Mapped[datetime]


class BotSession(TenantOwned, Model):
    """A stretch of talk with the bot, ended by half an hour of silence; how long it was is `last_at - started_at`.

    Telegram tells no address and no browser, so document 002's ip_address and user_agent are not here.
    """

    __tablename__ = "bot_sessions"
    __table_args__ = (
        tenant_fk("users", "user_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "telegram_id", "last_at"),
        Index(None, "tenant_id", "last_at"),
        Index(None, "tenant_id", "user_id"),
    )

    user_id: Mapped[UUID | None]
    telegram_id: Mapped[int] = mapped_column(info=pii("erase"))
    started_at: Mapped[datetime]
    last_at: Mapped[datetime]
    activity_count: Mapped[int]


class BotDialog(TenantOwned, Model):
    """What the bot asked and waits for: one open question a person."""

    __tablename__ = "bot_dialogs"
    __table_args__ = (
        tenant_fk("users", "user_id", ondelete="CASCADE"),
        Index(None, "tenant_id", "user_id"),
        Index(
            "uq_bot_dialogs_open", "tenant_id", "telegram_id", unique=True, postgresql_where=text("ended_at IS NULL")
        ),
        Index(None, "tenant_id", "started_at"),
    )

    user_id: Mapped[UUID | None]
    telegram_id: Mapped[int] = mapped_column(info=pii("erase"))
    awaiting: Mapped[str] = mapped_column(info=pii("keep:technical"))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(info=pii("keep:technical"))
