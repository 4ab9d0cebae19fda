"""Delivery: a batch of messages to one subscriber, tenant by tenant, at least once (D32).

A transactional subscriber's writes and the mark "delivered" are one commit. A message that fails stays behind alone: the
batch is repeated one by one when it failed as a whole.
"""

import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

from flask import g
from sqlalchemy import text

from portal.extensions import db
from portal.identity.sessions import acting_as
from portal.kernel.outbox import Message, Subscriber, subscribers
from portal.kernel.tenancy import tenant_scope
from portal.tenants.hosts import tenant_by_id
from workers.outbox import MAX_ATTEMPTS, backoff, by_tenant
from workers.tasks import Queue, task

LONGEST_ERROR = 500
log = logging.getLogger(__name__)

_READ = """
SELECT d.id AS delivery_id, m.id, m.seq, m.type, m.schema_version, m.tenant_id, m.aggregate_type, m.aggregate_id, m.occurred_at, m.recorded_at,
       m.actor_id, m.caused_by, m.request_id, m.historical, m.data
  FROM outbox_deliveries d JOIN outbox_messages m ON m.tenant_id = d.tenant_id AND m.id = d.message_id
 WHERE d.id = ANY(:ids) AND d.status = 'leased' ORDER BY m.seq
"""
_DELIVERED = text("""
UPDATE outbox_deliveries SET status = 'delivered', delivered_at = clock_timestamp(), last_error = NULL
 WHERE id = ANY(:ids) AND status = 'leased'
""")
_LOCK = text("SELECT id FROM outbox_messages WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_PUBLISHED = text("""
UPDATE outbox_messages m SET published_at = clock_timestamp() WHERE m.id = ANY(:ids) AND m.published_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM outbox_deliveries d WHERE d.tenant_id = m.tenant_id AND d.message_id = m.id AND d.open)
""")
_FAILED = text("""
UPDATE outbox_deliveries SET status = CASE WHEN attempts >= :most THEN 'dead' ELSE 'pending' END, last_error = :error,
       available_at = clock_timestamp() + :wait WHERE id = :id AND status = 'leased'
""")


@task(Queue.FAST, name="outbox.deliver", timeout=60)
def deliver_batch(name: str, claimed: list[tuple[str, str, int]]) -> None:
    """A job of the relay: deliveries of several tenants for one subscriber."""
    for tenant_id, deliveries in by_tenant(claimed).items():
        deliver(subscribers()[name], tenant_id, deliveries)


@task(Queue.LONG, name="outbox.deliver_long", timeout=7000)
def deliver_long(name: str, claimed: list[tuple[str, str, int]]) -> None:
    """The same for subscribers that take minutes: imports and other long work."""
    for tenant_id, deliveries in by_tenant(claimed).items():
        deliver(subscribers()[name], tenant_id, deliveries)


def deliver(subscriber: Subscriber, tenant_id: UUID, deliveries: Mapping[UUID, int]) -> None:
    """Deliver one tenant's part; errors of the subscriber end in its rows, never here."""
    with tenant_scope(tenant_id), acting_as(None, "system"):
        g.tenant = tenant_by_id(tenant_id)
        ids = list(deliveries)
        if not _attempt(subscriber, ids):
            for delivery_id in ids:
                if not _attempt(subscriber, [delivery_id], alone=True) and subscriber.ordered:
                    break  # the rest of this run stays leased and comes again in order


def _attempt(subscriber: Subscriber, ids: list[UUID], *, alone: bool = False) -> bool:
    """False when the subscriber raised; with `alone` the one message is then put off or given up."""
    try:
        if subscriber.transactional:
            with _transaction():
                messages = _read(ids, lock=True)
                failures = dict(subscriber.handle([m for _, m in messages]) or {}) if messages else {}
                db.session.flush()
                _mark(messages, failures)
                _failpoint("before_commit")
        else:
            with _transaction():
                messages = _read(ids, lock=False)
            failures = dict(subscriber.handle([m for _, m in messages]) or {}) if messages else {}
            db.session.rollback()
            _failpoint("after_send_before_mark")
            with _transaction():
                _mark(messages, failures)
        _failpoint("after_commit")
    except Exception as error:
        db.session.rollback()
        log.warning("%s failed: %s", subscriber.name, error, exc_info=alone)
        if alone:
            with _transaction():
                _put_off(ids[0], error)
        return False
    return True


@contextmanager
def _transaction() -> Iterator[None]:
    """The worker's commit place (style.md 12)."""
    g.delivery = True
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        g.delivery = False


def _read(ids: Sequence[UUID], *, lock: bool) -> list[tuple[UUID, Message]]:
    statement = _READ + (" FOR UPDATE OF d SKIP LOCKED" if lock else "")
    rows = db.session.execute(text(statement), {"ids": list(ids)}).mappings().all()
    return [(row["delivery_id"], Message(**{k: v for k, v in row.items() if k != "delivery_id"})) for row in rows]


def _mark(messages: Sequence[tuple[UUID, Message]], failures: Mapping[UUID, Exception]) -> None:
    if not messages:
        return
    good = [delivery for delivery, message in messages if message.id not in failures]
    db.session.execute(_DELIVERED, {"ids": good})
    for delivery, message in messages:
        if message.id in failures:
            _put_off(delivery, failures[message.id])
    ids = [message.id for _, message in messages]
    db.session.execute(_LOCK, {"ids": ids})
    db.session.execute(_PUBLISHED, {"ids": ids})


def _put_off(delivery_id: UUID, error: Exception) -> None:
    attempts = (
        db.session.execute(text("SELECT attempts FROM outbox_deliveries WHERE id = :id"), {"id": delivery_id}).scalar()
        or 0
    )
    words = f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
    db.session.execute(_FAILED, {"id": delivery_id, "error": words, "wait": backoff(attempts), "most": MAX_ATTEMPTS})


def _failpoint(name: str) -> None:
    """Die here when a test asks for it (F2); only in a process started with TESTING."""
    if os.environ.get("TESTING") and os.environ.get("FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
