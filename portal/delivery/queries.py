"""Reading what is on its way, of the acting tenant."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select, text

from portal.extensions import db
from portal.kernel.outbox import OutboxDelivery, OutboxMessage
from portal.kernel.tenancy import current_tenant_id

_SUMMARY = text("""
SELECT subscriber, count(*) FILTER (WHERE open) AS pending, count(*) FILTER (WHERE status = 'dead') AS dead,
       count(*) FILTER (WHERE open AND attempts > 1) AS retrying,
       coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at) FILTER (WHERE open)), 0)::int AS oldest,
       coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM delivered_at - recorded_at))
                FILTER (WHERE delivered_at > clock_timestamp() - interval '1 hour' AND attempts = 1), 0)::float AS lag
  FROM outbox_deliveries WHERE tenant_id = :tenant AND (open OR status = 'dead' OR delivered_at > clock_timestamp() - interval '1 hour')
 GROUP BY subscriber ORDER BY subscriber
""")


def summary() -> Sequence[Any]:
    """Per subscriber: pending, dead, retrying, the oldest's age and the last hour's 95 % lag, in seconds."""
    return db.session.execute(_SUMMARY, {"tenant": current_tenant_id()}).all()


def listed(status: str, subscriber: str = "") -> Select[Any]:
    """Deliveries in a state, with their message."""
    statement: Any = select(
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
    ).join(
        OutboxMessage,
        and_(OutboxMessage.tenant_id == OutboxDelivery.tenant_id, OutboxMessage.id == OutboxDelivery.message_id),
    )
    statement = statement.where(OutboxDelivery.status == "dead" if status == "dead" else OutboxDelivery.open)
    return statement.where(OutboxDelivery.subscriber == subscriber) if subscriber else statement


def message(message_id: UUID) -> Any:
    """A message with its envelope, or None."""
    return db.session.scalars(select(OutboxMessage).where(OutboxMessage.id == message_id)).one_or_none()


def deliveries_of(message_id: UUID) -> Sequence[Any]:
    """Where a message went."""
    return db.session.scalars(
        select(OutboxDelivery).where(OutboxDelivery.message_id == message_id).order_by(OutboxDelivery.subscriber)
    ).all()
