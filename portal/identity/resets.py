"""A new password by a link: 256 bits, half an hour, once; the same answer for everybody who asks (security.md 8, S15)."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select, text

from portal.extensions import db
from portal.identity import access, codes, queries, service
from portal.identity.events import PasswordChanged, ResetRequested
from portal.identity.models import PasswordReset
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id
from portal.kernel.side import side_transaction
from portal.kernel.tenancy import current_tenant_id
from portal.web.locale import current as locale

LIFE = timedelta(minutes=30)
LIMITS = ((1, timedelta(seconds=60)), (5, timedelta(days=1)))
_MINT = """
UPDATE password_resets SET token_hash = :hash, member_id = :member
 WHERE tenant_id = :tenant AND id = :id AND used_at IS NULL AND sent_at IS NULL AND expires_at > clock_timestamp()
RETURNING id
"""
_SENT = "UPDATE password_resets SET sent_at = clock_timestamp() WHERE tenant_id = :tenant AND id = :id"
_USE = text("""
UPDATE password_resets SET used_at = clock_timestamp()
 WHERE tenant_id = :tenant AND token_hash = :hash AND used_at IS NULL AND expires_at > clock_timestamp()
RETURNING member_id, target
""")
_CLOSE = text("""
UPDATE password_resets SET used_at = clock_timestamp()
 WHERE tenant_id = :tenant AND member_id = :member AND used_at IS NULL
""")


class LinkOver(PortalError):
    """The link was used, is too old, or its account has another contact now."""

    code, status = "reset.over", 410

    def __init__(self) -> None:
        super().__init__(gettext("This link does not work any more. Ask for a new one; it takes a minute."))


@dataclass(frozen=True, slots=True)
class Letter:
    """A link to be sent."""

    id: UUID
    channel: str
    target: str
    name: str
    locale: str
    token: str


@command("password.ask_reset", emits=(ResetRequested,))
def ask(typed: str) -> None:
    """Ask for a link to the account with this e-mail or phone, if there is one: a worker looks. Raises `TooManyCodes`."""
    target = codes.canonical(typed)
    now = codes.wait_for_turn("password_resets", target, LIMITS)
    row = PasswordReset(
        id=new_id(),
        channel=codes.channel_of(target),
        target=target,
        target_key=codes.target_key(target),
        locale=locale(),
        created_at=now,
        expires_at=now + LIFE,
    )
    db.session.add(row)
    journal().about("reset", row.id)
    emit(ResetRequested(reset_id=row.id))


def mint(reset_id: UUID) -> Letter | None:
    """Make the link, in a worker just before it is sent; None when nobody is to get one or it was sent."""
    row = db.session.scalars(
        select(PasswordReset).where(PasswordReset.id == reset_id, PasswordReset.sent_at.is_(None))
    ).one_or_none()
    account: Any = queries.account(row.target) if row else None
    if row is None or account is None:
        return None
    letter = Letter(row.id, row.channel, row.target, account.name, row.locale, secrets.token_urlsafe(32))
    values = {"tenant": current_tenant_id(), "id": row.id, "member": account.id, "hash": _hash(letter.token)}
    db.session.rollback()  # one delivery never holds two connections
    return letter if side_transaction(_MINT, values) else None


def mark_sent(reset_id: UUID) -> None:
    """The link left the house."""
    side_transaction(_SENT, {"tenant": current_tenant_id(), "id": reset_id})


def works(token: str) -> bool:
    """Whether the link still opens; looking does not use it up (S15)."""
    row = text(
        "SELECT 1 FROM password_resets WHERE tenant_id = :tenant AND token_hash = :hash AND used_at IS NULL"
        " AND expires_at > clock_timestamp()"
    )
    return db.session.scalar(row, {"tenant": current_tenant_id(), "hash": _hash(token)}) is not None


@command("password.reset", emits=(PasswordChanged,))
def use(token: str, password: str) -> UUID:
    """Set the password by the link: every session ends, other links die. Returns whose it was.

    Raises `LinkOver` and `passwords.WeakPassword`, after which the link still opens.
    """
    row = db.session.execute(_USE, {"tenant": current_tenant_id(), "hash": _hash(token)}).one_or_none()
    if row is None or row.member_id is None:
        raise LinkOver
    member = service.locked(row.member_id)
    if row.target not in {member.email, member.phone}:
        raise LinkOver  # the contact was changed meanwhile (R18)
    g.actor_id, g.actor_kind = member.id, "member"
    service.renew_password(member, password)
    access.confirm(member, row.target)
    db.session.execute(_CLOSE, {"tenant": current_tenant_id(), "member": member.id})
    journal().about("member", member.id)
    emit(PasswordChanged(member_id=member.id, by="reset"))
    return member.id


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
