"""Operators' sessions: 15 minutes idle, 4 hours in all (D37). The cookie is the same as a member's, on the ops host."""

import secrets
from datetime import timedelta
from uuid import UUID

from portal.identity.person import OperatorPerson
from portal.identity.sessions import token_hash
from portal.platform.database import connected

IDLE, ABSOLUTE = timedelta(minutes=15), timedelta(hours=4)


def find_operator(token: str) -> OperatorPerson | None:
    """Whose session this is; finding it moves its idle end. None for an old, ended or unknown one."""
    with connected() as connection:
        row = connection.execute(
            "UPDATE operator_sessions s SET idle_until = least(s.expires_at, clock_timestamp() + %(idle)s)"
            " FROM operators o WHERE o.id = s.operator_id AND s.token_hash = %(hash)s"
            " AND s.idle_until > clock_timestamp() AND s.expires_at > clock_timestamp() RETURNING o.id, o.name",
            {"idle": IDLE, "hash": token_hash(token)},
        ).fetchone()
    return OperatorPerson(row.id, row.name) if row else None


def open_session(operator_id: UUID) -> str:
    """A new session; returns the cookie's value, which exists nowhere else. Old sessions are swept."""
    token = secrets.token_urlsafe(32)
    with connected() as connection:
        connection.execute("DELETE FROM operator_sessions WHERE expires_at < clock_timestamp()")
        connection.execute(
            "INSERT INTO operator_sessions (token_hash, operator_id, idle_until, expires_at)"
            " VALUES (%s, %s, clock_timestamp() + %s, clock_timestamp() + %s)",
            (token_hash(token), operator_id, IDLE, ABSOLUTE),
        )
    return token


def close_session(token: str) -> None:
    """End a session."""
    with connected() as connection:
        connection.execute("DELETE FROM operator_sessions WHERE token_hash = %s", (token_hash(token),))
