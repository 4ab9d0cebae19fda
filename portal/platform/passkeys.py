"""An operator's passkeys; what is asked and checked is that of people (portal/identity/signing.py)."""

import hashlib
import hmac
import secrets
from typing import Any
from uuid import UUID

from flask import request
from flask_babel import gettext

from portal.identity import factors, signing
from portal.identity.contacts import InvalidEmail, clean_email
from portal.identity.signing import LIFE, REGISTER, SIGN_IN, PasskeyRefused, rp_id
from portal.kernel.model import new_id
from portal.platform import audit, sessions
from portal.platform.database import connected
from portal.settings import settings

NOBODY = UUID(int=0)  # asked for as anybody is, so that a wrong address takes as long (S7)


def kept(operator_id: UUID) -> list[Any]:
    """An operator's passkeys, the oldest first."""
    with connected() as connection:
        return connection.execute(
            "SELECT id, name, credential_id, transports, rp_id, created_at, last_used_at FROM operator_passkeys"
            " WHERE operator_id = %s ORDER BY created_at",
            (operator_id,),
        ).fetchall()


def usable(operator_id: UUID) -> list[tuple[bytes, str]]:
    """Those that open on this host: (id, transports)."""
    return [(key.credential_id, key.transports) for key in kept(operator_id) if key.rp_id == rp_id()]


def to_register(operator: Any) -> str:
    """The question for a new passkey; `operator` has id, email and name."""
    return signing.to_register(
        _asked(REGISTER, operator.id),
        site=f"Krug {rp_id()}",
        handle=operator.id.bytes,
        login=operator.email,
        name=operator.name,
        known=[key.credential_id for key in kept(operator.id)],
    )


def to_sign_in(email: str = "") -> str:
    """The question at the door: with a name that operator's passkeys, or one that does not exist (S7)."""
    allowed: list[tuple[bytes, str]] = []
    if typed := email.strip():
        allowed = [
            (key, "") for key, _ in usable(_named(typed) or NOBODY)
        ]  # how a key is reached would tell that it is one
        secret = hashlib.sha256(f"no passkey/{settings().SECRET_KEY}".encode()).digest()
        made_up = hmac.new(secret, f"operator|{typed.casefold()}".encode(), hashlib.sha256).digest()
        allowed = allowed or [(made_up, "")]
    return signing.to_use(_asked(SIGN_IN, None), allowed)


def to_prove(purpose: str, operator_id: UUID) -> str:
    """The question to somebody known: as second factor, or before something that matters."""
    return signing.to_use(_asked(purpose, operator_id), usable(operator_id))


def add(operator_id: UUID, answer: str, name: str) -> None:
    """Keep a new passkey. Raises `PasskeyRefused`."""
    made = signing.made(answer, lambda challenge: _spent(challenge, REGISTER, operator_id))
    called = name.strip()[: factors.LONGEST_NAME] or gettext("Passkey")
    with connected() as connection:
        added = connection.execute(
            "INSERT INTO operator_passkeys"
            " (id, operator_id, name, credential_id, public_key, sign_count, transports, rp_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (credential_id) DO NOTHING",
            (
                new_id(),
                operator_id,
                called,
                made.credential_id,
                made.public_key,
                made.sign_count,
                made.transports,
                rp_id(),
            ),
        )
    if not added.rowcount:
        raise PasskeyRefused(gettext("This passkey is kept already."))
    audit.note("operator.add_factor", operator_id, kind=factors.PASSKEY, name=called)


def sign_in(answer: str) -> str:
    """Open a session by a passkey alone; returns its cookie. Raises `PasskeyRefused`."""
    operator_id = _checked(answer, SIGN_IN, None)
    audit.note("operator.sign_in", operator_id, browser=request.user_agent.string[:200], way=factors.PASSKEY)
    return sessions.open_session(operator_id)


def prove(purpose: str, operator_id: UUID, answer: str) -> None:
    """Check what somebody known has signed. Raises `PasskeyRefused`."""
    _checked(answer, purpose, operator_id)


def _checked(answer: str, purpose: str, operator_id: UUID | None) -> UUID:
    """Whose passkey this answer is of, its counter moved; the row is locked. Raises `PasskeyRefused`."""
    signed = signing.signed(answer, lambda challenge: _spent(challenge, purpose, operator_id))
    with connected() as connection:
        key = connection.execute(
            "SELECT id, operator_id, public_key, sign_count FROM operator_passkeys"
            " WHERE credential_id = %s AND operator_id = coalesce(%s, operator_id) FOR UPDATE",
            (signed.credential.raw_id, operator_id),
        ).fetchone()
        if key is None:
            raise signing.refused()
        count = signing.counted(signed, key.public_key, key.sign_count)
        connection.execute(
            "UPDATE operator_passkeys SET sign_count = %s, last_used_at = clock_timestamp() WHERE id = %s",
            (count, key.id),
        )
    owner: UUID = key.operator_id
    return owner


def _named(email: str) -> UUID | None:
    try:
        mail = clean_email(email)
    except InvalidEmail:
        return None
    with connected() as connection:
        row = connection.execute("SELECT id FROM operators WHERE email = %s", (mail,)).fetchone()
    return row.id if row else None


def _asked(purpose: str, operator_id: UUID | None) -> bytes:
    challenge = secrets.token_bytes(signing.QUESTION_BYTES)
    with connected() as connection:
        connection.execute("DELETE FROM operator_challenges WHERE expires_at < clock_timestamp()")
        connection.execute(
            "INSERT INTO operator_challenges (challenge, purpose, operator_id, expires_at)"
            " VALUES (%s, %s, %s, clock_timestamp() + %s)",
            (challenge, purpose, operator_id, LIFE),
        )
    return challenge


def _spent(challenge: bytes, purpose: str, operator_id: UUID | None) -> bool:
    with connected() as connection:
        return bool(
            connection.execute(
                "DELETE FROM operator_challenges WHERE challenge = %s AND purpose = %s"
                " AND operator_id IS NOT DISTINCT FROM %s::uuid AND expires_at > clock_timestamp()",
                (challenge, purpose, operator_id),
            ).rowcount
        )
