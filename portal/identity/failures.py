"""Failed sign-ins, counted in PostgreSQL: ten in five minutes for an account and for an address (security.md 14).

An attempt is counted before the password is looked at and taken back when it was right, so that fifty attempts at the
same moment are not fifty guesses.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import g
from flask_babel import ngettext
from sqlalchemy import text

from portal.extensions import db
from portal.identity import sessions
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id
from portal.kernel.side import side_transaction

ALLOWED = 10
WINDOW = timedelta(minutes=5)
KEPT = timedelta(days=1)
_INSERT = (
    "INSERT INTO login_failures (tenant_id, id, kind, key, at) VALUES"
    " (:tenant, :account_row, 'account', :account, clock_timestamp()),"
    " (:tenant, :address_row, 'address', :address, clock_timestamp())"
)
_COUNT = text("""
SELECT clock_timestamp() AS now, f.kind, count(*) AS tries,
       (array_agg(f.at ORDER BY f.at DESC))[:allowed] AS blocking
  FROM login_failures f
 WHERE f.tenant_id = :tenant AND f.at > clock_timestamp() - cast(:window AS interval)
   AND ((f.kind = 'account' AND f.key = :account) OR (f.kind = 'address' AND f.key = :address))
   AND f.id NOT IN (:account_row, :address_row)
 GROUP BY f.kind
""")


class TooManyTries(PortalError):
    """Wait; `retry_after` is in seconds."""

    code, status = "too_many_tries", 429

    def __init__(self, seconds: int) -> None:
        minutes = -(-seconds // 60)
        super().__init__(
            ngettext(
                "Too many tries. Wait %(num)s minute and try again; nothing else has changed.",
                "Too many tries. Wait %(num)s minutes and try again; nothing else has changed.",
                minutes,
            ),
            retry_after=max(1, seconds),
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, already counted."""

    values: dict[str, Any]

    def take_back(self) -> None:
        """The password was right: this try and the account's earlier ones are forgotten, and old ones with them."""
        _aside(
            "DELETE FROM login_failures WHERE tenant_id = :tenant AND"
            " ((kind = 'account' AND key = :account) OR id = :address_row OR at < :old)",
            {**self._named("account", "address_row"), "old": sessions.real_now() - KEPT},
        )

    def undo(self) -> None:
        """The try was not let through, so it counts for nothing."""
        _aside(
            "DELETE FROM login_failures WHERE tenant_id = :tenant AND id IN (:account_row, :address_row)",
            self._named("account_row", "address_row"),
        )

    def _named(self, *names: str) -> dict[str, Any]:
        return {name: self.values[name] for name in ("tenant", *names)}


def attempt(account: str, address: str) -> Attempt:
    """Count a try at `account` (an id, or what was typed) from `address`. Raises `TooManyTries` from the 11th on."""
    values = {
        "tenant": g.tenant_id,
        "account_row": new_id(),
        "address_row": new_id(),
        "account": _key(account),
        "address": _key(address),
    }
    counted = Attempt(values)
    _aside(_INSERT, values)
    rows = db.session.execute(_COUNT, {**values, "window": WINDOW, "allowed": ALLOWED}).all()
    full = [row for row in rows if row.tries >= ALLOWED]
    if full:
        counted.undo()
        free_at = max(row.blocking + WINDOW for row in full)
        raise TooManyTries(int((free_at - full[0].now).total_seconds()) + 1)
    return counted


def _aside(statement: str, values: dict[str, Any]) -> None:
    """Write on the side; the session gives its connection back first, so that one request never holds two."""
    db.session.rollback()
    side_transaction(statement, values)


def _key(value: str) -> str:
    return hashlib.sha256(value.casefold().encode()).hexdigest()
