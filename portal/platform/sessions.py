"""Operators' sessions: 15 minutes idle, 4 hours in all (D37). The cookie is the same as a member's, on the ops host."""

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g

from portal.identity.person import OperatorPerson
from portal.identity.sessions import token_hash
from portal.platform.database import connected

IDLE, ABSOLUTE = timedelta(minutes=15), timedelta(hours=4)


def enter(token: str) -> None:
    """Find whose session this is; that moves its idle end. Half a session makes a stranger, known in `g.half` (S4)."""
    with connected() as connection:
        row = connection.execute(
            "UPDATE operator_sessions s SET idle_until = least(s.expires_at, clock_timestamp() + %(idle)s)"
            " FROM operators o WHERE o.id = s.operator_id AND s.token_hash = %(hash)s"
            " AND s.idle_until > clock_timestamp() AND s.expires_at > clock_timestamp()"
            " RETURNING o.id, o.name, o.email, s.state, s.proved_at, s.token_hash, clock_timestamp() AS now",
            {"idle": IDLE, "hash": token_hash(token)},
        ).fetchone()
    if row is None:
        return
    g.operator_session = row
    if row.state == "half":
        g.half = row
        return
    g.person = OperatorPerson(row.id, row.name)
    g.actor_id, g.actor_kind = row.id, "operator"


def is_fresh(age: timedelta) -> bool:
    """Whether this session's operator showed a factor within `age`."""
    row = g.get("operator_session")
    return (
        row is not None and row.state == "full" and row.proved_at is not None and bool(row.now - row.proved_at <= age)
    )


def proved(session: Any) -> None:
    """A factor was shown once more in this session."""
    with connected() as connection:
        connection.execute(
            "UPDATE operator_sessions SET proved_at = clock_timestamp() WHERE token_hash = %s", (session.token_hash,)
        )


def open_session(operator_id: UUID, *, half: bool = False) -> str:
    """A new session; returns the cookie's value, which exists nowhere else. Old sessions are swept."""
    token = secrets.token_urlsafe(32)
    with connected() as connection:
        connection.execute("DELETE FROM operator_sessions WHERE expires_at < clock_timestamp()")
        connection.execute(
            "INSERT INTO operator_sessions (token_hash, operator_id, idle_until, expires_at, state, proved_at)"
            " VALUES (%s, %s, clock_timestamp() + %s, clock_timestamp() + %s, %s,"
            "         CASE WHEN %s THEN NULL ELSE clock_timestamp() END)",
            (token_hash(token), operator_id, IDLE, ABSOLUTE, "half" if half else "full", half),
        )
    return token


def finish(half: Any) -> str:
    """The second factor was shown: the half session ends, a full one under a new name begins (S2)."""
    with connected() as connection:
        connection.execute("DELETE FROM operator_sessions WHERE token_hash = %s", (half.token_hash,))
    return open_session(half.id)


def close_session(token: str) -> None:
    """End a session."""
    with connected() as connection:
        connection.execute("DELETE FROM operator_sessions WHERE token_hash = %s", (token_hash(token),))
