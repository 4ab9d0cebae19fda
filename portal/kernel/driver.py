"""The driver's own statements, for the few that every sale runs: no options of the ORM, no compiling, always prepared."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy.exc import DBAPIError

from portal.extensions import db
from portal.kernel import guard

_NAMED = re.compile(r"(?<![:\w]):([a-z_]+)\b")


def driver_sql(statement: str) -> str:
    """A statement with `:name` as psycopg wants it."""
    return _NAMED.sub(r"%(\1)s", statement.replace("%", "%%"))


def run(statement: str, values: Mapping[str, Any] | Sequence[Any]) -> psycopg.Cursor[Any]:
    """Run it in the session's transaction; row-level security is what keeps it to the tenant.

    Gives the driver's cursor, its rows with names. Raises what SQLAlchemy would: `DBAPIError`, `WriteOutsideCommand`.
    """
    session = db.session()
    if not session.in_transaction():
        session.connection()
    guard.look_at(statement)
    driver: psycopg.Connection[Any] = session.info["driver"]
    try:
        return driver.cursor(row_factory=namedtuple_row).execute(statement, values, prepare=True)
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error


def as_sqlalchemy(ask: Callable[[str, Sequence[Any]], Any]) -> Callable[[str, Sequence[Any]], Any]:
    """The same question, its errors as `run` raises them."""

    def asked(statement: str, values: Sequence[Any]) -> Any:
        try:
            return ask(statement, values)
        except psycopg.Error as error:
            raise DBAPIError.instance(statement, None, error, psycopg.Error) from error

    return asked
