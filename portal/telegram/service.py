"""Telegram as a way in: who is whose, and the tenant's bot (TMA-2, D11).

A Telegram account is one member's at most. Whoever asks for one that is another's gets nothing but a note for staff.
"""

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from portal.extensions import db
from portal.identity import access, consents, factors, pairs, queries, referrals, sessions
from portal.identity.events import IdentityLinked, IdentityUnlinked, MemberRegistered
from portal.identity.models import ForeignIdentity, User
from portal.identity.service import locked, register_member
from portal.kernel import vault
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import new_id
from portal.kernel.side import side_transaction
from portal.kernel.tenancy import current_tenant_id
from portal.telegram import bot as api
from portal.telegram import signed
from portal.telegram.models import TelegramAccount, TelegramBot, TelegramLink
from portal.web.locale import current as locale

PROVIDER = "telegram"
LINK_LIFE = timedelta(minutes=15)
_BURN = (
    "INSERT INTO telegram_logins (tenant_id, id, digest, expires_at)"
    " VALUES (:tenant, :id, :digest, clock_timestamp() + interval '10 minutes') ON CONFLICT DO NOTHING RETURNING id"
)
_OLD = (
    "DELETE FROM telegram_logins WHERE tenant_id = :tenant AND expires_at < clock_timestamp()",
    "DELETE FROM telegram_links WHERE tenant_id = :tenant AND expires_at < clock_timestamp()",
    "DELETE FROM bot_dialogs WHERE tenant_id = :tenant AND started_at < clock_timestamp() - interval '90 days'",
    "DELETE FROM bot_sessions WHERE tenant_id = :tenant AND last_at < clock_timestamp() - interval '90 days'",
)


class NotBelieved(PortalError):
    """What came is not Telegram's word for this bot, is older than five minutes, or let somebody in already."""

    code = "telegram.not_believed"

    def __init__(self) -> None:
        super().__init__(gettext("Telegram’s word does not hold any more. Begin again."))


class LinkedElsewhere(PortalError):
    """This Telegram account is another member's."""

    code, status = "telegram.linked_elsewhere", 409


class AlreadyLinked(PortalError):
    """The member has another Telegram account linked; it has to be cut first."""

    code, status = "telegram.already_linked", 409


class LastWayIn(PortalError):
    """Without Telegram the member could not sign in any more."""

    code, status = "telegram.last_way_in", 409


def connected() -> Any:
    """The tenant's bot: id, bot_id, username, hook_hash, connected_at; None when there is none."""
    own = TelegramBot
    return db.session.execute(select(own.id, own.bot_id, own.username, own.hook_hash, own.connected_at)).one_or_none()


def account_of(user_id: UUID) -> Any:
    """A member's Telegram: telegram_id, username, first_name, linked_at, blocked_at; None when none is linked."""
    own = TelegramAccount
    columns = (own.telegram_id, own.username, own.first_name, own.linked_at, own.blocked_at)
    return db.session.execute(select(*columns).where(own.user_id == user_id)).one_or_none()


def owner_of(telegram_id: int) -> UUID | None:
    """The member whose Telegram this is; one who was merged into another is that other one (D28)."""
    own = ForeignIdentity
    user_id = db.session.scalar(select(own.user_id).where(own.provider == PROVIDER, own.subject == str(telegram_id)))
    return user_id and queries.survivor(user_id)


def token() -> str:
    """The bot's token. Raises `NotFound` where there is no bot."""
    row = db.session.execute(select(TelegramBot.id, TelegramBot.token)).one_or_none()
    if row is None:
        raise NotFound
    return vault.unseal(row.token, table="telegram_bots", column="token", row=row.id).decode()


def told_by_app(raw: str) -> signed.Told:
    """Who opened the Mini App; its data lets in once. Raises `NotBelieved` or `NotFound`."""
    try:
        told = signed.init_data(raw, token(), sessions.real_now())
    except (signed.NotFromTelegram, signed.TooOld):
        raise NotBelieved from None
    return _once(told)


def told_by_widget(fields: Mapping[str, Any]) -> signed.Told:
    """Who came through Telegram's login; the fields let in once. Raises `NotBelieved` or `NotFound`."""
    try:
        told = signed.login(fields, token(), sessions.real_now())
    except (signed.NotFromTelegram, signed.TooOld):
        raise NotBelieved from None
    return _once(told)


def _once(told: signed.Told) -> signed.Told:
    """Use the data up, whatever becomes of the request (S11)."""
    db.session.rollback()  # one request never holds two connections
    if not side_transaction(_BURN, {"tenant": current_tenant_id(), "id": new_id(), "digest": told.digest}):
        raise NotBelieved
    return told


def enter(told: signed.Told, *, user_agent: str, ip: str, replaces: UUID | None = None) -> str | None:
    """Open a session for the member whose Telegram this is; returns its cookie, None when it is nobody's yet.

    Raises `access.Suspended`.
    """
    owner = owner_of(told.id)
    if owner is None:
        return None
    with sessions.acting_as(owner, "member"):
        return _open(owner, told, user_agent=user_agent, ip=ip, replaces=replaces)


@command("session.open")
def _open(user_id: UUID, told: signed.Told, *, user_agent: str, ip: str, replaces: UUID | None) -> str:
    member = db.session.scalars(select(User).where(User.id == user_id, *queries.listed())).one_or_none()
    if member is None:
        raise NotBelieved
    if member.suspended_at is not None:
        raise access.Suspended(gettext("This account is suspended: %(reason)s", reason=member.suspended_reason or "…"))
    if replaces:
        sessions.revoke(replaces)
    db.session.execute(update(TelegramAccount).where(TelegramAccount.telegram_id == told.id).values(**_names(told)))
    journal().about("member", user_id)
    return access.open_for(member, user_agent=user_agent, ip=ip, amr="tg")


@command("telegram.join", emits=(MemberRegistered,))
def join(told: signed.Told, *, name: str, marketing: bool, ref: str = "") -> UUID:
    """A stranger becomes a member by their Telegram, having agreed to the terms; returns the member's id.

    `ref` is the code of the link that brought them.

    Raises `LinkedElsewhere` when another request was first, and what `register_member` raises.
    """
    member_id = register_member(name=name, locale=locale(), joined_via=PROVIDER)
    consents.give(member_id, *consents.asked_of_newcomers(), *((consents.MARKETING,) if marketing else ()))
    referrals.keep(member_id, ref)
    _tie(member_id, told)
    journal().about("member", member_id)
    return member_id


def link(user_id: UUID, told: signed.Told) -> None:
    """Tie a Telegram account to a signed-in member. Raises `LinkedElsewhere` or `AlreadyLinked`.

    One that is another member's stays theirs; staff are asked whether the two are one person (TMA-2).
    """
    try:
        _link(user_id, told)
    except LinkedElsewhere:
        owner = owner_of(told.id)
        if owner not in {None, user_id}:
            _note_claim(user_id, owner)
        raise


@command("telegram.link", emits=(IdentityLinked,))
def _link(user_id: UUID, told: signed.Told) -> None:
    locked(user_id)
    journal().about("member", user_id)
    known = account_of(user_id)
    if known is not None and known.telegram_id != told.id:
        raise AlreadyLinked(gettext("Another Telegram account is linked to you. Unlink it first."))
    if known is not None:
        db.session.execute(
            update(TelegramAccount).where(TelegramAccount.user_id == user_id).values(**_names(told), blocked_at=None)
        )
        emit(IdentityLinked(member_id=user_id, provider=PROVIDER))
        return
    _tie(user_id, told)
    emit(IdentityLinked(member_id=user_id, provider=PROVIDER))


def _tie(user_id: UUID, told: signed.Told) -> None:
    """The first to write the identity has it; a second one waits for the first's end and is refused (R16)."""
    now = sessions.real_now()
    mine = db.session.scalar(
        insert(ForeignIdentity)
        .values(
            tenant_id=current_tenant_id(),
            id=new_id(),
            provider=PROVIDER,
            subject=str(told.id),
            user_id=user_id,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(ForeignIdentity.id)
    )
    if mine is None:
        raise LinkedElsewhere(
            gettext(
                "This Telegram account belongs to another member here. Staff were told: they can join both accounts."
            )
        )
    db.session.add(TelegramAccount(user_id=user_id, telegram_id=told.id, linked_at=now, **_names(told)))


@command("telegram.claim", reads=True)
def _note_claim(user_id: UUID, owner: UUID) -> None:
    pairs.ask(user_id, owner)
    journal().about("member", user_id)
    journal().reason(f"member {owner} has the same Telegram account")


@command("telegram.unlink", emits=(IdentityUnlinked,))
def unlink(user_id: UUID) -> None:
    """Cut the tie to Telegram; one that has none stays as it is. Raises `LastWayIn`."""
    member = locked(user_id)
    journal().about("member", user_id)
    if account_of(user_id) is None:
        journal().unchanged()
        return
    passkey = any(method.kind == factors.PASSKEY for method in factors.methods(user_id))
    if not (member.password_hash or member.email or member.phone or passkey):
        raise LastWayIn(gettext("Telegram is your only way in. Add an e-mail, a phone number or a passkey first."))
    db.session.execute(
        delete(ForeignIdentity).where(ForeignIdentity.user_id == user_id, ForeignIdentity.provider == PROVIDER)
    )
    db.session.execute(delete(TelegramAccount).where(TelegramAccount.user_id == user_id))
    emit(IdentityUnlinked(member_id=user_id, provider=PROVIDER))


def _names(told: signed.Told) -> dict[str, Any]:
    return {
        "username": told.username,
        "first_name": told.first_name,
        "last_name": told.last_name,
        "language": told.language,
        "updated_at": sessions.real_now(),
    }


@command("telegram.offer_link")
def offer_link(user_id: UUID) -> str:
    """A token by which the bot knows this member, once within a quarter of an hour; those before it end."""
    db.session.execute(delete(TelegramLink).where(TelegramLink.user_id == user_id))
    secret = secrets.token_urlsafe(24)
    db.session.add(TelegramLink(user_id=user_id, token_hash=_hash(secret), expires_at=sessions.real_now() + LINK_LIFE))
    journal().about("member", user_id)
    return secret


def link_by_token(secret: str, told: signed.Told) -> bool:
    """Tie the account of whoever sent this token to the bot; False when the token is none, used or too old.

    Raises `LinkedElsewhere` or `AlreadyLinked`.
    """
    own = TelegramLink
    owner = db.session.scalar(
        select(own.user_id).where(own.token_hash == _hash(secret), own.expires_at > sessions.real_now())
    )
    if owner is None:
        return False
    with sessions.acting_as(owner, "member"):
        if not _spend(owner, secret):
            return False
        link(owner, told)
    return True


@command("telegram.spend_link")
def _spend(user_id: UUID, secret: str) -> bool:
    journal().about("member", user_id)
    own = TelegramLink
    return bool(
        db.session.execute(
            delete(own).where(own.token_hash == _hash(secret), own.user_id == user_id).returning(own.id)
        ).all()
    )


@command("telegram.block")
def set_blocked(user_id: UUID, *, blocked: bool) -> None:
    """Note that this member stopped the bot, or started it again."""
    journal().about("member", user_id)
    own = TelegramAccount
    change = update(own).where(own.user_id == user_id, own.blocked_at.is_(None) == blocked)
    if not db.session.execute(
        change.values(blocked_at=sessions.real_now() if blocked else None).returning(own.id)
    ).all():
        journal().unchanged()


def connect(typed: str) -> str:
    """Take a bot over: ask Telegram whose token it is, have its updates sent here; returns its name.

    Raises `api.BotRefused` or `api.BotFailed`; then nothing has changed.
    """
    clean = typed.strip()
    row, secret = new_id(), secrets.token_urlsafe(32)
    hook = f"{g.tenant.base_url}/hooks/telegram/{row}"
    db.session.rollback()  # nothing is held while Telegram is asked
    bot_id, username = api.get_me(clean)
    api.set_webhook(clean, hook, secret)
    keep_bot(row, bot_id, username, clean, secret)
    return username


@command("telegram.connect")
def keep_bot(row: UUID, bot_id: int, username: str, clean: str, secret: str) -> None:
    """Put this bot in the place of the one before; its updates come to `/hooks/telegram/<row>` with `secret`."""
    db.session.execute(delete(TelegramBot))
    db.session.add(
        TelegramBot(
            id=row,
            bot_id=bot_id,
            username=username,
            token=vault.seal(clean, table="telegram_bots", column="token", row=row),
            hook_hash=_hash(secret),
            connected_at=sessions.real_now(),
        )
    )
    journal().about("telegram_bot", row)


def disconnect() -> None:
    """Let the bot go; who is whose stays known for the next one."""
    try:
        known = token()
    except (NotFound, vault.Unreadable):
        known = ""
    db.session.rollback()
    if known:
        with suppress(api.BotRefused, api.BotFailed, api.BotBlocked):  # it may be gone at Telegram already
            api.delete_webhook(known)
    _disconnect()


@command("telegram.disconnect")
def _disconnect() -> None:
    gone = db.session.execute(delete(TelegramBot).returning(TelegramBot.id)).scalar()
    if gone is None:
        journal().unchanged()
        return
    journal().about("telegram_bot", gone)


@command("telegram.forget")
def forget_old() -> None:
    """Drop what has let in, links that ended and talks older than 90 days."""
    for statement in _OLD:
        db.session.execute(text(statement), {"tenant": current_tenant_id()})
    journal().unchanged()


def hook_fits(bot: Any, secret: str) -> bool:
    """Whether an update carries the secret that Telegram was given."""
    return secrets.compare_digest(bot.hook_hash, _hash(secret))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
