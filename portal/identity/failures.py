"""Failed sign-ins, counted in PostgreSQL: ten in five minutes for an account and for an address (security.md 14).

Second factors have counts of their own: five in five minutes, twenty an hour and fifty a day for a person and a way,
ten in five minutes and fifty an hour for an address (S5).

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
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Rules:
    """How many tries in which time, for whom is tried and for where it comes from; `names` are the counters'."""

    names: tuple[str, str]
    account: tuple[tuple[int, timedelta], ...]
    address: tuple[tuple[int, timedelta], ...]


DOOR = Rules(("account", "address"), ((ALLOWED, WINDOW),), ((ALLOWED, WINDOW),))
SECOND = Rules(("second", "second_address"), ((5, WINDOW), (20, HOUR), (50, KEPT)), ((10, WINDOW), (50, HOUR)))
_INSERT = (
    "INSERT INTO login_failures (tenant_id, id, kind, key, at) VALUES"
    " (:tenant, :account_row, :account_kind, :account, clock_timestamp()),"
    " (:tenant, :address_row, :address_kind, :address, clock_timestamp())"
)
_COUNT = text("""
SELECT clock_timestamp() AS now, f.kind, (array_agg(f.at ORDER BY f.at DESC))[1 : :most] AS tries
  FROM login_failures f
 WHERE f.tenant_id = :tenant AND f.at > clock_timestamp() - cast(:window AS interval)
   AND ((f.kind = :account_kind AND f.key = :account) OR (f.kind = :address_kind AND f.key = :address))
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


def attempt(account: str, address: str, rules: Rules = DOOR) -> Attempt:
    """Count a try at `account` (an id, or what was typed) from `address`. Raises `TooManyTries` above the rules."""
    values = {
        "tenant": g.tenant_id,
        "account_row": new_id(),
        "address_row": new_id(),
        "account_kind": rules.names[0],
        "address_kind": rules.names[1],
        "account": _key(account),
        "address": _key(address),
    }
    counted = Attempt(values)
    _aside(_INSERT, values)
    limits = dict(zip(rules.names, (rules.account, rules.address), strict=True))
    windows = [window for limit in limits.values() for _, window in limit]
    most = max(allowed for limit in limits.values() for allowed, _ in limit)
    rows = db.session.execute(_COUNT, {**values, "window": max(windows), "most": most}).all()
    waits = [
        row.tries[allowed - 1] + window - row.now
        for row in rows
        for allowed, window in limits[row.kind]
        if len(row.tries) >= allowed
    ]
    longest = max(waits, default=timedelta(0))
    if longest > timedelta(0):
        counted.undo()
        raise TooManyTries(int(longest.total_seconds()) + 1)
    return counted


def _aside(statement: str, values: dict[str, Any]) -> None:
    """Write on the side; the session gives its connection back first, so that one request never holds two."""
    db.session.rollback()
    side_transaction(statement, values)


def _key(value: str) -> str:
    return hashlib.sha256(value.casefold().encode()).hexdigest()
