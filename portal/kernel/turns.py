"""One after the other: a lock of a name, which lasts as long as the transaction that took it."""

from sqlalchemy import text

from portal.extensions import db

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
PLAIN_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"  # for psycopg's own connections


def take_turn(key: str) -> None:
    """Wait until nobody else holds the name `key`; then it is this transaction's until its end."""
    db.session.execute(LOCK, {"key": key})
