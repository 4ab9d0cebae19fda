"""What a browser signs with a passkey (WebAuthn): the questions to it and the check of its answers (security.md 7).

Whose passkeys these are and where they lie is for the caller to say: a member's in their tenant
(portal/identity/passkeys.py), an operator's beside the operators (portal/platform/passkeys.py). A passkey is bound to
the host it was made on and opens only with the device's own check (finger, face or PIN), so it is two factors at once.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Response, abort, request
from flask_babel import gettext
from flask_login import current_user
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

from portal.kernel.errors import PortalError

REGISTER, SIGN_IN, SECOND, CONFIRM = "register", "sign_in", "second", "confirm"
LIFE = timedelta(minutes=5)
QUESTION_BYTES = 32
LARGEST = 20_000  # characters of an answer; real ones have about a thousand
MOST = 20  # passkeys a person may keep
MALFORMED = (WebAuthnException, ValueError, KeyError, TypeError)


class PasskeyRefused(PortalError):
    """The browser's answer does not fit: another host, an old question, an unknown key, or no finger shown."""

    code = "passkey.refused"


def question(keys: Any, half: UUID | None, register: Callable[[], str | None]) -> Response:
    """What a browser is asked to sign, as its form's `purpose` says: sign_in (for anybody), second, confirm or register.

    `keys` is the module that knows the passkeys, of members or of operators; `half` whose half session this is; `register`
    gives the question for a new passkey, None to whoever may make none. Anything else is 403.
    """
    purpose = request.form.get("purpose", SIGN_IN)
    body: str | None = None
    if purpose == SIGN_IN:
        body = keys.to_sign_in(request.form.get("email", ""))
    elif purpose == SECOND and half is not None:
        body = keys.to_prove(purpose, half)
    elif purpose == CONFIRM and current_user.is_authenticated:
        body = keys.to_prove(purpose, current_user.id)
    elif purpose == REGISTER:
        body = register()
    if body is None:
        abort(403)
    return Response(body, mimetype="application/json")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a browser signed, and the question it answers."""

    credential: AuthenticationCredential
    challenge: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey as it is kept; `transports` are names with commas between."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: str


def to_register(challenge: bytes, *, site: str, handle: bytes, login: str, name: str, known: list[bytes]) -> str:
    """The question for a new passkey, as JSON for the browser. Raises `PasskeyRefused` for one too many."""
    if len(known) >= MOST:
        raise PasskeyRefused(gettext("You have %(count)s passkeys; remove one first.", count=MOST))
    options = generate_registration_options(
        rp_id=rp_id(),
        rp_name=site,
        user_id=handle,
        user_name=login,
        user_display_name=name,
        challenge=challenge,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )
    return options_to_json(options)


def to_use(challenge: bytes, allowed: Iterable[tuple[bytes, str]]) -> str:
    """The question to somebody with one of these passkeys, (id, transports) each; none: whichever the device has."""
    known = {transport.value for transport in AuthenticatorTransport}
    return options_to_json(
        generate_authentication_options(
            rp_id=rp_id(),
            challenge=challenge,
            allow_credentials=[
                PublicKeyCredentialDescriptor(
                    id=key, transports=[AuthenticatorTransport(t) for t in transports.split(",") if t in known] or None
                )
                for key, transports in allowed
            ],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def made(answer: str, spend: Callable[[bytes], bool]) -> Made:
    """A new passkey from the browser's answer; `spend` uses its question up. Raises `PasskeyRefused`."""
    try:
        credential = parse_registration_credential_json(_read(answer))
        seen = verify_registration_response(
            credential=credential,
            expected_challenge=_answered(credential.response.client_data_json, spend),
            expected_rp_id=rp_id(),
            expected_origin=_origin(),
            require_user_verification=True,
        )
    except MALFORMED as error:
        raise refused() from error
    transports = ",".join(t.value for t in credential.response.transports or [])
    return Made(seen.credential_id, seen.credential_public_key, seen.sign_count, transports)


def signed(answer: str, spend: Callable[[bytes], bool]) -> Signed:
    """The browser's answer, its question used up by `spend`, not yet checked. Raises `PasskeyRefused`."""
    try:
        credential = parse_authentication_credential_json(_read(answer))
        return Signed(credential, _answered(credential.response.client_data_json, spend))
    except MALFORMED as error:
        raise refused() from error


def counted(answer: Signed, public_key: bytes, sign_count: int) -> int:
    """Check an answer by the key that is kept, its row locked; returns the key's new counter. Raises `PasskeyRefused`.

    Of two copies of one key the second one's counter is behind.
    """
    try:
        seen = verify_authentication_response(
            credential=answer.credential,
            expected_challenge=answer.challenge,
            expected_rp_id=rp_id(),
            expected_origin=_origin(),
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except MALFORMED as error:
        raise refused() from error
    return seen.new_sign_count


def rp_id() -> str:
    """The host that passkeys of this request belong to: the one in the address line, which is a tenant's own."""
    return request.host.partition(":")[0].lower()


def refused() -> PasskeyRefused:
    """An answer that does not fit, in words that say nothing of why."""
    return PasskeyRefused(gettext("This passkey was not accepted. Nothing has changed; try again or use another way."))


def _answered(client_data: bytes, spend: Callable[[bytes], bool]) -> bytes:
    """The question that was answered. Raises `PasskeyRefused` for an unknown, old or foreign one."""
    challenge = parse_client_data_json(client_data).challenge
    if not spend(challenge):
        raise PasskeyRefused(gettext("That took too long. Try again."))
    return challenge


def _read(answer: str) -> dict[str, Any]:
    if len(answer) > LARGEST:
        raise refused()
    try:
        raw = json.loads(answer)
    except ValueError as error:
        raise refused() from error
    if not isinstance(raw, dict):
        raise refused()
    return raw


def _origin() -> str:
    return f"{request.scheme}://{request.host}"
