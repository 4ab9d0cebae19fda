"""Operators' tries, counted in PostgreSQL before what was typed is looked at, by the rules of members (S5, security.md 14)."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from portal.identity.failures import KEPT, Rules, TooManyTries
from portal.kernel.model import new_id
from portal.kernel.turns import PLAIN_LOCK
from portal.platform.database import connected

_MADE = """
SELECT clock_timestamp() AS now,
       ARRAY(SELECT at FROM operator_tries WHERE kind = %(kind)s AND account = %(account)s
              AND at > clock_timestamp() - %(kept)s ORDER BY at DESC LIMIT %(most)s) AS account,
       ARRAY(SELECT at FROM operator_tries WHERE kind = %(kind)s AND address = %(address)s
              AND at > clock_timestamp() - %(kept)s ORDER BY at DESC LIMIT %(most)s) AS address
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, already counted."""

    id: UUID
    kind: str
    account: str

    def undo(self) -> None:
        """It was right, so it counts for nothing."""
        with connected() as connection:
            connection.execute("DELETE FROM operator_tries WHERE id = %s", (self.id,))

    def take_back(self) -> None:
        """The password was right: the account's earlier tries are forgotten too."""
        with connected() as connection:
            connection.execute(
                "DELETE FROM operator_tries WHERE id = %s OR (kind = %s AND account = %s)",
                (self.id, self.kind, self.account),
            )


def attempt(account: str, address: str, rules: Rules) -> Attempt:
    """Count a try at `account` from `address`. Raises `TooManyTries` above the rules, and then counts nothing.

    Tries at the same account or from the same address wait for each other here, so that many at the same moment are no
    more guesses than the rules allow.
    """
    made = Attempt(new_id(), rules.names[0], _key(account))
    whence = _key(address)
    values = {"id": made.id, "kind": made.kind, "account": made.account, "address": whence, "kept": KEPT}
    limits = {"account": rules.account, "address": rules.address}
    most = max(allowed for limit in limits.values() for allowed, _ in limit)
    with connected() as connection:
        for key in sorted({made.account, whence}):
            connection.execute(PLAIN_LOCK, (f"operator tries {key}",))
        row = connection.execute(_MADE, {**values, "most": most}).fetchone()
        assert row is not None  # noqa: S101  a SELECT without FROM
        waits = [
            tries[allowed - 1] + window - row.now
            for name, limit in limits.items()
            for tries in [getattr(row, name)]
            for allowed, window in limit
            if len(tries) >= allowed
        ]
        longest = max(waits, default=timedelta(0))
        if longest > timedelta(0):
            raise TooManyTries(int(longest.total_seconds()) + 1)
        connection.execute("DELETE FROM operator_tries WHERE at < clock_timestamp() - %(kept)s", values)
        connection.execute(
            "INSERT INTO operator_tries (id, kind, account, address)"
            " VALUES (%(id)s, %(kind)s, %(account)s, %(address)s)",
            values,
        )
    return made


def _key(value: str) -> str:
    return hashlib.sha256(value.casefold().encode()).hexdigest()
