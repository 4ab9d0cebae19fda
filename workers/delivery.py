"""Delivery: a batch of messages to one subscriber, tenant by tenant, at least once (D32).

A transactional subscriber's writes and the mark "delivered" are one commit. A batch that fails as a whole is halved until
the message that fails stands alone; the others arrive.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from flask import g
from rq.timeouts import BaseTimeoutException

from portal.extensions import db
from portal.identity.sessions import acting_as
from portal.kernel.failpoint import failpoint
from portal.kernel.outbox import Subscriber, subscribers
from portal.kernel.tenancy import tenant_scope
from portal.tenants.hosts import tenant_by_id
from workers import marks
from workers.outbox import by_tenant
from workers.tasks import Queue, task

RECEIVER_DOWN = 3  # so many failed alone and nothing arrived: it is not the messages
log = logging.getLogger(__name__)
Part = Sequence[Any]  # deliveries: id, attempt, aggregate


@task(Queue.FAST, name="outbox.deliver", timeout=60)
def deliver_batch(name: str, claimed: list[Sequence[Any]]) -> None:
    """A job of the relay: deliveries of several tenants for one subscriber."""
    _deliver_each(name, claimed)


@task(Queue.LONG, name="outbox.deliver_long", timeout=7000)
def deliver_long(name: str, claimed: list[Sequence[Any]]) -> None:
    """The same for subscribers that take minutes: imports and other long work."""
    _deliver_each(name, claimed)


def _deliver_each(name: str, claimed: list[Sequence[Any]]) -> None:
    """Tenant by tenant: what breaks in one (a database gone, say) is raised after the others had their turn."""
    failpoint("before_work")
    broken: list[Exception] = []
    for tenant_id, deliveries in by_tenant(claimed).items():
        try:
            deliver(subscribers()[name], tenant_id, deliveries)
        except BaseTimeoutException:
            raise
        except Exception as error:
            log.exception("delivery to %s broke off; its lease runs out", name)
            broken.append(error)
    if broken:
        raise broken[0]


def deliver(subscriber: Subscriber, tenant_id: UUID, deliveries: Mapping[str, int]) -> None:
    """Deliver one tenant's part; errors of the subscriber end in its rows, never here."""
    with tenant_scope(tenant_id), acting_as(None, "system"):
        g.tenant = tenant_by_id(tenant_id)
        if g.tenant.status == "suspended":
            with _transaction():
                marks.wait(deliveries)
            return
        if _attempt(subscriber, deliveries) is None:
            return
        with _transaction():
            part = marks.in_order(deliveries)
        _Isolation(subscriber).carry(part)


class _Isolation:
    """Finds the messages that fail by halving, first half first, so that order holds where it is asked for."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.blocked: set[Any] = set()  # aggregates of an ordered subscriber that wait for their failed message
        self.arrived = 0
        self.failed = 0

    def carry(self, part: Part) -> None:
        if held := [d for d in part if d.aggregate in self.blocked]:
            part = [d for d in part if d.aggregate not in self.blocked]
            with _transaction():
                marks.give_back({d.id: d.attempt for d in held})
        if not part:
            return
        error = _attempt(self.subscriber, {d.id: d.attempt for d in part})
        if error is None:
            self.arrived += len(part)
        elif len(part) == 1 or (self.failed >= RECEIVER_DOWN and not self.arrived):
            self._put_off(part, error)
        else:
            self.carry(part[: len(part) // 2])
            self.carry(part[len(part) // 2 :])

    def _put_off(self, part: Part, error: Exception) -> None:
        log.warning("%s failed: %s", self.subscriber.name, error, exc_info=error)
        self.failed += 1
        if self.subscriber.ordered:
            self.blocked |= {d.aggregate for d in part}
        with _transaction():
            heads = {d.aggregate: d for d in reversed(part)}.values() if self.subscriber.ordered else part
            marks.put_off({d.id: error for d in heads})
            marks.give_back({d.id: d.attempt for d in part if d not in heads})


def _attempt(subscriber: Subscriber, deliveries: Mapping[str, int]) -> Exception | None:
    """One try with all of them; what the subscriber raised is returned, and nothing of the try remains."""
    try:
        if subscriber.transactional:
            with _transaction():
                messages = marks.take(deliveries)
                failures = dict(subscriber.handle([m for _, m in messages]) or {}) if messages else {}
                db.session.flush()
                marks.settle(messages, failures, deliveries, ordered=subscriber.ordered, taken=True)
                failpoint("before_commit")
        else:
            with _transaction():
                messages = marks.read(deliveries)
            failures = dict(subscriber.handle([m for _, m in messages]) or {}) if messages else {}
            db.session.rollback()
            failpoint("after_send_before_mark")
            with _transaction():
                marks.settle(messages, failures, deliveries, ordered=subscriber.ordered, taken=False)
        failpoint("after_commit")
    except BaseTimeoutException:  # the job's time is over: the lease runs out, and lost ones go alone in the end
        db.session.rollback()
        raise
    except Exception as error:  # noqa: BLE001  whatever a subscriber raises belongs to its messages
        db.session.rollback()
        return error
    return None


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
