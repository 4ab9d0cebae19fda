"""From the outbox to the workers: claim what is due, one job a batch (D32, D34). The row owns the retry."""

import logging
import os
import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg

from portal.kernel.outbox import Subscriber, subscribers
from workers.tasks import enqueue

BATCH = 500
RUN = 50  # how many messages of one aggregate go together to an ordered subscriber
LONG_LEASE = timedelta(hours=2)
LEASE = timedelta(seconds=int(os.environ.get("OUTBOX_LEASE_S", "90")))  # longer than a delivery's timeout
MAX_ATTEMPTS = 12
FIRST_WAIT_S, LONGEST_WAIT_S = 2, 3600
log = logging.getLogger(__name__)

_DUE = """
WITH due AS (
    SELECT tenant_id, id FROM outbox_deliveries
     WHERE open AND subscriber = %(subscriber)s AND available_at <= clock_timestamp()
     ORDER BY available_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
"""
_DUE_IN_ORDER = """
WITH heads AS (
    SELECT d.tenant_id, d.aggregate_type, d.aggregate_id FROM outbox_deliveries d
     WHERE d.open AND d.subscriber = %(subscriber)s AND d.available_at <= clock_timestamp()
       AND NOT EXISTS (SELECT 1 FROM outbox_deliveries o WHERE o.open AND o.subscriber = d.subscriber AND o.tenant_id = d.tenant_id
                          AND o.aggregate_type = d.aggregate_type AND o.aggregate_id = d.aggregate_id AND o.seq < d.seq)
     ORDER BY d.seq LIMIT 100 FOR UPDATE OF d SKIP LOCKED
), due AS (
    SELECT tenant_id, id FROM (
        SELECT d.tenant_id, d.id, row_number() OVER (PARTITION BY d.tenant_id, d.aggregate_type, d.aggregate_id ORDER BY d.seq) AS n
          FROM outbox_deliveries d JOIN heads h USING (tenant_id, aggregate_type, aggregate_id)
         WHERE d.open AND d.subscriber = %(subscriber)s) r
     WHERE n <= %(run)s LIMIT %(limit)s
)
"""
_LEASE = """
UPDATE outbox_deliveries d
   SET status = CASE WHEN d.attempts >= %(most)s THEN 'dead' ELSE 'leased' END,
       last_error = CASE WHEN d.attempts >= %(most)s THEN coalesce(d.last_error, 'never answered') ELSE d.last_error END,
       attempts = d.attempts + 1, available_at = clock_timestamp() + %(lease)s
  FROM due WHERE d.tenant_id = due.tenant_id AND d.id = due.id
RETURNING d.tenant_id, d.id, d.attempts, d.status
"""


def claim(
    connection: psycopg.Connection[Any], subscriber: Subscriber, limit: int = BATCH
) -> list[tuple[str, str, int]]:
    """Lease due deliveries of one subscriber as `(tenant, delivery, attempt)`; several relays share them by SKIP LOCKED."""
    statement = (_DUE_IN_ORDER if subscriber.ordered else _DUE) + _LEASE
    values = {
        "subscriber": subscriber.name,
        "limit": limit,
        "run": RUN,
        "most": MAX_ATTEMPTS,
        "lease": LONG_LEASE if subscriber.long else LEASE,
    }
    rows = connection.execute(statement, values).fetchall()
    return [(str(tenant), str(delivery), attempt) for tenant, delivery, attempt, status in rows if status == "leased"]


def relay_once(connection: psycopg.Connection[Any]) -> int:
    """Turn everything due into jobs; returns how many deliveries were leased."""
    from workers.delivery import deliver_batch, deliver_long

    moved = 0
    for subscriber in subscribers().values():
        while claimed := claim(connection, subscriber):
            job_id = f"out-{claimed[0][1]}-{claimed[0][2]}"
            enqueue(deliver_long if subscriber.long else deliver_batch, subscriber.name, claimed, job_id=job_id)
            moved += len(claimed)
            if len(claimed) < BATCH:
                break
    return moved


def backoff(attempts: int) -> timedelta:
    """How long until the next try: doubling, with full jitter above a quarter."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**attempts)
    return timedelta(seconds=random.uniform(longest / 4, longest))  # noqa: S311  jitter, not a secret


def by_tenant(claimed: Iterable[tuple[str, str, int]]) -> dict[UUID, dict[UUID, int]]:
    """Deliveries of a batch under their tenants, with the attempt each was leased for."""
    grouped: dict[UUID, dict[UUID, int]] = defaultdict(dict)
    for tenant, delivery, attempt in claimed:
        grouped[UUID(tenant)][UUID(delivery)] = attempt
    return grouped


def deliver_all(app: Any, *, rounds: int = 20) -> int:
    """Deliver what is due, here and now, through the same code: for tests and the command line. Returns how many."""
    from sqlalchemy import text

    from portal.extensions import db
    from portal.kernel.tenancy import tenant_scope
    from workers.delivery import deliver

    done = 0
    with app.app_context():
        tenants = db.session.execute(text("SELECT id FROM tenants ORDER BY slug")).scalars().all()
        for _ in range(rounds):
            before = done
            for tenant_id in tenants:
                for subscriber in subscribers().values():
                    with tenant_scope(tenant_id):
                        claimed = _claim_here(subscriber.name)
                    if claimed:
                        deliver(subscriber, tenant_id, claimed)
                        done += len(claimed)
            if done == before:
                break
    return done


def _claim_here(name: str) -> dict[UUID, int]:
    from flask import g
    from sqlalchemy import text

    from portal.extensions import db

    statement = text("""
        UPDATE outbox_deliveries SET status = 'leased', attempts = attempts + 1, available_at = clock_timestamp() + interval '90 s'
         WHERE id IN (SELECT id FROM outbox_deliveries WHERE open AND subscriber = :name AND available_at <= clock_timestamp()
                       ORDER BY seq LIMIT 500) RETURNING id, attempts""")
    g.delivery = True
    try:
        rows = db.session.execute(statement, {"name": name}).all()
        db.session.commit()
    finally:
        g.delivery = False
    return {row.id: row.attempts for row in rows}
