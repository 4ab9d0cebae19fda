"""The second half of signing in, and showing a factor once more before something that matters (S2, S4, 2FA-1)."""

from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from portal.extensions import db
from portal.identity import access, factors, failures, sessions
from portal.identity.models import DeviceSession, User
from portal.kernel.commands import command, journal


def counted(user_id: UUID, way: str, ip: str) -> failures.Attempt:
    """Count a try before it is looked at; `undo()` it when it was right. Raises `failures.TooManyTries`.

    Passwords are counted with those of the door; a recovery code's 80 bits are guessed by nobody, so only the address
    is held back and whoever used up the day's tries with the app can still come in (S5).
    """
    if way == factors.PASSWORD:
        return failures.attempt(str(user_id), ip)
    account = f"{user_id}|{way}" if way != factors.RECOVERY else f"{user_id}|{ip}|{way}"
    return failures.attempt(account, ip, failures.SECOND)


def enter(half: Any, way: str, typed: str, *, user_agent: str, ip: str, challenge_id: UUID | None = None) -> str:
    """Finish a half session by what was typed; returns the cookie of a new, full one (S2).

    Raises `factors.WrongCode` or `failures.TooManyTries`.
    """
    tried = counted(half.user_id, way, ip)
    with sessions.acting_as(half.user_id, "member"):
        token = _enter(half.user_id, half.id, half.amr, way, typed, challenge_id, user_agent=user_agent, ip=ip)
    tried.undo()
    return token


@command("session.second_factor")
def _enter(
    user_id: UUID, half_id: UUID, amr: str, way: str, typed: str, challenge_id: UUID | None, *, user_agent: str, ip: str
) -> str:
    factors.prove(user_id, way, typed, challenge_id)
    return finish(user_id, half_id, f"{amr}+{way}", user_agent=user_agent, ip=ip)


@command("session.second_factor")
def complete(user_id: UUID, half_id: UUID, amr: str, *, user_agent: str, ip: str) -> str:
    """Finish a half session whose owner has just made their first second factor; returns the cookie of a full one."""
    return finish(user_id, half_id, amr, user_agent=user_agent, ip=ip)


def finish(user_id: UUID, half_id: UUID, amr: str, *, user_agent: str, ip: str) -> str:
    """Inside a command, after the second factor was shown or made: a full session under a new id (S2)."""
    sessions.revoke(half_id)
    journal().about("member", user_id)
    member = db.session.scalars(select(User).where(User.id == user_id)).one()
    return access.open_for(member, user_agent=user_agent, ip=ip, amr=amr, proved=True)


def confirm(
    user_id: UUID, session_id: UUID, way: str, typed: str, *, ip: str, challenge_id: UUID | None = None
) -> None:
    """Show a factor once more: the session is fresh for five minutes. Raises what `enter` raises."""
    tried = counted(user_id, way, ip)
    _confirm(user_id, session_id, way, typed, challenge_id)
    tried.undo()


@command("session.confirm")
def _confirm(user_id: UUID, session_id: UUID, way: str, typed: str, challenge_id: UUID | None) -> None:
    factors.prove(user_id, way, typed, challenge_id)
    proved(user_id, session_id)


def proved(user_id: UUID, session_id: UUID) -> None:
    """Inside a command: this session's owner has just shown a factor."""
    db.session.execute(
        update(DeviceSession)
        .where(DeviceSession.id == session_id, DeviceSession.user_id == user_id)
        .values(proved_at=sessions.real_now())
    )
    journal().about("member", user_id)
