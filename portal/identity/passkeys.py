"""A member's passkeys: made, used at the door with or without a name, as second factor, and to confirm (security.md 7).

Each question to a browser is kept for five minutes and answered once, whatever the answer.
"""

import hashlib
import hmac
import secrets
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select, update

from portal.extensions import db
from portal.identity import access, factors, queries, second, sessions, signing
from portal.identity.events import FactorAdded
from portal.identity.models import TwoFactorMethod, User
from portal.identity.signing import CONFIRM, LIFE, REGISTER, SECOND, SIGN_IN, Made, PasskeyRefused, Signed, rp_id
from portal.kernel.commands import command, journal
from portal.kernel.model import new_id
from portal.kernel.side import side_transaction
from portal.settings import settings

_KEEP = (
    "INSERT INTO passkey_challenges (tenant_id, id, challenge, purpose, user_id, expires_at)"
    " VALUES (:tenant, :id, :challenge, :purpose, :user, clock_timestamp() + cast(:life AS interval))"
)
_SWEEP = "DELETE FROM passkey_challenges WHERE tenant_id = :tenant AND expires_at < clock_timestamp()"
_SPEND = (
    "DELETE FROM passkey_challenges WHERE tenant_id = :tenant AND challenge = :challenge AND purpose = :purpose"
    " AND user_id IS NOT DISTINCT FROM cast(:user AS uuid) AND expires_at > clock_timestamp() RETURNING id"
)


def to_register(member: User) -> str:
    """The question for a new passkey, as JSON for the browser."""
    known = [method.credential_id for method in factors.methods(member.id) if method.kind == factors.PASSKEY]
    return signing.to_register(
        _asked(REGISTER, member.id),
        site=g.tenant.name,
        handle=member.id.bytes,
        login=member.email or member.phone or member.card_number,
        name=member.name,
        known=known,
    )


def to_sign_in(identifier: str = "") -> str:
    """The question at the door. With a name it lists that account's passkeys, or, so that nobody learns who has an
    account or a passkey, one that does not exist (S7).
    """
    typed = identifier.strip()
    account = queries.account(typed) if typed else None
    allowed = (
        [(key, "") for key, _ in _allowed(account.id)] if account else []
    )  # how it is reached would tell that it is one
    if typed and not allowed:
        secret = hashlib.sha256(f"no passkey/{settings().SECRET_KEY}".encode()).digest()
        made_up = hmac.new(secret, f"{g.tenant_id}|{typed.casefold()}".encode(), hashlib.sha256).digest()
        allowed = [(made_up, "")]
    return signing.to_use(_asked(SIGN_IN, None), allowed)


def to_prove(purpose: str, user_id: UUID) -> str:
    """The question to somebody known: as second factor, or before something that matters."""
    return signing.to_use(_asked(purpose, user_id), _allowed(user_id))


def add(user_id: UUID, answer: str, name: str) -> list[str]:
    """Keep a new passkey. Returns new recovery codes, if there were none. Raises `PasskeyRefused`."""
    made = signing.made(answer, lambda challenge: _spent(challenge, REGISTER, user_id))
    return _add(user_id, made, name.strip()[: factors.LONGEST_NAME] or gettext("Passkey"))


@command("factor.add_passkey", emits=(FactorAdded,))
def _add(user_id: UUID, made: Made, name: str) -> list[str]:
    own = TwoFactorMethod
    if db.session.scalar(select(own.id).where(own.credential_id == made.credential_id)) is not None:
        raise PasskeyRefused(gettext("This passkey is kept already."))
    now, method_id = sessions.real_now(), new_id()
    db.session.add(
        own(
            id=method_id,
            user_id=user_id,
            kind=factors.PASSKEY,
            name=name,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=made.transports,
            rp_id=rp_id(),
            created_at=now,
            confirmed_at=now,
        )
    )
    db.session.flush()
    return factors.added(user_id, method_id, factors.PASSKEY, name)


def sign_in(answer: str, *, user_agent: str, ip: str, replaces: UUID | None = None) -> str:
    """Open a session by a passkey alone; returns its cookie. Raises `PasskeyRefused` or `access.Suspended`."""
    signed = _signed(answer, SIGN_IN, None)
    own = TwoFactorMethod
    owner = db.session.scalar(select(own.user_id).where(own.credential_id == signed.credential.raw_id))
    if owner is None:
        raise signing.refused()
    with sessions.acting_as(owner, "member"):
        return _open(signed, owner, user_agent=user_agent, ip=ip, replaces=replaces)


@command("session.open")
def _open(signed: Signed, user_id: UUID, *, user_agent: str, ip: str, replaces: UUID | None) -> str:
    _check(signed, user_id)
    member = db.session.scalars(select(User).where(User.id == user_id, *queries.listed())).one_or_none()
    if member is None:
        raise signing.refused()
    if member.suspended_at is not None:
        raise access.Suspended(gettext("This account is suspended: %(reason)s", reason=member.suspended_reason or "…"))
    if replaces:
        sessions.revoke(replaces)
    journal().about("member", user_id)
    return access.open_for(member, user_agent=user_agent, ip=ip, amr="swk")


def enter(half: Any, answer: str, *, user_agent: str, ip: str) -> str:
    """Finish a half session by a passkey; returns the cookie of a new, full one. Raises `PasskeyRefused`."""
    signed = _signed(answer, SECOND, half.user_id)
    with sessions.acting_as(half.user_id, "member"):
        return _enter(signed, half.user_id, half.id, half.amr, user_agent=user_agent, ip=ip)


@command("session.second_factor")
def _enter(signed: Signed, user_id: UUID, half_id: UUID, amr: str, *, user_agent: str, ip: str) -> str:
    _check(signed, user_id)
    return second.finish(user_id, half_id, f"{amr}+swk", user_agent=user_agent, ip=ip)


def confirm(user_id: UUID, session_id: UUID, answer: str) -> None:
    """Show a passkey once more: the session is fresh for five minutes. Raises `PasskeyRefused`."""
    _confirm(_signed(answer, CONFIRM, user_id), user_id, session_id)


@command("session.confirm")
def _confirm(signed: Signed, user_id: UUID, session_id: UUID) -> None:
    _check(signed, user_id)
    second.proved(user_id, session_id)


def _check(signed: Signed, user_id: UUID) -> None:
    """Verify an answer of this member's passkey and move its counter, inside a command. Raises `PasskeyRefused`."""
    own = TwoFactorMethod
    key = db.session.execute(
        select(own.id, own.public_key, own.sign_count)
        .where(own.credential_id == signed.credential.raw_id, own.user_id == user_id, own.kind == factors.PASSKEY)
        .with_for_update()
    ).one_or_none()
    if key is None:
        raise signing.refused()
    count = signing.counted(signed, key.public_key, key.sign_count)
    db.session.execute(update(own).where(own.id == key.id).values(sign_count=count, last_used_at=sessions.real_now()))


def _signed(answer: str, purpose: str, user_id: UUID | None) -> Signed:
    return signing.signed(answer, lambda challenge: _spent(challenge, purpose, user_id))


def _allowed(user_id: UUID) -> list[tuple[bytes, str]]:
    own = TwoFactorMethod
    rows = db.session.execute(
        select(own.credential_id, own.transports).where(
            own.user_id == user_id, own.kind == factors.PASSKEY, own.rp_id == rp_id()
        )
    )
    return [(row.credential_id, row.transports) for row in rows]


def _asked(purpose: str, user_id: UUID | None) -> bytes:
    """A new question, kept until it is answered; it writes on the side, since asking is no act of anybody's."""
    challenge = secrets.token_bytes(signing.QUESTION_BYTES)
    db.session.rollback()  # one request never holds two connections
    side_transaction(_SWEEP, {"tenant": g.tenant_id})
    side_transaction(
        _KEEP,
        {
            "tenant": g.tenant_id,
            "id": new_id(),
            "challenge": challenge,
            "purpose": purpose,
            "user": user_id,
            "life": LIFE,
        },
    )
    return challenge


def _spent(challenge: bytes, purpose: str, user_id: UUID | None) -> bool:
    """Whether this question was asked of this person for this, and not answered before; it is used up now."""
    db.session.rollback()
    values = {"tenant": g.tenant_id, "challenge": challenge, "purpose": purpose, "user": user_id}
    return bool(side_transaction(_SPEND, values))
