"""What the bot hears and answers: /start with a member's link, /unlink, and a word of help (D45).

An answer goes back with the update's own reply, so that a page of ours never waits for Telegram.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext

from portal.extensions import db
from portal.identity import sessions
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id
from portal.kernel.side import side_transaction
from portal.kernel.tenancy import current_tenant_id
from portal.telegram import service, signed

UNLINK = "unlink"
LONGEST = 4096  # Telegram's own limit
_HEARD = """
UPDATE bot_sessions SET last_at = clock_timestamp(), activity_count = activity_count + 1, user_id = coalesce(cast(:owner AS uuid), user_id)
 WHERE tenant_id = :tenant AND telegram_id = :who AND last_at > clock_timestamp() - interval '30 minutes'
RETURNING id
"""
_BEGUN = """
INSERT INTO bot_sessions (tenant_id, id, user_id, telegram_id, started_at, last_at, activity_count)
VALUES (:tenant, :id, :owner, :who, clock_timestamp(), clock_timestamp(), 1)
"""
_ASK = """
INSERT INTO bot_dialogs (tenant_id, id, user_id, telegram_id, awaiting, started_at)
VALUES (:tenant, :id, :owner, :who, :awaiting, clock_timestamp())
ON CONFLICT (tenant_id, telegram_id) WHERE ended_at IS NULL
DO UPDATE SET awaiting = excluded.awaiting, user_id = excluded.user_id, started_at = excluded.started_at
"""
_ANSWERED = """
UPDATE bot_dialogs SET ended_at = clock_timestamp(),
       end_reason = CASE WHEN started_at < clock_timestamp() - interval '10 minutes' THEN 'timeout' ELSE :reason END
 WHERE tenant_id = :tenant AND telegram_id = :who AND ended_at IS NULL
RETURNING awaiting, end_reason
"""


def hear(update: Mapping[str, Any]) -> tuple[int, str] | None:
    """Take an update; returns whom to answer and what, or None. Groups, other bots and odd shapes are left alone."""
    if _stopped(update):
        return None
    message = update.get("message")
    if not isinstance(message, Mapping):
        return None
    chat, sender, words = message.get("chat"), message.get("from"), message.get("text")
    if not isinstance(chat, Mapping) or not isinstance(sender, Mapping) or not isinstance(words, str):
        return None
    told = _sender(sender)
    if told is None or chat.get("type") != "private" or chat.get("id") != told.id:
        return None
    owner = service.owner_of(told.id)
    db.session.rollback()  # one request never holds two connections
    _note(told.id, owner)
    return told.id, _answer(told, owner, words.strip()[:LONGEST])


def language_of(update: Mapping[str, Any]) -> str | None:
    """The language of whoever wrote, as their Telegram says it."""
    part = update.get("message") or {}
    sender = part.get("from") if isinstance(part, Mapping) else None
    code = sender.get("language_code") if isinstance(sender, Mapping) else None
    return code.split("-")[0] if isinstance(code, str) else None


def _stopped(update: Mapping[str, Any]) -> bool:
    """Whether the update says that somebody stopped or started the bot; then it is noted."""
    change = update.get("my_chat_member")
    if not isinstance(change, Mapping):
        return False
    sender, now = change.get("from"), change.get("new_chat_member")
    told = _sender(sender) if isinstance(sender, Mapping) else None
    owner = service.owner_of(told.id) if told else None
    if owner is not None and isinstance(now, Mapping):
        with sessions.acting_as(owner, "member"):
            service.set_blocked(owner, blocked=now.get("status") == "kicked")
    return True


def _sender(sender: Mapping[str, Any]) -> signed.Told | None:
    number = sender.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or sender.get("is_bot"):
        return None
    if not 0 < number <= signed.LARGEST_ID:
        return None
    return signed.Told(
        id=number,
        first_name=signed.plain(sender.get("first_name")),
        last_name=signed.plain(sender.get("last_name")),
        username=signed.plain(sender.get("username")),
        language=signed.plain(sender.get("language_code")),
        at=0,
        digest="",
    )


def _note(who: int, owner: UUID | None) -> None:
    values = {"tenant": current_tenant_id(), "who": who, "owner": owner}
    if not side_transaction(_HEARD, values):
        side_transaction(_BEGUN, {**values, "id": new_id()})


def _answer(told: signed.Told, owner: UUID | None, words: str) -> str:
    yes = words.casefold().rstrip(".!") in {"yes", gettext("yes")}
    asked = side_transaction(
        _ANSWERED, {"tenant": current_tenant_id(), "who": told.id, "reason": "answered" if yes else "left"}
    )
    if asked and asked[0].awaiting == UNLINK and asked[0].end_reason == "answered" and owner:
        return _unlink(owner)
    command, _, rest = words.partition(" ")
    command = command.partition("@")[0]
    if command == "/start" and rest.strip():
        return _link(rest.strip(), told)
    if command == "/unlink" and owner:
        side_transaction(
            _ASK, {"tenant": current_tenant_id(), "id": new_id(), "who": told.id, "owner": owner, "awaiting": UNLINK}
        )
        return gettext("Unlink Telegram from your account at %(tenant)s? Answer “yes”.", tenant=g.tenant.name)
    if owner:
        with sessions.acting_as(owner, "member"):
            service.set_blocked(owner, blocked=False)
        return gettext(
            "This Telegram is linked to your account at %(tenant)s: you sign in with it, and codes come here. /unlink cuts it.",
            tenant=g.tenant.name,
        )
    return gettext(
        "Hello! To sign in at %(tenant)s with Telegram, open %(url)s and choose Telegram.",
        tenant=g.tenant.name,
        url=f"{g.tenant.base_url}/login",
    )


def _link(secret: str, told: signed.Told) -> str:
    try:
        if service.link_by_token(secret, told):
            return gettext("Done: this Telegram is linked to your account at %(tenant)s.", tenant=g.tenant.name)
    except PortalError as error:
        return error.message
    if service.owner_of(told.id):
        return gettext("This Telegram is linked to your account at %(tenant)s already.", tenant=g.tenant.name)
    return gettext("This link has been used or is too old. Take a new one on the page “Safety”.")


def _unlink(owner: UUID) -> str:
    with sessions.acting_as(owner, "member"):
        try:
            service.unlink(owner)
        except PortalError as error:
            return error.message
    return gettext("Done: this Telegram no longer opens your account.")
