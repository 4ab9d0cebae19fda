"""Passkeys (WebAuthn): made, used at the door with or without a name, as second factor, and to confirm (security.md 7).

A passkey is bound to the host it was made on and opens only with the device's own check (finger, face or PIN), so it is
two factors at once. Each question to a browser is kept for five minutes and answered once, whatever the answer.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g, request
from flask_babel import gettext
from sqlalchemy import select, update
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from portal.extensions import db
from portal.identity import access, factors, queries, second, sessions
from portal.identity.events import FactorAdded
from portal.identity.models import TwoFactorMethod, User
from portal.kernel.commands import command, journal
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id
from portal.kernel.side import side_transaction
from portal.settings import settings

REGISTER, SIGN_IN, SECOND, CONFIRM = "register", "sign_in", "second", "confirm"
LIFE = timedelta(minutes=5)
LARGEST = 20_000  # characters of an answer; real ones have about a thousand
MOST = 20  # passkeys a person may keep
_KEEP = (
    "INSERT INTO passkey_challenges (tenant_id, id, challenge, purpose, user_id, expires_at)"
    " VALUES (:tenant, :id, :challenge, :purpose, :user, clock_timestamp() + cast(:life AS interval))"
)
_SWEEP = "DELETE FROM passkey_challenges WHERE tenant_id = :tenant AND expires_at < clock_timestamp()"
_SPEND = (
    "DELETE FROM passkey_challenges WHERE tenant_id = :tenant AND challenge = :challenge AND purpose = :purpose"
    " AND user_id IS NOT DISTINCT FROM cast(:user AS uuid) AND expires_at > clock_timestamp() RETURNING id"
)


MALFORMED = (WebAuthnException, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a browser signed, and the question it answers."""

    credential: AuthenticationCredential
    challenge: bytes


class PasskeyRefused(PortalError):
    """The browser's answer does not fit: another host, an old question, an unknown key, or no finger shown."""

    code = "passkey.refused"


def to_register(member: User) -> str:
    """The question for a new passkey, as JSON for the browser."""
    known = [method for method in factors.methods(member.id) if method.kind == factors.PASSKEY]
    if len(known) >= MOST:
        raise PasskeyRefused(gettext("You have %(count)s passkeys; remove one first.", count=MOST))
    options = generate_registration_options(
        rp_id=rp_id(),
        rp_name=g.tenant.name,
        user_id=member.id.bytes,
        user_name=member.email or member.phone or member.card_number,
        user_display_name=member.name,
        challenge=_asked(REGISTER, member.id),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=method.credential_id) for method in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )
    return options_to_json(options)


def to_sign_in(identifier: str = "") -> str:
    """The question at the door. With a name it lists that account's passkeys, or, so that nobody learns who has an
    account or a passkey, one that does not exist (S7).
    """
    typed = identifier.strip()
    account = queries.account(typed) if typed else None
    allowed = _allowed(account.id) if account else []
    if typed and not allowed:
        secret = hashlib.sha256(f"no passkey/{settings().SECRET_KEY}".encode()).digest()
        made_up = hmac.new(secret, f"{g.tenant_id}|{typed.casefold()}".encode(), hashlib.sha256).digest()
        allowed = [PublicKeyCredentialDescriptor(id=made_up)]
    return _to_use(SIGN_IN, None, allowed)


def to_prove(purpose: str, user_id: UUID) -> str:
    """The question to somebody known: as second factor, or before something that matters."""
    return _to_use(purpose, user_id, _allowed(user_id))


def add(user_id: UUID, answer: str, name: str) -> list[str]:
    """Keep a new passkey. Returns new recovery codes, if there were none. Raises `PasskeyRefused`."""
    try:
        credential = parse_registration_credential_json(_read(answer))
        made = verify_registration_response(
            credential=credential,
            expected_challenge=_answered(credential.response.client_data_json, REGISTER, user_id),
            expected_rp_id=rp_id(),
            expected_origin=_origin(),
            require_user_verification=True,
        )
    except MALFORMED as error:
        raise _refused() from error
    transports = ",".join(t.value for t in credential.response.transports or [])
    return _add(user_id, made, transports, name.strip()[: factors.LONGEST_NAME] or gettext("Passkey"))


@command("factor.add_passkey", emits=(FactorAdded,))
def _add(user_id: UUID, made: VerifiedRegistration, transports: str, name: str) -> list[str]:
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
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            transports=transports,
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
        raise _refused()
    with sessions.acting_as(owner, "member"):
        return _open(signed, owner, user_agent=user_agent, ip=ip, replaces=replaces)


@command("session.open")
def _open(signed: Signed, user_id: UUID, *, user_agent: str, ip: str, replaces: UUID | None) -> str:
    _check(signed, user_id)
    member = db.session.scalars(select(User).where(User.id == user_id, *queries.listed())).one_or_none()
    if member is None:
        raise _refused()
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


def rp_id() -> str:
    """The host that passkeys of this request belong to: the one in the address line, which is a tenant's own."""
    return request.host.partition(":")[0].lower()


def _check(signed: Signed, user_id: UUID) -> None:
    """Verify an answer of this member's passkey and move its counter, inside a command. Raises `PasskeyRefused`.

    The row is locked: of two copies of one key the second one's counter is behind.
    """
    own = TwoFactorMethod
    key = db.session.execute(
        select(own.id, own.public_key, own.sign_count)
        .where(own.credential_id == signed.credential.raw_id, own.user_id == user_id, own.kind == factors.PASSKEY)
        .with_for_update()
    ).one_or_none()
    if key is None:
        raise _refused()
    try:
        seen = verify_authentication_response(
            credential=signed.credential,
            expected_challenge=signed.challenge,
            expected_rp_id=rp_id(),
            expected_origin=_origin(),
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    except MALFORMED as error:
        raise _refused() from error
    db.session.execute(
        update(own).where(own.id == key.id).values(sign_count=seen.new_sign_count, last_used_at=sessions.real_now())
    )


def _signed(answer: str, purpose: str, user_id: UUID | None) -> Signed:
    """The browser's answer, its question used up. Raises `PasskeyRefused`."""
    try:
        credential = parse_authentication_credential_json(_read(answer))
        return Signed(credential, _answered(credential.response.client_data_json, purpose, user_id))
    except MALFORMED as error:
        raise _refused() from error


def _to_use(purpose: str, user_id: UUID | None, allowed: list[PublicKeyCredentialDescriptor]) -> str:
    return options_to_json(
        generate_authentication_options(
            rp_id=rp_id(),
            challenge=_asked(purpose, user_id),
            allow_credentials=allowed,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def _allowed(user_id: UUID) -> list[PublicKeyCredentialDescriptor]:
    own = TwoFactorMethod
    rows = db.session.execute(
        select(own.credential_id, own.transports).where(
            own.user_id == user_id, own.kind == factors.PASSKEY, own.rp_id == rp_id()
        )
    )
    known = {transport.value for transport in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=row.credential_id,
            transports=[AuthenticatorTransport(t) for t in row.transports.split(",") if t in known] or None,
        )
        for row in rows
    ]


def _asked(purpose: str, user_id: UUID | None) -> bytes:
    """A new question, kept until it is answered; it writes on the side, since asking is no act of anybody's."""
    challenge = secrets.token_bytes(32)
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


def _answered(client_data: bytes, purpose: str, user_id: UUID | None) -> bytes:
    """The question that was answered, used up by this. Raises `PasskeyRefused` for an unknown, old or foreign one."""
    challenge = parse_client_data_json(client_data).challenge
    db.session.rollback()
    values = {"tenant": g.tenant_id, "challenge": challenge, "purpose": purpose, "user": user_id}
    if not side_transaction(_SPEND, values):
        raise PasskeyRefused(gettext("That took too long. Try again."))
    return challenge


def _read(answer: str) -> dict[str, Any]:
    if len(answer) > LARGEST:
        raise _refused()
    try:
        raw = json.loads(answer)
    except ValueError as error:
        raise _refused() from error
    if not isinstance(raw, dict):
        raise _refused()
    return raw


def _origin() -> str:
    return f"{request.scheme}://{request.host}"


def _refused() -> PasskeyRefused:
    return PasskeyRefused(gettext("This passkey was not accepted. Nothing has changed; try again or use another way."))
