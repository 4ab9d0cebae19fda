"""The third place that commits: one statement beside a command or in its place, for counters and traces (D7)."""

import re
from typing import Any

from flask import g
from sqlalchemy import Result, text

from portal.extensions import db
from portal.kernel.journal import journal
from portal.kernel.primaries import own_transaction
from portal.kernel.turns import LOCK

SIDE_TABLES = {
    "device_sessions",
    "login_failures",
    "otp_attempts",
    "one_time_codes",
    "password_resets",
    "invitations",
    "passkey_challenges",
    "telegram_logins",
    "bot_sessions",
    "bot_dialogs",
    "api_key_uses",
    "notification_states",
}
TABLE = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)", re.I)


def side_transaction(statement: str, parameters: dict[str, Any], *, alone: str | None = None) -> list[Any]:
    """Run one write on one of `SIDE_TABLES` and commit it, whatever the command around it does.

    `alone` names a lock under which it runs: what others wrote under the same one is there already. Returns the rows of its
    RETURNING clause. Raises ValueError for any other table.
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
            if alone is not None:
                connection.execute(LOCK, {"key": alone})
            result: Result[Any] = connection.execute(text(statement), parameters)
            return list(result) if getattr(result, "returns_rows", False) else []
    finally:
        g.side = before


def instead(statement: str, parameters: dict[str, Any]) -> None:
    """Commit this one write on one of `SIDE_TABLES` in place of the command around it, which has written nothing and is refused next.

    On the command's own connection, whose row locks hold until it is counted: callers at the same moment come one after the
    other, and nobody waits for a second connection while holding one. Raises ValueError as `side_transaction`, or after a write.
    """
    named = TABLE.match(statement)
    if named is None or named[1] not in SIDE_TABLES:
        raise ValueError(f"only {', '.join(sorted(SIDE_TABLES))} are written on the side")
    if journal().changes or journal().events:
        raise ValueError("the command has written already")
    db.session.execute(text(statement), parameters)
    db.session.commit()
