"""Each use of the operator's room leaves a line (D2)."""

from typing import Any
from uuid import UUID

import psycopg
from flask import has_request_context, request
from psycopg.types.json import Jsonb

from portal.kernel.model import new_id
from portal.platform.database import connected

SHOWN = 100


def note(action: str, operator_id: UUID | None, **detail: Any) -> UUID:
    """Write who did what; returns the line's id."""
    with connected() as connection:
        return write(connection, action, operator_id, **detail)


def write(connection: psycopg.Connection[Any], action: str, operator_id: UUID | None, **detail: Any) -> UUID:
    """The same inside a transaction on the primary `main`, so that the act and its line stand or fall together."""
    entry = new_id()
    connection.execute(
        "INSERT INTO platform_audit (id, operator_id, action, detail, ip) VALUES (%s, %s, %s, %s, %s)",
        (entry, operator_id, action, Jsonb(detail), request.remote_addr if has_request_context() else None),
    )
    return entry


def entries(before: int | None = None, *, action: str = "", tenant: str = "") -> list[Any]:
    """The newest lines first, from `before` on; of one action, of one tenant's slug."""
    with connected() as connection:
        return connection.execute(
            "SELECT a.seq, a.action, a.detail, a.ip, a.recorded_at, o.name FROM platform_audit a"
            " LEFT JOIN operators o ON o.id = a.operator_id WHERE (%(before)s::bigint IS NULL OR a.seq < %(before)s)"
            " AND (%(action)s = '' OR a.action = %(action)s) AND (%(tenant)s = '' OR a.detail->>'tenant' = %(tenant)s)"
            " ORDER BY a.seq DESC LIMIT %(limit)s",
            {"before": before, "limit": SHOWN + 1, "action": action, "tenant": tenant},
        ).fetchall()


def actions() -> list[str]:
    """Every act that is in the log."""
    with connected() as connection:
        return [row[0] for row in connection.execute("SELECT DISTINCT action FROM platform_audit ORDER BY action")]
