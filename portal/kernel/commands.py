"""A command is one business write: one transaction, one audit entry, its events, committed together (style.md 11)."""

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import psycopg
from flask import g
from sqlalchemy.exc import DBAPIError

from portal.kernel.books import write_books
from portal.kernel.errors import LookingOnly
from portal.kernel.journal import Event, Journal, WriteOutsideCommand, emit, journal

__all__ = ["Event", "EventMissing", "WriteOutsideCommand", "command", "emit", "journal", "repeated", "stands_alone"]

P = ParamSpec("P")
R = TypeVar("R")

WHILE_LOOKING = {"session.stop_looking"}  # the one thing that support does with another's session (S14)
RETRIES = 5
RETRYABLE = {"40001", "40P01"}  # serialization failure, deadlock
log = logging.getLogger(__name__)


class EventMissing(RuntimeError):
    """A command changed rows and ended without an event that it promises."""


def command(
    action: str, *, emits: tuple[type[Event], ...] = (), reads: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a service function the one transaction of a business write.

    `action` is its frozen name in the audit log. Each event type in `emits` must be emitted whenever rows changed.
    `reads=True` is an audited read (AUD-2): it leaves an entry though nothing changes. Called inside another command
    the function joins it. In the request of somebody whom a permission let in, that permission is asked for once more as
    the command begins (R14). Called inside a worker's delivery it joins the delivery's transaction. A deadlock or
    serialization failure is repeated up to five times (WAL-7).
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            refuse_looking(action)

            def body(own: Journal) -> R:
                result = function(*args, **kwargs)
                _keep_promises(own, emits)
                return result

            if outer := g.get("journal"):
                return _joined(outer, action, body)
            if g.get("delivery"):
                return _once(action, body, reads=reads)
            return _repeated(action, body, reads=reads)

        run.command = action  # type: ignore[attr-defined]
        run.emits = emits  # type: ignore[attr-defined]
        return run

    return decorate


def refuse_looking(action: str) -> None:
    """Whoever looks through a member's eyes starts no command but the one that ends it. Raises `LookingOnly`."""
    if g.get("looking") and action not in WHILE_LOOKING:
        raise LookingOnly


def stands_alone() -> bool:
    """Whether nothing is open that a command would join, and no permission is to be asked for once more as it begins.

    Such a command may be made of statements that are each a transaction (`primaries.own_statement`).
    """
    from portal.extensions import db

    if g.get("journal") or g.get("needs") or g.get("delivery"):
        return False
    return not (db.session.registry.has() and db.session().in_transaction())


def _joined(outer: Journal, action: str, body: Callable[[Journal], R]) -> R:
    own = Journal(action, joined=True)
    g.journal = own
    try:
        result = body(own)
    finally:
        g.journal = outer
    if not own.quiet:
        outer.changes += own.changes
        outer.events += own.events
        if outer.object_id is None:
            outer.object_type, outer.object_id = own.object_type, own.object_id
        outer.why = outer.why or own.why
    outer.answer = own.answer or outer.answer
    return result


def _once(action: str, body: Callable[[Journal], R], *, reads: bool) -> R:
    from portal.extensions import db

    g.journal = own = Journal(action)
    try:
        result = body(own)
        db.session.flush()
        write_books(own, reads=reads)
        return result
    finally:
        g.journal = None


def _repeated(action: str, body: Callable[[Journal], R], *, reads: bool) -> R:
    from portal.extensions import db
    from portal.kernel import outbox

    def once() -> tuple[R, Journal]:
        g.journal = own = Journal(action)
        try:
            if (standing := g.get("standing")) and (needed := g.get("needs")):
                standing(needed)
            result = body(own)
            db.session.flush()
            write_books(own, reads=reads)
            db.session.commit()
        except BaseException:
            db.session.rollback()
            raise
        finally:
            g.journal = None
        return result, own

    result, own = repeated(action, once)
    if own.events:
        outbox.wake_relay(own.events)
    return result


def repeated(action: str, once: Callable[[], R]) -> R:
    """Do a whole transaction, again after a deadlock or a serialization failure, up to five times (WAL-7)."""
    for attempt in range(RETRIES):
        try:
            return once()
        except (DBAPIError, psycopg.Error) as error:
            told = error.orig if isinstance(error, DBAPIError) else error
            if getattr(told, "sqlstate", None) not in RETRYABLE:
                raise
            log.info("%s: repeated after %s", action, type(told).__name__)
            time.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311  jitter, not a secret
    return once()


def _keep_promises(own: Journal, promised: tuple[type[Event], ...]) -> None:
    from portal.extensions import db

    db.session.flush()
    if own.quiet or not own.changes:
        return
    if missing := set(promised) - {type(event) for event, _ in own.events}:
        raise EventMissing(f"{own.action}: {sorted(m.__name__ for m in missing)}")
