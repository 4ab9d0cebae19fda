"""From the outbox to the workers: claim what is due, one job a batch (D32, D34). The row owns the retry."""

import hashlib
import logging
import os
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
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
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
WAITS_S = (0.5, 5, 30, 300, 1800, 3600, 7200, 18_000, 36_000, 50_400, 72_000)  # after the first try, the second, …
FULL = 100  # jobs waiting in a queue: what is due then waits in PostgreSQL
CLAIMED_S = 2  # from a claim to its job in the queue, at the most
ALONE_FROM = 4  # a message whose worker has died so often goes alone, so that it takes nobody along
log = logging.getLogger(__name__)


class Claim(NamedTuple):
    """Deliveries of one tenant; `attempt` is the try they were leased for, and only that try may answer."""

    tenant_id: str
    attempt: int
    deliveries: list[str]


def claim(
    connection: psycopg.Connection[Any], subscriber: Subscriber, limit: int = BATCH, *, lost: timedelta = NOW
) -> list[Claim]:
    """Lease at most `limit` due deliveries of one subscriber; several relays share them by SKIP LOCKED.

    `lost`: leases that ran out so long ago are given anew.
    """
    return [one for batch in _claimed(connection, subscriber, limit, lost=lost).batches for one in batch]


def relay_once(connection: psycopg.Connection[Any], named: Collection[str] | None = None) -> int:
    """Turn everything due into jobs, or what is due to the subscribers named; returns how many deliveries were leased.

    Raises what Redis raises.
    """
    moved, room = 0, FULL if named is None else FULL // 2  # who is named often leaves room for who is not
    crowded: dict[Queue, int] = {}
    lost: dict[Queue, timedelta] = {}
    for subscriber in _due(connection, named):
        queue = Queue.LONG if subscriber.long else Queue.FAST
        if queue not in crowded:
            crowded[queue], waited = crowd(queue)
            lost[queue] = _lost_after(waited, LONG_LEASE if subscriber.long else LEASE)
        since = BEGINNING
        while crowded[queue] < room:
            found = _claimed(connection, subscriber, BATCH, lost=lost[queue], since=since)
            for batch in found.batches:
                _send(connection, subscriber, batch)
                crowded[queue] += 1
            moved += found.number
            if found.number < BATCH:
                break
            since = found.last
    return moved


def give_back(connection: psycopg.Connection[Any], batch: Sequence[Claim]) -> None:
    """Undo a claim whose job was never made: the try does not count."""
    for tenant_id, attempt, deliveries in batch:
        connection.execute(claims.GIVE_BACK, {"tenant": tenant_id, "attempt": attempt, "ids": deliveries})


def backoff(attempts: int) -> timedelta:
    """How long until the next try after `attempts`: half a second, minutes, hours, with full jitter (OUT-3)."""
    longest = WAITS_S[min(max(attempts, 1), len(WAITS_S)) - 1]
    return timedelta(seconds=random.uniform(0, longest))  # noqa: S311  jitter, not a secret


def by_tenant(claimed: Iterable[Sequence[Any]]) -> dict[UUID, dict[str, int]]:
    """Deliveries of a batch under their tenants, with the attempt each was leased for."""
    grouped: dict[UUID, dict[str, int]] = defaultdict(dict)
    for tenant, attempt, deliveries in claimed:
        grouped[UUID(tenant)].update(dict.fromkeys(deliveries, attempt))
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
                open_for = _open_for(tenant_id)
                for subscriber in subscribers().values():
                    if subscriber.name in open_for and (claimed := _claim_here(tenant_id, subscriber, began)):
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


def _due(connection: psycopg.Connection[Any], named: Collection[str] | None) -> list[Subscriber]:
    """Who has something due; whoever is named is taken at their word."""
    known = subscribers()
    if named is None:
        values = {"names": list(known), "gather": [s.gather for s in known.values()], "full": BATCH - 1}
        due = [known[name] for (name,) in connection.execute(claims.DUE_SUBSCRIBERS, values).fetchall()]
    else:
        due = [known[name] for name in named if name in known]
    random.shuffle(due)  # nobody is always the last whom a crowded queue turns away
    return due


class _Found(NamedTuple):
    """The jobs to be, how many deliveries are in them, and how late the latest of these became due."""

    batches: list[list[Claim]]
    number: int
    last: datetime


def _claimed(
    connection: psycopg.Connection[Any],
    subscriber: Subscriber,
    limit: int,
    *,
    lost: timedelta,
    since: datetime = BEGINNING,
) -> _Found:
    values = {
        "subscriber": subscriber.name,
        "limit": limit,
        "run": RUN,
        "lost": lost,
        "most": MAX_ATTEMPTS,
        "alone": ALONE_FROM,
        "since": since,
        "lease": LONG_LEASE if subscriber.long else LEASE,
    }
    rows = connection.execute(claims.IN_ORDER if subscriber.ordered else claims.ANY_ORDER, values).fetchall()
    together = [Claim(*row[1:4]) for row in rows if not row[0]]
    alone = [[Claim(row[1], row[2], [delivery])] for row in rows if row[0] for delivery in row[3]]
    batches = [together, *alone] if together else alone
    return _Found(batches, sum(len(row[3]) for row in rows), max((row[4] for row in rows), default=since))


def _send(connection: psycopg.Connection[Any], subscriber: Subscriber, batch: list[Claim]) -> None:
    from workers.delivery import deliver_batch, deliver_long

    digest = hashlib.sha256(repr(batch).encode()).hexdigest()[:12]
    try:
        enqueue(
            deliver_long if subscriber.long else deliver_batch,
            subscriber.name,
            batch,
            job_id=f"out-{batch[0].deliveries[0]}-{batch[0].attempt}-{digest}",
        )
    except Exception:
        with suppress(psycopg.Error):  # then the lease runs out by itself
            give_back(connection, batch)
        raise


def _open_for(tenant_id: UUID) -> set[str]:
    """Subscribers to whom this tenant owes anything."""
    from sqlalchemy import text

    from portal.extensions import db
    from portal.kernel.tenancy import tenant_scope

    with tenant_scope(tenant_id):
        return set(db.session.scalars(text("SELECT DISTINCT subscriber FROM outbox_deliveries WHERE open")))


def _claim_here(tenant_id: UUID, subscriber: Subscriber, began: Any) -> dict[str, int]:
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
