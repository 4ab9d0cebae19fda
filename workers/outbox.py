"""From the outbox to the workers: claim what is due, one job a batch (D32, D34). The row owns the retry."""

import hashlib
import logging
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from portal.kernel.outbox import MAX_ATTEMPTS, Subscriber, subscribers
from workers import claims
from workers.tasks import Queue, crowd, enqueue

BATCH = 500
RUN = 50  # how many messages of one aggregate go together to an ordered subscriber
LEASE = timedelta(seconds=int(os.environ.get("OUTBOX_LEASE_S", "90")))  # longer than a delivery's timeout
LONG_LEASE = timedelta(hours=2)
NOW = timedelta(0)
WAITS_S = (0.5, 5, 30, 300, 1800, 3600, 7200, 18_000, 36_000, 50_400, 72_000)  # after the first try, the second, …
FULL = 100  # jobs waiting in a queue: what is due then waits in PostgreSQL
CLAIMED_S = 2  # from a claim to its job in the queue, at the most
ALONE_FROM = 4  # a message whose worker has died so often goes alone, so that it takes nobody along
log = logging.getLogger(__name__)


class Claim(NamedTuple):
    """A leased delivery; `attempt` is the try it was leased for, and only that try may answer."""

    tenant_id: str
    delivery_id: str
    attempt: int


def claim(
    connection: psycopg.Connection[Any], subscriber: Subscriber, limit: int = BATCH, *, lost: timedelta = NOW
) -> list[Claim]:
    """Lease due deliveries of one subscriber; several relays share them by SKIP LOCKED.

    `lost`: leases that ran out so long ago are given anew.
    """
    return [found for found, _ in _claimed(connection, subscriber, limit, lost=lost)]


def relay_once(connection: psycopg.Connection[Any]) -> int:
    """Turn everything due into jobs; returns how many deliveries were leased. Raises what Redis raises."""
    moved = 0
    crowded: dict[Queue, int] = {}
    lost: dict[Queue, timedelta] = {}
    for subscriber in _due(connection):
        queue = Queue.LONG if subscriber.long else Queue.FAST
        if queue not in crowded:
            crowded[queue], waited = crowd(queue)
            lost[queue] = _lost_after(waited, LONG_LEASE if subscriber.long else LEASE)
        while crowded[queue] < FULL:
            found = _claimed(connection, subscriber, BATCH, lost=lost[queue])
            for batch in _batches(found):
                _send(connection, subscriber, batch)
                crowded[queue] += 1
            moved += len(found)
            if len(found) < BATCH:
                break
    return moved


def give_back(connection: psycopg.Connection[Any], batch: Sequence[Claim]) -> None:
    """Undo a claim whose job was never made: the try does not count."""
    connection.execute(claims.GIVE_BACK, _arrays(batch))


def backoff(attempts: int) -> timedelta:
    """How long until the next try after `attempts`: half a second, minutes, hours, with full jitter (OUT-3)."""
    longest = WAITS_S[min(max(attempts, 1), len(WAITS_S)) - 1]
    return timedelta(seconds=random.uniform(0, longest))  # noqa: S311  jitter, not a secret


def by_tenant(claimed: Iterable[Sequence[Any]]) -> dict[UUID, dict[UUID, int]]:
    """Deliveries of a batch under their tenants, with the attempt each was leased for."""
    grouped: dict[UUID, dict[UUID, int]] = defaultdict(dict)
    for tenant, delivery, attempt in claimed:
        grouped[UUID(tenant)][UUID(delivery)] = attempt
    return grouped


def deliver_all(app: Any, *, rounds: int = 20) -> int:
    """Deliver what is due, here and now, through the workers' code, in the caller's own transaction: for tests.

    What fails in this call is not tried again in it. Returns how many deliveries were tried.
    """
    from sqlalchemy import text

    from portal.extensions import db
    from portal.tenants.hosts import every_tenant
    from workers.delivery import deliver

    done = 0
    with app.app_context():
        tenants = [tenant_id for tenant_id, _ in every_tenant()]
        began = db.session.execute(text("SELECT clock_timestamp()")).scalar_one()
        for _ in range(rounds):
            before = done
            for tenant_id in tenants:
                for subscriber in subscribers().values():
                    claimed = _claim_here(tenant_id, subscriber, began)
                    if claimed:
                        deliver(subscriber, tenant_id, claimed)
                        done += len(claimed)
            if done == before:
                break
    return done


def _lost_after(waited: timedelta | None, lease: timedelta) -> timedelta:
    """How long a lease must have run out to be lost: jobs go in their order, so what was claimed before the first that waits
    is not waiting any more.
    """
    return NOW if waited is None else max(NOW, waited + timedelta(seconds=CLAIMED_S) - lease)


def _due(connection: psycopg.Connection[Any]) -> Iterator[Subscriber]:
    known = subscribers()
    values = {"names": list(known), "gather": [s.gather for s in known.values()], "full": BATCH - 1}
    due = [known[name] for (name,) in connection.execute(claims.DUE_SUBSCRIBERS, values).fetchall()]
    random.shuffle(due)  # nobody is always the last whom a crowded queue turns away
    yield from due


def _claimed(
    connection: psycopg.Connection[Any], subscriber: Subscriber, limit: int, *, lost: timedelta
) -> list[tuple[Claim, bool]]:
    """The claims, each with whether it goes alone."""
    values = {
        "subscriber": subscriber.name,
        "limit": limit,
        "run": RUN,
        "lost": lost,
        "most": MAX_ATTEMPTS,
        "lease": LONG_LEASE if subscriber.long else LEASE,
    }
    rows = connection.execute(claims.IN_ORDER if subscriber.ordered else claims.ANY_ORDER, values).fetchall()
    if dead := [row.message for row in map(_Row._make, rows) if row.status == "dead"]:
        connection.execute(claims.PUBLISHED, {"ids": dead})
    return [
        (Claim(str(row.tenant), str(row.delivery), row.attempts), row.was == "leased" and row.attempts >= ALONE_FROM)
        for row in map(_Row._make, rows)
        if row.status == "leased"
    ]


class _Row(NamedTuple):
    tenant: UUID
    delivery: UUID
    attempts: int
    status: str
    was: str
    message: UUID


def _batches(found: Iterable[tuple[Claim, bool]]) -> Iterator[list[Claim]]:
    for alone, group in groupby(sorted(found, key=lambda pair: pair[1]), key=lambda pair: pair[1]):
        batch = [one for one, _ in group]
        yield from [[one] for one in batch] if alone else [batch]


def _send(connection: psycopg.Connection[Any], subscriber: Subscriber, batch: list[Claim]) -> None:
    from workers.delivery import deliver_batch, deliver_long

    digest = hashlib.sha256(repr(batch).encode()).hexdigest()[:12]
    try:
        enqueue(
            deliver_long if subscriber.long else deliver_batch,
            subscriber.name,
            batch,
            job_id=f"out-{batch[0].delivery_id}-{batch[0].attempt}-{digest}",
        )
    except Exception:
        with suppress(psycopg.Error):  # then the lease runs out by itself
            give_back(connection, batch)
        raise


def _arrays(batch: Sequence[Claim]) -> dict[str, list[Any]]:
    return {
        "tenants": [UUID(one.tenant_id) for one in batch],
        "ids": [UUID(one.delivery_id) for one in batch],
        "attempts": [one.attempt for one in batch],
    }


def _claim_here(tenant_id: UUID, subscriber: Subscriber, began: Any) -> dict[UUID, int]:
    from flask import g
    from sqlalchemy import text

    from portal.extensions import db
    from portal.kernel.tenancy import tenant_scope

    with tenant_scope(tenant_id):
        g.delivery = True
        try:
            values = {"name": subscriber.name, "ordered": subscriber.ordered, "began": began, "limit": BATCH}
            rows = db.session.execute(text(claims.HERE), values).all()
            db.session.commit()
        finally:
            g.delivery = False
    return {row.id: row.attempts for row in rows}
