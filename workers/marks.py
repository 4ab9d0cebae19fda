"""What a worker writes about its deliveries, as role `portal_app` inside one tenant's transaction."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from portal.extensions import db
from portal.kernel.driver import driver_sql, run
from portal.kernel.outbox import MAX_ATTEMPTS, Message
from portal.kernel.tenancy import current_tenant_id
from workers.outbox import backoff

LONGEST_ERROR = 500
SUSPENDED_WAIT = "5 minutes"  # how often the relay looks whether a suspended tenant goes on
# Every statement names its rows by key: the planner knows nothing of a tenant that a policy reads out of a setting, and
# would go through all of its messages.
_OURS = """unnest(cast(cast(:ids AS text) AS uuid[]), cast(cast(:attempts AS text) AS int[])) AS c (id, attempt) CROSS JOIN LATERAL (
       SELECT * FROM outbox_deliveries WHERE tenant_id = :tenant AND id = c.id AND attempts = c.attempt AND status = 'leased' OFFSET 0 {lock}) d"""
_MESSAGE = """SELECT {ours}.id::text AS delivery_id, m.data::text AS data, m.id, m.seq, m.type, m.schema_version, m.tenant_id, m.aggregate_type, m.aggregate_id, m.occurred_at,
       m.recorded_at, m.actor_id, m.caused_by, m.request_id, m.historical
  FROM {ours} JOIN LATERAL (SELECT * FROM outbox_messages WHERE tenant_id = :tenant AND id = {ours}.message_id OFFSET 0) m ON true
 ORDER BY m.seq"""
_SEEN = driver_sql(
    f"WITH ours AS MATERIALIZED (SELECT d.id, d.message_id FROM {_OURS.format(lock='')}) {_MESSAGE.format(ours='ours')}"
)
_TAKEN = driver_sql(f"""
WITH taken AS (
    UPDATE outbox_deliveries SET status = 'delivered', delivered_at = clock_timestamp(), last_error = NULL
     WHERE tenant_id = :tenant AND id = ANY (cast(cast(:ids AS text) AS uuid[])) AND attempts = :attempt AND status = 'leased'
    RETURNING id, message_id)
{_MESSAGE.format(ours="taken")}""")
_UNTAKEN = text("""
UPDATE outbox_deliveries SET status = 'leased', delivered_at = NULL
 WHERE tenant_id = :tenant AND id = ANY (cast(cast(:ids AS text) AS uuid[])) AND status = 'delivered'
""")
_IN_ORDER = text(
    f"SELECT d.id::text, d.attempts AS attempt, d.aggregate_type, d.aggregate_id FROM {_OURS.format(lock='')} ORDER BY d.seq"
)
_DELIVERED = text("""
UPDATE outbox_deliveries SET status = 'delivered', delivered_at = clock_timestamp(), last_error = NULL
 WHERE tenant_id = :tenant AND id = ANY (cast(cast(:ids AS text) AS uuid[])) AND status = 'leased'
""")
_GIVE_BACK = text(f"""
UPDATE outbox_deliveries SET status = 'pending', attempts = attempts - 1
 WHERE tenant_id = :tenant AND id = ANY (ARRAY(SELECT d.id FROM {_OURS.format(lock="FOR UPDATE")})) AND status = 'leased'
""")
_WAIT = text(
    str(_GIVE_BACK).replace(
        "attempts - 1", f"attempts - 1, available_at = clock_timestamp() + interval '{SUSPENDED_WAIT}'", 1
    )
)
_TRIES = text(
    "SELECT id::text, attempts FROM outbox_deliveries WHERE tenant_id = :tenant AND id = ANY (cast(cast(:ids AS text) AS uuid[]))"
)
_PUT_OFF = text("""
UPDATE outbox_deliveries SET status = CASE WHEN attempts >= :most THEN 'dead' ELSE 'pending' END, last_error = :error,
       available_at = clock_timestamp() + :wait WHERE tenant_id = :tenant AND id = :id AND status = 'leased'
""")


class Leased(NamedTuple):
    """A delivery that is still this worker's."""

    id: str
    attempt: int
    aggregate: tuple[str, UUID]


def read(deliveries: Mapping[str, int]) -> list[tuple[str, Message]]:
    """The messages of those deliveries that are still leased for this attempt, in the order of their commits."""
    return _messages(run(_SEEN, _arrays(deliveries)).fetchall())


def take(deliveries: Mapping[str, int]) -> list[tuple[str, Message]]:
    """The same, marked as delivered: what is done with them in this transaction and the mark are one, or nothing."""
    together: dict[int, list[str]] = defaultdict(list)
    for delivery, attempt in deliveries.items():
        together[attempt].append(delivery)
    taken = [
        row for attempt, ids in together.items() for row in run(_TAKEN, {**_ids(ids), "attempt": attempt}).fetchall()
    ]
    return _messages(sorted(taken, key=itemgetter(3)) if len(together) > 1 else taken)


def _messages(rows: Sequence[Any]) -> list[tuple[str, Message]]:
    contents = json.loads(f"[{','.join([row[1] for row in rows])}]")  # one by one they cost five times as much
    envelopes: list[tuple[Any, ...]] = [(*row[2:], content) for row, content in zip(rows, contents, strict=True)]
    return [(row[0], Message(*envelope)) for row, envelope in zip(rows, envelopes, strict=True)]


def in_order(deliveries: Mapping[str, int]) -> list[Leased]:
    """The same without their messages."""
    rows = db.session.execute(_IN_ORDER, _arrays(deliveries))
    return [Leased(row.id, row.attempt, (row.aggregate_type, row.aggregate_id)) for row in rows]


def settle(
    messages: Sequence[tuple[str, Message]],
    failures: Mapping[UUID, Exception],
    deliveries: Mapping[str, int],
    *,
    ordered: bool,
    taken: bool,
) -> None:
    """Mark what arrived, unless it was as it was `taken`, put off what failed; an ordered subscriber's aggregate stops at its
    first failure (D34).
    """
    if not messages:
        return
    arrived: list[str] = []
    failed: dict[str, Exception] = {}
    untouched: dict[str, int] = {}
    stopped: set[Any] = set()
    for delivery, message in messages:
        aggregate = (message.aggregate_type, message.aggregate_id)
        if ordered and aggregate in stopped:
            untouched[delivery] = deliveries[delivery]
        elif message.id in failures:
            failed[delivery] = failures[message.id]
            stopped.add(aggregate)
        else:
            arrived.append(delivery)
    if not taken:
        db.session.execute(_DELIVERED, _ids(arrived))
    elif failed or untouched:
        db.session.execute(_UNTAKEN, _ids([*failed, *untouched]))
    give_back(untouched)
    put_off(failed)


def put_off(errors: Mapping[str, Exception]) -> None:
    """Book the next try, or give up after the last one; for an admin to see and replay."""
    if not errors:
        return
    tries = {row.id: row.attempts for row in db.session.execute(_TRIES, _ids(errors))}
    values = [
        {
            "tenant": current_tenant_id(),
            "id": delivery,
            "error": f"{type(error).__name__}: {error}".replace("\x00", "")[:LONGEST_ERROR],
            "wait": backoff(tries[delivery]),
            "most": MAX_ATTEMPTS,
        }
        for delivery, error in errors.items()
    ]
    db.session.execute(_PUT_OFF, values)


def give_back(deliveries: Mapping[str, int]) -> None:
    """Leave them to the next job at once; the try does not count."""
    if deliveries:
        db.session.execute(_GIVE_BACK, _arrays(deliveries))


def wait(deliveries: Mapping[str, int]) -> None:
    """Leave them for later, the try not counted: their tenant is suspended."""
    if deliveries:
        db.session.execute(_WAIT, _arrays(deliveries))


def _arrays(deliveries: Mapping[str, int]) -> dict[str, Any]:
    return {**_ids(deliveries), "attempts": _array(map(str, deliveries.values()))}


def _ids(ids: Iterable[str]) -> dict[str, Any]:
    return {"tenant": current_tenant_id(), "ids": _array(ids)}


def _array(values: Iterable[str]) -> str:
    """As PostgreSQL writes it: the driver would look at each value."""
    return f"{{{','.join(values)}}}"
