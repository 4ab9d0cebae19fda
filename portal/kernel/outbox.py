"""The outbox: events committed with the rows they speak of, one delivery row per subscriber (G4, D31, D32)."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Computed, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.journal import Event
from portal.kernel.model import Model, TenantOwned, pii, recorded_at, tenant_fk

WAKE_CHANNEL = "wake"
MAX_ATTEMPTS = 12  # then a delivery is dead, for an admin to see and replay
log = logging.getLogger(__name__)


class OutboxMessage(TenantOwned, Model):
    """An event, never changed. `seq` is the order of commits per aggregate."""

    __tablename__ = "outbox_messages"
    __table_args__ = (
        Index(None, "tenant_id", "seq", unique=True),
        Index(None, "recorded_at"),
        Index(None, "tenant_id", "aggregate_type", "aggregate_id", "seq"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    type: Mapped[str] = mapped_column(info=pii("keep:name of an event"))
    schema_version: Mapped[int]
    aggregate_type: Mapped[str] = mapped_column(info=pii("keep:name of a noun"))
    aggregate_id: Mapped[UUID]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = recorded_at()
    actor_id: Mapped[UUID | None]
    caused_by: Mapped[UUID | None]
    request_id: Mapped[str | None] = mapped_column(info=pii("keep:technical"))
    historical: Mapped[bool] = mapped_column(default=False)
    data: Mapped[dict[str, Any]] = mapped_column(info=pii("keep:ids and figures, no contacts"))


class OutboxDelivery(TenantOwned, Model):
    """One message on its way to one subscriber: pending → leased → delivered | dead.

    A lease changes no column of any index, and half of each page is left free for it: it is written beside the row it
    replaces, and no index is touched. `available_at`, which one is ordered by, is moved only when a try has failed.
    """

    __tablename__ = "outbox_deliveries"
    __table_args__ = (
        tenant_fk("outbox_messages", "message_id", ondelete="CASCADE"),
        CheckConstraint("status IN ('pending','leased','delivered','dead')", name="status"),
        Index(None, "tenant_id", "message_id"),
        Index("ix_outbox_deliveries_due", "subscriber", "available_at", postgresql_where=text("open")),
        Index(
            "ix_outbox_deliveries_order",
            "subscriber",
            "aggregate_type",
            "aggregate_id",
            "seq",
            postgresql_where=text("open AND ordered"),
        ),
        Index("ix_outbox_deliveries_dead", "tenant_id", "seq", postgresql_where=text("dead")),
        {"postgresql_with": {"fillfactor": 50}},
    )

    message_id: Mapped[UUID]
    seq: Mapped[int]
    subscriber: Mapped[str] = mapped_column(info=pii("keep:name of a handler"))
    aggregate_type: Mapped[str] = mapped_column(info=pii("keep:name of a noun"))
    aggregate_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(server_default="pending", info=pii("keep:technical"))
    open: Mapped[bool] = mapped_column(Computed("status IN ('pending','leased')", persisted=True))
    dead: Mapped[bool] = mapped_column(Computed("status = 'dead'", persisted=True))
    ordered: Mapped[bool] = mapped_column(server_default=text("false"))
    attempts: Mapped[int] = mapped_column(server_default="0")
    available_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    leased_until: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(info=pii("keep:technical"))
    delivered_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime] = recorded_at()


@dataclass(frozen=True, slots=True)
class Message:
    """What a subscriber gets: the envelope of G4."""

    id: UUID
    seq: int
    type: str
    schema_version: int
    tenant_id: UUID
    aggregate_type: str
    aggregate_id: UUID
    occurred_at: datetime
    recorded_at: datetime
    actor_id: UUID | None
    caused_by: UUID | None
    request_id: str | None
    historical: bool
    data: dict[str, Any]


Handler = Callable[[Sequence[Message]], Mapping[UUID, Exception] | None]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A named handler of some event types. `historical=False`: imported history does not reach it (D27).

    `gather`: seconds that a message may wait for company, for receivers to whom a hundred cost as much as one.
    """

    name: str
    events: tuple[type[Event], ...]
    handle: Handler
    historical: bool
    ordered: bool
    transactional: bool
    long: bool
    gather: float


_subscribers: dict[str, Subscriber] = {}


def subscriber(
    name: str,
    *,
    events: tuple[type[Event], ...],
    historical: bool = False,
    ordered: bool = False,
    transactional: bool = True,
    long: bool = False,
    gather: float = 0,
) -> Callable[[Handler], Handler]:
    """Register a handler of `portal/<noun>/handlers.py` under its frozen name (G17).

    The handler gets the messages of one tenant and returns None, or the failures by message id. At least once: it
    uses the message id as its idempotency key. `transactional` handlers share the delivery's transaction; the others
    run with no transaction open, because they talk to the network. `ordered` ones see an aggregate's messages in the
    order of their commits, and nothing later than a failure (D34). `long` ones run for minutes, on the queue `long`.
    """

    def register(handle: Handler) -> Handler:
        if name in _subscribers:
            raise ValueError(f"subscriber {name} is registered twice")
        _subscribers[name] = Subscriber(name, events, handle, historical, ordered, transactional, long, gather)
        return handle

    return register


def subscribers() -> Mapping[str, Subscriber]:
    """Every subscriber by name; `portal.nouns.load_handlers()` fills it."""
    return _subscribers


def subscribers_of(event: Event, *, historical: bool) -> list[Subscriber]:
    """Who gets this event."""
    return [s for s in _subscribers.values() if isinstance(event, s.events) and (s.historical or not historical)]


def wake_relay(events: Sequence[tuple[Event, bool]] | None = None) -> None:
    """Tell the relay that there is something to carry; for whom, if it is these events, historical or not.

    Whose messages wait for company is not named. Lost calls cost 250 ms, since the relay polls (D33).
    """
    from portal.kernel.redis import bell, channel

    told = [s for event, historical in events or () for s in subscribers_of(event, historical=historical)]
    names = {s.name for s in told if not s.gather}
    if names or events is None:
        with suppress(Exception):
            bell.ring(channel(WAKE_CHANNEL), ",".join(sorted(names)))
