"""Coming in and going out: sign-in, sign-out, and the devices that are signed in. All of it is audited."""

from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.identity import codes, factors, failures, passwords, queries, sessions
from portal.identity.events import MemberLookedAt
from portal.identity.models import DeviceSession, User
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import NotFound, PortalError


class WrongCredentials(PortalError):
    """No account here has this e-mail or phone with this password; which of them is wrong is not said."""

    code = "session.wrong_credentials"


class Untouchable(PortalError):
    """This account is nobody's to look into."""

    code, status = "session.untouchable", 403


class Suspended(PortalError):
    """The password was right, but the account is stopped."""

    code, status = "session.suspended", 403


def sign_in(identifier: str, password: str, *, user_agent: str, ip: str, replaces: UUID | None = None) -> str:
    """Check the password and open a session; returns its cookie. `replaces` is the browser's session until now.

    The same work is done and the same answer given for an unknown account (S7). Raises `WrongCredentials`,
    `Suspended` or `failures.TooManyTries`.
    """
    found = queries.account(identifier)
    counted = failures.attempt(str(found.id) if found else identifier.strip(), ip)
    if not passwords.matches(found.password_hash if found else None, password):
        raise WrongCredentials(gettext("E-mail, phone or password is wrong."))
    counted.take_back()
    if found.suspended_at is not None:
        raise Suspended(gettext("This account is suspended: %(reason)s", reason=found.suspended_reason or "…"))
    with sessions.acting_as(found.id, "member"):
        renewed = passwords.hashed(password) if passwords.outdated(found.password_hash) else None
        return _open(found.id, user_agent=user_agent, ip=ip, renewed=renewed, replaces=replaces)


@command("session.open")
def _open(user_id: UUID, *, user_agent: str, ip: str, renewed: str | None, replaces: UUID | None) -> str:
    member = db.session.scalars(select(User).where(User.id == user_id)).one()
    if renewed:
        member.password_hash = renewed
    if replaces:
        sessions.revoke(replaces)
    journal().about("member", user_id)
    return open_for(member, user_agent=user_agent, ip=ip)


def sign_in_by_code(
    challenge_id: UUID, typed: str, *, purpose: str, user_agent: str, ip: str, replaces: UUID | None = None
) -> str:
    """Open a session by a one-time code; returns its cookie. Raises `codes.WrongCode`, `Suspended`, `TooManyTries`."""
    counted = failures.attempt(str(challenge_id), ip)
    token = _open_by_code(challenge_id, typed, purpose, user_agent=user_agent, ip=ip, replaces=replaces)
    counted.take_back()
    return token


@command("session.open")
def _open_by_code(
    challenge_id: UUID, typed: str, purpose: str, *, user_agent: str, ip: str, replaces: UUID | None
) -> str:
    proved = codes.redeem(challenge_id, typed, purpose=purpose)
    account = queries.account(proved.target)
    if account is None or proved.member_id not in {None, account.id}:
        raise codes.WrongCode  # the contact went to somebody else meanwhile
    if account.suspended_at is not None:
        raise Suspended(gettext("This account is suspended: %(reason)s", reason=account.suspended_reason or "…"))
    g.actor_id, g.actor_kind = account.id, "member"
    member = db.session.scalars(select(User).where(User.id == account.id)).one()
    if replaces:
        sessions.revoke(replaces)
    if proved.channel in {codes.EMAIL, codes.SMS}:
        confirm(member, proved.target)
    journal().about("member", member.id)
    return open_for(member, user_agent=user_agent, ip=ip, amr=factors.by_code(proved.channel))


def confirm(member: User, contact: str) -> None:
    """This contact of the member's was just proved to be theirs, inside a command."""
    if contact == member.email and member.email_confirmed_at is None:
        member.email_confirmed_at = sessions.real_now()
    if contact == member.phone and member.phone_confirmed_at is None:
        member.phone_confirmed_at = sessions.real_now()


def open_for(member: User, *, user_agent: str, ip: str, amr: str = "pwd", proved: bool = False) -> str:
    """A new session for this member, inside a command; its life depends on their roles (D37).

    It is a half one while a second factor is due (S4), which `amr` and the member's factors decide; `proved` says that
    the member has shown both already.
    """
    roles = queries.role_keys(member.id)
    return sessions.open_session(
        member.id,
        auth_epoch=member.auth_epoch or 0,
        kind=sessions.kind_of(roles, []),
        user_agent=user_agent,
        ip=ip,
        now=sessions.real_now(),
        amr=amr,
        half=not proved and factors.second_is_due(member, amr, roles),
    )


@command("session.open")
def admit(user_id: UUID, *, user_agent: str, ip: str, amr: str = "pwd") -> str:
    """A session for somebody who has shown who they are by `amr`: pwd, otp-email, otp-sms, tg, swk; returns its cookie."""
    journal().about("member", user_id)
    member = db.session.scalars(select(User).where(User.id == user_id)).one()
    return open_for(member, user_agent=user_agent, ip=ip, amr=amr)


@command("session.look", emits=(MemberLookedAt,))
def look(member_id: UUID, *, by: UUID, reason: str, user_agent: str, ip: str) -> str:
    """A session in which support sees the member's own pages and changes nothing; returns its cookie (S14).

    The member is told. Raises `service.ReasonMissing`, `service.OwnAccount`, and `Untouchable` for somebody with a
    role over the community.
    """
    from portal.identity import service

    if not reason.strip():
        raise service.ReasonMissing(gettext("Say why; the member reads it."))
    if member_id == by:
        raise service.OwnAccount(gettext("This is your own account."))
    member = service.locked(member_id)
    if queries.tenant_roles(member_id):
        raise Untouchable(gettext("Nobody looks through the eyes of somebody who works for the community."))
    if member.suspended_at is not None:
        raise Suspended(gettext("This account is suspended: %(reason)s", reason=member.suspended_reason or "…"))
    journal().about("member", member_id)
    journal().reason(reason.strip())
    emit(MemberLookedAt(member_id=member_id, by=by, reason=reason.strip()))
    return sessions.open_session(
        member_id,
        auth_epoch=member.auth_epoch or 0,
        kind="looking",
        user_agent=user_agent,
        ip=ip,
        now=sessions.real_now(),
        amr="support",
        impersonator_id=by,
    )


@command("session.stop_looking")
def stop_looking(member_id: UUID, session_id: UUID) -> None:
    """End what `look` began."""
    sessions.revoke(session_id)
    journal().about("member", member_id)


@command("session.close")
def sign_out(user_id: UUID, session_id: UUID) -> None:
    """End the session of this browser."""
    sessions.revoke(session_id)
    journal().about("member", user_id)


@command("session.revoke")
def revoke(user_id: UUID, session_id: UUID) -> None:
    """Sign one device out. Raises `NotFound` for a session of anybody else."""
    own = select(DeviceSession.id).where(DeviceSession.id == session_id, DeviceSession.user_id == user_id)
    if db.session.scalar(own) is None:
        raise NotFound(gettext("This device is not signed in."))
    sessions.revoke(session_id)
    journal().about("member", user_id)


@command("session.revoke_others")
def revoke_others(user_id: UUID, keep: UUID) -> int:
    """Sign every other device out; returns how many there were."""
    count = sessions.revoke_all(user_id, but=keep)
    journal().about("member", user_id)
    if not count:
        journal().unchanged()
    return count


def current_session_id() -> UUID | None:
    """The session of this request, if somebody is signed in."""
    row: Any = g.get("device_session")
    return row.id if row is not None else None
