"""Reading what is on its way, of the acting tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select, text

from portal.extensions import db
from portal.kernel.outbox import OutboxDelivery, OutboxMessage, subscribers
from portal.kernel.tenancy import current_tenant_id

SAMPLE = 300  # the latest messages, of which the lag is taken
_WAITING = text("""
SELECT subscriber, count(*) AS pending, count(*) FILTER (WHERE last_error IS NOT NULL) AS retrying,
       extract(epoch FROM clock_timestamp() - min(recorded_at))::int AS oldest
  FROM outbox_deliveries WHERE tenant_id = :tenant AND open GROUP BY subscriber
""")
_DEAD = text("""
SELECT subscriber, count(*) AS dead FROM outbox_deliveries WHERE tenant_id = :tenant AND status = 'dead' GROUP BY subscriber
""")
_LAG = text("""
SELECT d.subscriber, percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM d.delivered_at - d.recorded_at))::float AS lag
  FROM (SELECT tenant_id, id FROM outbox_messages WHERE tenant_id = :tenant ORDER BY seq DESC LIMIT :sample) m
  JOIN outbox_deliveries d ON d.tenant_id = m.tenant_id AND d.message_id = m.id AND d.status = 'delivered' AND d.attempts = 1
 GROUP BY d.subscriber
""")


@dataclass(frozen=True, slots=True)
class Receiver:
    """How a subscriber fares: counts, the oldest waiting in seconds, 19 of 20 arrive within `lag` seconds."""

    name: str
    pending: int
    retrying: int
    dead: int
    oldest: int
    lag: float | None

    @property
    def state(self) -> str:
        """As a shape for `ui.dot`."""
        return "bad" if self.dead else "near" if self.retrying else "yes"


def summary() -> list[Receiver]:
    """Every subscriber, troubled ones first."""
    tenant = {"tenant": current_tenant_id()}
    waiting = {row.subscriber: (row.pending, row.retrying, row.oldest) for row in db.session.execute(_WAITING, tenant)}
    dead = {row.subscriber: row.dead for row in db.session.execute(_DEAD, tenant)}
    lag = {row.subscriber: row.lag for row in db.session.execute(_LAG, {**tenant, "sample": SAMPLE})}
    found = []
    for name in {*subscribers(), *waiting, *dead}:
        pending, retrying, oldest = waiting.get(name, (0, 0, 0))
        found.append(Receiver(name, pending, retrying, dead.get(name, 0), oldest, lag.get(name)))
    return sorted(found, key=lambda r: (-r.dead, -r.retrying, r.name))


def listed(status: str, subscriber: str = "") -> Select[Any]:
    """Deliveries given up (`dead`), or still open, with their message."""
    columns: tuple[Any, ...] = (
        OutboxDelivery.id,
        OutboxDelivery.subscriber,
        OutboxDelivery.status,
        OutboxDelivery.attempts,
        OutboxDelivery.last_error,
        OutboxDelivery.available_at,
        OutboxDelivery.recorded_at,
        OutboxMessage.id.label("message_id"),
        OutboxMessage.type,
        OutboxMessage.aggregate_type,
        OutboxMessage.occurred_at,
    )
    statement: Select[Any] = select(*columns).join(
        OutboxMessage,
        and_(OutboxMessage.tenant_id == OutboxDelivery.tenant_id, OutboxMessage.id == OutboxDelivery.message_id),
    )
    statement = statement.where(OutboxDelivery.open if status == "open" else OutboxDelivery.status == "dead")
    return statement.where(OutboxDelivery.subscriber == subscriber) if subscriber else statement


def deliveries_of(message_id: UUID) -> Sequence[Any]:
    """Where a message went."""
    return db.session.scalars(
        select(OutboxDelivery).where(OutboxDelivery.message_id == message_id).order_by(OutboxDelivery.subscriber)
    ).all()
