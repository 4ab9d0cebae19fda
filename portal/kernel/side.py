"""The third place that commits: one statement on a connection of its own, for counters and traces (D7)."""

import re
from typing import Any

from flask import g
from sqlalchemy import Result, text

from portal.kernel.primaries import own_transaction

SIDE_TABLES = {
    "device_sessions",
    "login_failures",
    "otp_attempts",
    "one_time_codes",
    "password_resets",
    "invitations",
    "api_key_uses",
    "notification_states",
}
TABLE = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)", re.I)


def side_transaction(statement: str, parameters: dict[str, Any]) -> list[Any]:
    """Run one write on one of `SIDE_TABLES` and commit it, whatever the command around it does.

    Returns the rows of its RETURNING clause. Raises ValueError for any other table.
    """
    named = TABLE.match(statement)
    if named is None or named[1] not in SIDE_TABLES:
        raise ValueError(f"only {', '.join(sorted(SIDE_TABLES))} are written on the side")
    before, g.side = g.get("side"), True
    try:
        with own_transaction() as connection:
            connection.execute(
                text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(g.get("tenant_id") or "")}
            )
            result: Result[Any] = connection.execute(text(statement), parameters)
            return list(result) if getattr(result, "returns_rows", False) else []
    finally:
        g.side = before
