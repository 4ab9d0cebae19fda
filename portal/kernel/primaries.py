"""Several PostgreSQL primaries, each with tenants of its own; with one, nothing here asks anybody.

A tenant lives on one primary, wholly. The operators and their log live on `main`. Nobody writes down where a tenant is:
the primary that has its row is its home, found once a process. A primary that is down takes its own tenants along and
nobody else's.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, cast
from uuid import UUID

import psycopg
from cachetools import LRUCache
from flask import current_app, g
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.settings import MAIN, settings

R = TypeVar("R")
_homes: LRUCache[Any, str] = LRUCache(maxsize=100_000)  # what was asked for → the primary that knew
_lock = threading.Lock()
_IS_THERE = text("SELECT 1 FROM tenants WHERE id = :id")


def names() -> tuple[str, ...]:
    """Every primary, `main` first."""
    return settings().primaries


def engine(primary: str) -> Engine:
    """The process's pool for a primary, as portal_app."""
    from portal.extensions import db

    return db.engines[None if primary == MAIN else primary]


def dispose(*, close: bool = True) -> None:
    """Give up every pooled connection; `close=False` after a fork, where they are the parent's."""
    for primary in names():
        engine(primary).dispose(close=close)


def acting() -> str:
    """The primary of the acting tenant, else `main`."""
    if len(names()) == 1:
        return MAIN
    tenant_id = g.get("tenant_id")
    return home_of(tenant_id) if tenant_id else MAIN


@contextmanager
def own_transaction(primary: str | None = None) -> Iterator[Connection]:
    """A short transaction beside the session's, as portal_app with no tenant set; commits at the end of the block."""
    begin = current_app.extensions["own_transaction"]
    with cast("AbstractContextManager[Connection]", begin(primary or acting())) as connection:
        yield connection


@contextmanager
def own_statement() -> Iterator[Callable[[str, Sequence[Any]], Any]]:
    """Runs one statement of the driver's on the acting tenant's primary, without a transaction around it: it is one.

    Gives a function of the statement and its values that returns the first value of the answer. Raises the driver's errors.
    """
    with cast("AbstractContextManager[Any]", current_app.extensions["own_statement"](acting())) as run:
        yield run


@contextmanager
def unwrapped(primary: str) -> Iterator[Callable[[str, Sequence[Any]], Any]]:
    """`own_statement` over the pool: nothing of SQLAlchemy's but the pool."""
    pooled = engine(primary).raw_connection()
    try:
        driver = cast("psycopg.Connection[Any]", pooled.driver_connection)
        driver.autocommit = True
        try:
            yield lambda statement, values: driver.execute(statement, values).fetchone()[0]  # type: ignore[index]
        finally:
            if not driver.closed:
                driver.autocommit = False
    finally:
        pooled.close()


def connect(role: str, primary: str = MAIN, **options: Any) -> psycopg.Connection[Any]:
    """A connection of its own for one of the roles, for what stands outside of any tenant's session."""
    config = settings()
    prepare = {} if config.DB_PREPARE else {"prepare_threshold": None}
    return psycopg.connect(config.database_url(role, primary), **{"connect_timeout": 5, **prepare, **options})


def home_of(tenant_id: UUID) -> str:
    """The primary where the tenant lives. Raises LookupError when no primary has it."""
    if len(names()) == 1:
        return MAIN
    with _lock:
        known = _homes.get(tenant_id)
    if known:
        return known
    found = search(tenant_id, lambda connection: connection.execute(_IS_THERE, {"id": tenant_id}).scalar())
    if found is None:
        raise LookupError(f"no primary has tenant {tenant_id}")
    return found[0]


def search(key: Any, ask: Callable[[Connection], R | None]) -> tuple[str, R] | None:
    """Ask primary after primary until one knows, first the one that knew last time; returns it with its answer.

    One that is down is passed over; its error is raised when nobody else knows.
    """
    with _lock:
        last = _homes.get(key)
    down: Exception | None = None
    for primary in sorted(names(), key=lambda name: name != last):
        try:
            with own_transaction(primary) as connection:
                answer = ask(connection)
        except (OperationalError, PoolTimeout) as error:
            down = error
            continue
        if answer is not None:
            settle(key, primary)
            return primary, answer
    if down:
        raise down
    return None


def settle(key: Any, primary: str) -> None:
    """Remember who knows."""
    with _lock:
        _homes[key] = primary


def forget() -> None:
    """Ask again, after a tenant was made or the primaries changed."""
    with _lock:
        _homes.clear()
