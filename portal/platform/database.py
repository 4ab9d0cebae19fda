"""The operator's own connection: role portal_platform, which sees counts across tenants and nobody's name (D2)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from portal.settings import settings


@contextmanager
def connected() -> Iterator[psycopg.Connection[Any]]:
    """A short transaction as portal_platform; few people use this room, so no pool is kept."""
    with psycopg.connect(
        settings().database_url("portal_platform"),
        row_factory=namedtuple_row,
        connect_timeout=5,
        options="-c statement_timeout=20s -c lock_timeout=5s",
    ) as connection:
        yield connection
