"""Operators' sessions: 15 minutes idle, 4 hours in all (D37). The cookie is the same as a member's, on the ops host."""

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g, request
from flask_babel import gettext

from portal.identity.person import OperatorPerson
from portal.identity.service import SignedOutMeanwhile
from portal.identity.sessions import token_hash
from portal.kernel.errors import NotFound
from portal.kernel.model import new_id
from portal.platform import audit
from portal.platform.database import connected
from portal.web.client import client_address

LONGEST_AGENT = 400
IDLE, ABSOLUTE = timedelta(minutes=15), timedelta(hours=4)


def enter(token: str) -> None:
    """Find whose session this is; that moves its idle end. Half a session makes a stranger, known in `g.half` (S4)."""
    with connected() as connection:
        row = connection.execute(
            "UPDATE operator_sessions s SET idle_until = least(s.expires_at, clock_timestamp() + %(idle)s),"
            " last_seen_at = clock_timestamp()"
            " FROM operators o WHERE o.id = s.operator_id AND s.token_hash = %(hash)s"
            " AND s.idle_until > clock_timestamp() AND s.expires_at > clock_timestamp()"
            " RETURNING o.id, o.name, o.email, s.id AS session_id, s.state, s.proved_at, s.token_hash, clock_timestamp() AS now",
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
            "INSERT INTO operator_sessions"
            " (token_hash, id, operator_id, user_agent, ip, idle_until, expires_at, state, proved_at)"
            " VALUES (%s, %s, %s, %s, %s, clock_timestamp() + %s, clock_timestamp() + %s, %s,"
            "         CASE WHEN %s THEN NULL ELSE clock_timestamp() END)",
            (
                token_hash(token),
                new_id(),
                operator_id,
                request.user_agent.string[:LONGEST_AGENT],
                client_address(),
                IDLE,
                ABSOLUTE,
                "half" if half else "full",
                half,
            ),
        )
    return token


def finish(half: Any) -> str:
    """The second factor was shown: the half session ends, a full one under a new name begins (S2).

    Raises `SignedOutMeanwhile` when it was ended from another browser.
    """
    with connected() as connection:
        ended = connection.execute("DELETE FROM operator_sessions WHERE token_hash = %s", (half.token_hash,)).rowcount
    if not ended:
        raise SignedOutMeanwhile(gettext("You were signed out meanwhile. Sign in again."))
    return open_session(half.id)


def close_session(token: str) -> None:
    """End a session."""
    with connected() as connection:
        connection.execute("DELETE FROM operator_sessions WHERE token_hash = %s", (token_hash(token),))


def open_ones(operator_id: UUID) -> list[Any]:
    """The browsers that are signed in as an operator, half ones too, the one used last first.

    Rows: id, user_agent, ip, state, created_at, last_seen_at.
    """
    with connected() as connection:
        return connection.execute(
            "SELECT id, user_agent, ip, state, created_at, last_seen_at FROM operator_sessions WHERE operator_id = %s"
            " AND idle_until > clock_timestamp() AND expires_at > clock_timestamp() ORDER BY last_seen_at DESC",
            (operator_id,),
        ).fetchall()


def end(operator_id: UUID, session_id: UUID) -> None:
    """Sign one browser of an operator out. Raises `NotFound` for a session of anybody else, and one that is over."""
    with connected() as connection:
        gone = connection.execute(
            "DELETE FROM operator_sessions WHERE operator_id = %s AND id = %s", (operator_id, session_id)
        ).rowcount
        if not gone:
            raise NotFound(gettext("This device is not signed in."))
        audit.write(connection, "operator.end_sessions", operator_id, number=gone)


def end_others(operator_id: UUID, keep: UUID) -> int:
    """Sign every browser of an operator but one out; returns how many there were."""
    with connected() as connection:
        gone = connection.execute(
            "DELETE FROM operator_sessions WHERE operator_id = %s AND id <> %s", (operator_id, keep)
        ).rowcount
        if gone:
            audit.write(connection, "operator.end_sessions", operator_id, number=gone)
    return gone
