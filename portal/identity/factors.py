"""Second factors: passkeys, an authenticator app, codes by mail or SMS, and ten recovery codes (2FA-1, security.md 7).

What a member has decides whether a new session is half or full (S4); the tenant says which roles must have one.
"""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pyotp
from flask import g
from flask_babel import gettext
from sqlalchemy import delete, func, insert, select, update

from portal.extensions import db
from portal.identity import codes, passwords, queries, sessions
from portal.identity.events import FactorAdded, FactorRemoved, RecoveryCodeUsed
from portal.identity.models import ContactChange, RecoveryCode, TwoFactorMethod, User
from portal.kernel import vault
from portal.kernel.authz import BUSINESS_ROLES, TENANT_ROLES
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import Conflict, NotFound, PortalError
from portal.kernel.model import new_id

PASSKEY, APP, EMAIL, SMS, RECOVERY, PASSWORD = "passkey", "totp", "email", "sms", "recovery", "password"
CODES = {EMAIL, SMS}
BY_CODE = "otp-"  # and the channel: how a session was opened by a code
SETTING_UP, SIGNING_IN = "factor", "second"  # what a code that was sent is for
FREEZE = timedelta(hours=24)
STEP, DRIFT = 30, 1  # seconds of a code; steps that a telephone's clock may be off
SECRET_BASE32 = 32  # characters: 160 bits
RECOVERY_COUNT, RECOVERY_BYTES = 10, 10  # codes, bytes of each: 80 bits
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 signs, none of them taken for another
LONGEST_NAME = 60
REQUIRED = "required"
FROZEN_ROLES = {*BUSINESS_ROLES, *TENANT_ROLES}
STRONG_FIRST = {"admin", "finance", "owner", "manager"}  # whom a passkey is offered before all else
_PLACE = {"table": "two_factor_methods", "column": "secret"}


class WrongCode(PortalError):
    """The code does not fit, or was used already."""

    code = "factor.wrong_code"


class AlreadyThere(Conflict):
    """There is one of this kind already."""

    code = "factor.already_there"


class StillNeeded(PortalError):
    """The last second factor of somebody whose role must have one."""

    code, status = "factor.still_needed", 409


@dataclass(frozen=True, slots=True)
class Setup:
    """An app being set up: the secret as people type it, and the address inside the QR code."""

    secret: str
    uri: str


def methods(user_id: UUID) -> list[Any]:
    """A member's second factors, the oldest first; without one that was never tried."""
    own = TwoFactorMethod
    columns = (own.id, own.kind, own.name, own.credential_id, own.rp_id, own.created_at, own.last_used_at)
    return list(
        db.session.execute(
            select(*columns).where(own.user_id == user_id, own.confirmed_at.is_not(None)).order_by(own.created_at)
        )
    )


def required(roles: Iterable[str]) -> bool:
    """Whether the tenant wants a second factor of one of these roles, its own ones by id; `member` is everybody's.

    One of the tenant's own that nothing was said of counts as admin.
    """
    wanted = g.tenant.settings.get("second_factor", {})
    said = (wanted.get(role, None if role in FROZEN_ROLES else wanted.get("admin")) for role in roles)
    return REQUIRED in {*said, wanted.get("member")}


def second_is_due(member: User, amr: str, roles: Iterable[str]) -> bool:
    """Whether somebody who came in by `amr` has still to show, or to make, a second factor."""
    if amr == "swk":
        return False  # a passkey is two: the device, and the finger or PIN that opened it
    return bool(ways(member.id, amr, member.password_hash)) or required(roles)


def ways(user_id: UUID, amr: str, password_hash: str | None = None) -> set[str]:
    """The kinds by which the second factor can be shown; empty when the member has none.

    The channel whose code opened the door is no second factor, the other one is; with nothing else the password is one.
    """
    kinds = {method.kind for method in methods(user_id)}
    if not amr.startswith(BY_CODE) or not kinds:
        return kinds
    return (kinds - {amr.removeprefix(BY_CODE)}) or ({PASSWORD} if password_hash else set())


def ways_again(member: User) -> set[str]:
    """The kinds by which a member shows once more who they are; a code only to those who have nothing stronger (2FA-1).

    Who has neither password nor factor gets the code to a contact that is proved; empty where there is none either.
    """
    kinds = {method.kind for method in methods(member.id)}
    strong = (kinds - CODES) | ({PASSWORD} if member.password_hash else set())
    proved = {EMAIL: member.email_confirmed_at, SMS: member.phone_confirmed_at}
    return strong or kinds or {kind for kind, at in proved.items() if at and codes.offered(kind)}


def by_code(channel: str) -> str:
    """The `amr` of a session that a code opened, with the channel by which it came: otp-email, otp-sms, or tg."""
    return "tg" if channel == codes.TELEGRAM else BY_CODE + channel


@command("factor.start_app")
def start_app(user_id: UUID) -> None:
    """A new secret for an authenticator app; one that was shown and never tried is dropped. Raises `AlreadyThere`."""
    app = _app(user_id)
    if app is not None and app.confirmed_at is not None:
        raise AlreadyThere(gettext("An app is set up already. Remove it to set up another."))
    db.session.execute(delete(TwoFactorMethod).where(TwoFactorMethod.user_id == user_id, TwoFactorMethod.kind == APP))
    method_id = new_id()
    db.session.add(
        TwoFactorMethod(
            id=method_id,
            user_id=user_id,
            kind=APP,
            secret=vault.seal(pyotp.random_base32(SECRET_BASE32), **_PLACE, row=method_id, subject=user_id),
            created_at=sessions.real_now(),
        )
    )
    journal().about("member", user_id)


def setup(user_id: UUID, account: str) -> Setup | None:
    """The app that is being set up, `account` being what it will call this account; None when there is none."""
    app = _app(user_id)
    if app is None or app.confirmed_at is not None:
        return None
    secret = _secret(app)
    return Setup(secret, pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=g.tenant.name))


@command("factor.confirm_app", emits=(FactorAdded,))
def confirm_app(user_id: UUID, typed: str) -> list[str]:
    """The app shows the right code: from now on it is asked for. Returns new recovery codes, if there were none.

    Raises `WrongCode`, and `NotFound` when none is being set up.
    """
    app = _app(user_id)
    if app is None or app.confirmed_at is not None:
        raise NotFound(gettext("Start again: the picture was too old."))
    step = _step_of(_secret(app), typed)
    if step is None:
        raise _wrong()
    now = sessions.real_now()
    db.session.execute(
        update(TwoFactorMethod).where(TwoFactorMethod.id == app.id).values(confirmed_at=now, last_step=step)
    )
    return added(user_id, app.id, APP)


def added(user_id: UUID, method_id: UUID, kind: str, name: str = "") -> list[str]:
    """Inside the command that made a second factor: tell its owner, and give them recovery codes with the first."""
    journal().about("member", user_id)
    emit(FactorAdded(member_id=user_id, method_id=method_id, kind=kind, name=name))
    return [] if codes_left(user_id) is not None else _new_codes(user_id)


@command("factor.add_codes", emits=(FactorAdded,))
def add_codes(user_id: UUID, challenge_id: UUID, typed: str) -> list[str]:
    """Codes by mail or SMS as second factor, after one has arrived. Returns new recovery codes, if there were none.

    Raises `codes.WrongCode` and `AlreadyThere`.
    """
    arrived = codes.redeem(challenge_id, typed, purpose=SETTING_UP)
    if arrived.member_id != user_id or arrived.channel not in CODES:
        raise _wrong()
    _lock(user_id)
    if any(method.kind == arrived.channel for method in methods(user_id)):
        raise AlreadyThere(gettext("This is removed or added already. Load the page again."))
    now, method_id = sessions.real_now(), new_id()
    db.session.add(
        TwoFactorMethod(id=method_id, user_id=user_id, kind=arrived.channel, created_at=now, confirmed_at=now)
    )
    db.session.flush()
    return added(user_id, method_id, arrived.channel)


def send_code(user_id: UUID, kind: str, purpose: str) -> UUID:
    """Send a code to the member's own e-mail or phone; returns the challenge's id.

    Raises `NotFound` without such a contact and `codes.TooManyCodes`.
    """
    target = contact(user_id, kind)
    if target is None or not codes.offered(kind):
        raise NotFound(gettext("No code can be sent there."))
    return codes.issue(purpose, kind, target, member_id=user_id)


def contact(user_id: UUID, kind: str) -> str | None:
    """Where codes of this kind go."""
    row = db.session.execute(select(User.email, User.phone).where(User.id == user_id)).one()
    target: str | None = row.email if kind == EMAIL else row.phone
    return target


def frozen_until(user_id: UUID) -> datetime | None:
    """Until when nothing is paid out, because a contact was changed less than a day ago (2FA-1); None: nothing is held."""
    last = db.session.scalar(select(func.max(ContactChange.changed_at)).where(ContactChange.member_id == user_id))
    until = last + FREEZE if last is not None else None
    return until if until is not None and until > sessions.real_now() else None


@command("factor.rename")
def rename(user_id: UUID, method_id: UUID, name: str) -> None:
    """Call a passkey something; without a name it keeps its own. Raises `NotFound`."""
    found = db.session.scalar(
        update(TwoFactorMethod)
        .where(TwoFactorMethod.id == method_id, TwoFactorMethod.user_id == user_id, TwoFactorMethod.kind == PASSKEY)
        .values(name=name.strip()[:LONGEST_NAME] or TwoFactorMethod.name)
        .returning(TwoFactorMethod.id)
    )
    if found is None:
        raise NotFound(gettext("This passkey is gone."))
    journal().about("member", user_id)


@command("factor.remove", emits=(FactorRemoved,))
def remove(user_id: UUID, method_id: UUID) -> None:
    """Take a second factor away; with the last one the recovery codes go too. Raises `NotFound` and `StillNeeded`."""
    _lock(user_id)
    left = {method.id: method for method in methods(user_id)}
    gone = left.pop(method_id, None)
    if gone is None:
        raise NotFound(gettext("This is removed already."))
    if not left and required(queries.role_keys(user_id)):
        raise StillNeeded(gettext("Your role here needs a second factor. Add another one first, then remove this one."))
    db.session.execute(delete(TwoFactorMethod).where(TwoFactorMethod.id == method_id))
    if not left:
        db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    journal().about("member", user_id)
    emit(FactorRemoved(member_id=user_id, method_id=method_id, kind=gone.kind, name=gone.name))


@command("factor.renew_codes")
def renew_codes(user_id: UUID) -> list[str]:
    """Ten new recovery codes; the old ones open nothing any more. Raises `NotFound` without a second factor."""
    _lock(user_id)
    if not methods(user_id):
        raise NotFound(gettext("Recovery codes come with a passkey, an app or codes; add one first."))
    journal().about("member", user_id)
    return _new_codes(user_id)


def codes_left(user_id: UUID) -> int | None:
    """How many recovery codes are unused; None when none were made."""
    rows = db.session.execute(select(RecoveryCode.used_at).where(RecoveryCode.user_id == user_id)).all()
    return sum(row.used_at is None for row in rows) if rows else None


def prove(user_id: UUID, way: str, typed: str, challenge_id: UUID | None = None) -> None:
    """Inside a command and first in it: check what was typed for `way` and use it up. Raises `WrongCode`.

    `challenge_id` names the code that was sent, where one was.

    A code of the app counts once: the row is updated only where its step is older, so of two tries with one code the
    database lets one through (S5, R19).
    """
    if way in CODES:
        if challenge_id is None:
            raise WrongCode(gettext("Ask for a code first."))
        arrived = codes.redeem(challenge_id, typed, purpose=SIGNING_IN)
        if (arrived.member_id, arrived.channel) != (user_id, way):
            raise _wrong()
        _used(user_id, way)
        return
    checks = {APP: _use_app, RECOVERY: _use_recovery, PASSWORD: _check_password}
    checks[way](user_id, typed)


def _use_app(user_id: UUID, typed: str) -> None:
    app = _app(user_id)
    step = _step_of(_secret(app), typed) if app is not None and app.confirmed_at is not None else None
    if app is None or step is None:
        raise _wrong()
    own = TwoFactorMethod
    used = (
        update(own)
        .where(own.id == app.id, own.last_step < step)
        .values(last_step=step, last_used_at=sessions.real_now())
        .returning(own.id)
    )
    if db.session.scalar(used) is None:
        raise WrongCode(gettext("This code was used already. Wait for the next one; it comes within 30 seconds."))


def _used(user_id: UUID, kind: str) -> None:
    own = TwoFactorMethod
    db.session.execute(
        update(own).where(own.user_id == user_id, own.kind == kind).values(last_used_at=sessions.real_now())
    )


def _use_recovery(user_id: UUID, typed: str) -> None:
    own = RecoveryCode
    used = (
        update(own)
        .where(own.user_id == user_id, own.code_hash == _code_hash(user_id, typed), own.used_at.is_(None))
        .values(used_at=sessions.real_now())
        .returning(own.id)
    )
    if db.session.scalar(used) is None:
        raise WrongCode(gettext("This recovery code does not fit, or was used already."))
    emit(RecoveryCodeUsed(member_id=user_id, left=codes_left(user_id) or 0))


def _check_password(user_id: UUID, typed: str) -> None:
    stored = db.session.scalar(select(User.password_hash).where(User.id == user_id))
    if not passwords.matches(stored, typed):
        raise WrongCode(gettext("This is not your password."))


def _step_of(secret: str, typed: str) -> int | None:
    return step_of(secret, typed, sessions.real_now())


def step_of(secret: str, typed: str, now: datetime) -> int | None:
    """The step whose code this is, the present one first, then one back and one ahead (RFC 6238 5.2)."""
    digits = "".join(sign for sign in typed if sign.isascii() and sign.isdigit())
    present = int(now.timestamp()) // STEP
    app = pyotp.TOTP(secret)
    return next(
        (present + off for off in (0, -DRIFT, DRIFT) if hmac.compare_digest(app.generate_otp(present + off), digits)),
        None,
    )


def _app(user_id: UUID) -> Any:
    own = TwoFactorMethod
    columns = (own.id, own.secret, own.confirmed_at)
    return db.session.execute(select(*columns).where(own.user_id == user_id, own.kind == APP)).one_or_none()


def _secret(app: Any) -> str:
    return vault.unseal(app.secret, **_PLACE, row=app.id).decode()


def _new_codes(user_id: UUID) -> list[str]:
    codes = made_codes()
    now = sessions.real_now()
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    rows = [
        {
            "tenant_id": g.tenant_id,
            "id": new_id(),
            "user_id": user_id,
            "code_hash": _code_hash(user_id, code),
            "created_at": now,
        }
        for code in codes
    ]
    db.session.execute(insert(RecoveryCode), rows)
    return codes


def made_codes() -> list[str]:
    """Ten new recovery codes as they are shown, once."""
    return [_spoken(secrets.token_bytes(RECOVERY_BYTES)) for _ in range(RECOVERY_COUNT)]


def _spoken(raw: bytes) -> str:
    number = int.from_bytes(raw)
    signs = "".join(ALPHABET[(number >> shift) & 31] for shift in range(0, len(raw) * 8, 5))
    return "-".join(signs[i : i + 4] for i in range(0, len(signs), 4))


def _code_hash(user_id: UUID, code: str) -> str:
    return vault.blind(f"{user_id}|{bare(code)}", "recovery")


def bare(code: str) -> str:
    """A recovery code without what stands between its signs."""
    return "".join(sign for sign in code.lower() if sign in ALPHABET)


def _lock(user_id: UUID) -> None:
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update())


def _wrong() -> WrongCode:
    return WrongCode(gettext("This code does not fit. Type the six digits that the app shows now."))
