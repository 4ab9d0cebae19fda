"""The operator's own connection: role portal_platform, which sees counts across tenants and nobody's name (D2)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from portal.kernel.primaries import connect, names
from portal.settings import MAIN


@contextmanager
def connected(primary: str = MAIN) -> Iterator[psycopg.Connection[Any]]:
    """A short transaction as portal_platform; few people use this room, so no pool is kept."""
    with connect("portal_platform", primary, row_factory=namedtuple_row) as connection:
        yield connection


def everywhere(statement: str, values: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """The rows of every primary one after the other, and the names of those that do not answer; one must."""
    rows: list[Any] = []
    silent: list[str] = []
    for primary in names():
        try:
            with connected(primary) as connection:
                rows += connection.execute(statement, {**values, "primary": primary}).fetchall()
        except psycopg.OperationalError:
            silent.append(primary)
            if len(silent) == len(names()):
                raise
    return rows, silent
