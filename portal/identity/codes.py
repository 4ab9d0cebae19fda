"""One-time codes by mail, SMS or a messenger: six digits, ten minutes, five tries, once (S6, 2FA-1).

Asking for a code writes a row and an event, whoever is asked for; whether anybody is behind the contact is looked up by
the worker that sends it, so that the page that asks answers everybody alike and in the same time (S7). The code is made
when it is sent and kept as a hash. Tries are counted on the side before the code is compared, so that fifty tries at the
same moment are five guesses (D7).
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask_babel import gettext, ngettext
from sqlalchemy import select, text

from portal.extensions import db
from portal.identity import contacts, queries, sessions
from portal.identity.events import CodeRequested
from portal.identity.models import OneTimeCode
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id
from portal.kernel.side import side_transaction
from portal.kernel.tenancy import current_tenant_id
from portal.kernel.turns import take_turn
from portal.settings import settings
from portal.web.locale import current as locale

EMAIL, SMS, TELEGRAM = "email", "sms", "telegram"
DIGITS, TRIES = 6, 5
LIFE, RESEND = timedelta(minutes=10), timedelta(seconds=60)
SENDS, WINDOW = 3, timedelta(minutes=10)
A_DAY = 10  # sends to a target: fifty guesses a day at a million codes (security.md 14)
OF_ACCOUNT = "sign_in"  # the purpose whose codes go to members only
_BEFORE = """
SELECT o.created_at
  FROM {table} o
 WHERE o.tenant_id = :tenant AND o.target_key = :key AND o.created_at > clock_timestamp() - interval '1 day'
 ORDER BY o.created_at DESC
"""
_MINT = """
UPDATE one_time_codes SET code_hash = :hash, member_id = coalesce(member_id, :member), tries = 0
 WHERE tenant_id = :tenant AND id = :id AND used_at IS NULL AND sent_at IS NULL AND expires_at > clock_timestamp()
RETURNING id
"""
_SENT = "UPDATE one_time_codes SET sent_at = clock_timestamp() WHERE tenant_id = :tenant AND id = :id"
_TRY = """
UPDATE one_time_codes SET tries = tries + 1
 WHERE tenant_id = :tenant AND id = :id AND purpose = :purpose AND used_at IS NULL AND tries < :most
   AND expires_at > clock_timestamp()
RETURNING code_hash
"""
_USE = text("""
UPDATE one_time_codes SET used_at = clock_timestamp()
 WHERE tenant_id = :tenant AND id = :id AND used_at IS NULL AND expires_at > clock_timestamp()
RETURNING id, purpose, channel, target, member_id, data
""")
_EMPTY = text("UPDATE one_time_codes SET data = '{}' WHERE tenant_id = :tenant AND id = :id")


class WrongCode(PortalError):
    """The code does not fit, was used, is too old or was tried too often; which of them is not said."""

    code = "code.wrong"

    def __init__(self) -> None:
        super().__init__(
            gettext("This code does not fit. A code holds for ten minutes and five tries; you can ask for a new one.")
        )


class TooManyCodes(PortalError):
    """Wait before the next code; `retry_after` is in seconds."""

    code, status = "code.too_many", 429

    def __init__(self, seconds: int) -> None:
        if seconds > 90:  # noqa: PLR2004  above it people count in minutes
            minutes = -(-seconds // 60)
            words = ngettext(
                "A code was sent a moment ago. The next one can be sent in %(num)s minute.",
                "Enough codes were sent there. The next one can be sent in %(num)s minutes.",
                minutes,
            )
        else:
            words = ngettext(
                "A code was sent a moment ago. The next one can be sent in %(num)s second.",
                "A code was sent a moment ago. The next one can be sent in %(num)s seconds.",
                max(1, seconds),
            )
        super().__init__(words, retry_after=max(1, seconds))


@dataclass(frozen=True, slots=True)
class Challenge:
    """A code that was typed right, now used up. `member_id`: whose account it was asked for, if anybody's."""

    id: UUID
    purpose: str
    channel: str
    target: str
    member_id: UUID | None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A code to be sent. `name` is the recipient's, where they are a member."""

    id: UUID
    purpose: str
    channel: str
    target: str
    member_id: UUID | None
    name: str
    locale: str
    code: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A way by which codes leave. `send` raises OSError or the like when it is worth another try.

    `offered` says whether the acting tenant has this way; the target of a messenger's code is the contact that its
    member typed, and `send` finds the rest by `member_id`.
    """

    name: str
    send: Callable[[Outgoing], None]
    offered: Callable[[], bool] = lambda: True


channels: dict[str, Channel] = {}


def register_channel(channel: Channel) -> None:
    """Add a way; the noun that owns it calls this in its handlers."""
    channels[channel.name] = channel


def offered(name: str) -> bool:
    """Whether codes can leave this way here."""
    return name in channels and channels[name].offered()


def channel_of(target: str) -> str:
    """Mail for what has an @, SMS for the rest."""
    return EMAIL if "@" in target else SMS


def target_of(challenge_id: UUID, purpose: str) -> str | None:
    """Whom a code was asked for; None when there is no such challenge."""
    row = select(OneTimeCode.target).where(OneTimeCode.id == challenge_id, OneTimeCode.purpose == purpose)
    return db.session.scalar(row)


def canonical(typed: str) -> str:
    """The contact as it is stored, or the folded text of what is none: it gets a row like any other."""
    plain = typed.strip()
    try:
        if "@" in plain:
            return contacts.clean_email(plain)
        if contacts.looks_like_phone(plain):
            return contacts.clean_phone(plain)
    except (contacts.InvalidEmail, contacts.InvalidPhone):
        pass
    return plain.casefold()[: contacts.LONGEST_EMAIL]


@command("code.issue", emits=(CodeRequested,))
def issue(
    purpose: str, channel: str, target: str, *, member_id: UUID | None = None, data: Mapping[str, Any] | None = None
) -> UUID:
    """Ask for a code to this contact; it is sent by a worker. Returns the challenge's id for `redeem`.

    `data` is what the code lets through (kept until it is used). Raises `TooManyCodes`: one in 60 s, three in ten
    minutes, ten a day, counted for the contact whoever asks.
    """
    target = canonical(target)
    now = wait_for_turn("one_time_codes", target, ((1, RESEND), (SENDS, WINDOW), (A_DAY, timedelta(days=1))))
    row = OneTimeCode(
        id=new_id(),
        purpose=purpose,
        channel=channel,
        target=target,
        target_key=target_key(target),
        member_id=member_id,
        data=dict(data or {}),
        locale=locale(),
        created_at=now,
        expires_at=now + LIFE,
    )
    db.session.add(row)
    journal().about("code", row.id)
    emit(CodeRequested(challenge_id=row.id))
    return row.id


def issue_again(challenge_id: UUID, purpose: str) -> UUID:
    """Another code for the same thing; returns its challenge. Raises `TooManyCodes`, and `WrongCode` for none or a used one."""
    row = db.session.scalars(
        select(OneTimeCode).where(
            OneTimeCode.id == challenge_id, OneTimeCode.purpose == purpose, OneTimeCode.used_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise WrongCode
    return issue(purpose, row.channel, row.target, member_id=row.member_id, data=row.data)


def wait_for_turn(table: str, target: str, limits: Sequence[tuple[int, timedelta]]) -> datetime:
    """The moment, when one more may be sent to this contact; others who ask for it wait until the command is done.

    `limits`: so many within so long, a day at most. Raises `TooManyCodes`.
    """
    key, tenant = target_key(target), current_tenant_id()
    take_turn(f"{tenant}{table}{key}")
    rows = db.session.execute(text(_BEFORE.format(table=table)), {"tenant": tenant, "key": key}).all()
    now = sessions.real_now()
    waits = [rows[most - 1].created_at + within - now for most, within in limits if len(rows) >= most]
    longest = max(waits, default=timedelta(0))
    if longest > timedelta(0):
        raise TooManyCodes(int(longest.total_seconds()) + 1)
    return now


def redeem(challenge_id: UUID, typed: str, *, purpose: str) -> Challenge:
    """Use the code up, inside a command and first in it. Raises `WrongCode`.

    The try is counted whatever becomes of the command; the use is undone with it.
    """
    digits = re.sub(r"\D", "", typed, flags=re.ASCII)
    tenant = current_tenant_id()
    found = side_transaction(_TRY, {"tenant": tenant, "id": challenge_id, "purpose": purpose, "most": TRIES})
    fits = hmac.compare_digest(_hash(challenge_id, digits), (found[0].code_hash or "") if found else "")
    if not fits:
        raise WrongCode
    row = db.session.execute(_USE, {"tenant": tenant, "id": challenge_id}).one_or_none()
    if row is None:
        raise WrongCode
    db.session.execute(_EMPTY, {"tenant": tenant, "id": challenge_id})
    return Challenge(row.id, row.purpose, row.channel, row.target, row.member_id, row.data)


def mint(challenge_id: UUID) -> Outgoing | None:
    """Make the code, in a worker just before it is sent; None when nobody is to get one, or it was sent or used."""
    found = db.session.execute(
        text(
            "SELECT purpose, channel, target, member_id, locale FROM one_time_codes"
            " WHERE tenant_id = :tenant AND id = :id AND sent_at IS NULL"
        ),
        {"tenant": current_tenant_id(), "id": challenge_id},
    ).one_or_none()
    if found is None:
        return None
    account = queries.account(found.target)
    member = found.member_id or (account.id if account else None)
    if member is None and found.purpose == OF_ACCOUNT:
        return None
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    values = {"tenant": current_tenant_id(), "id": challenge_id, "member": member, "hash": _hash(challenge_id, code)}
    db.session.rollback()  # one delivery never holds two connections
    if not side_transaction(_MINT, values):
        return None
    name = account.name if account else ""
    return Outgoing(challenge_id, found.purpose, found.channel, found.target, member, name, found.locale, code)


def mark_sent(challenge_id: UUID) -> None:
    """The code left the house: a delivery that comes again sends no other."""
    side_transaction(_SENT, {"tenant": current_tenant_id(), "id": challenge_id})


@command("code.forget")
def forget_old() -> None:
    """Drop codes and links of password resets whose day is over."""
    for table in ("one_time_codes", "password_resets"):
        db.session.execute(
            text(
                f"DELETE FROM {table} WHERE tenant_id = :tenant AND expires_at < clock_timestamp() - interval '2 days'"
            ),
            {"tenant": current_tenant_id()},
        )
    journal().unchanged()


def target_key(target: str) -> str:
    """By what sendings to a contact are counted."""
    return hashlib.sha256(target.encode()).hexdigest()


def _hash(challenge_id: UUID, code: str) -> str:
    key = hashlib.sha256(f"one-time code/{settings().SECRET_KEY}".encode()).digest()
    return hmac.new(key, f"{challenge_id}|{code}".encode(), hashlib.sha256).hexdigest()
