"""Committed purchases become facts (ANA-1)."""

from collections.abc import Sequence
from uuid import UUID

from portal.analytics import facts
from portal.kernel.outbox import Message, subscriber
from portal.purchases.events import PurchaseRecorded, PurchaseRefunded


@subscriber(
    "analytics.purchase_facts", events=(PurchaseRecorded, PurchaseRefunded), historical=True, transactional=False
)
def purchase_facts(messages: Sequence[Message]) -> None:
    """Ship what the messages speak of, as it stands in PostgreSQL now: order and repeats do not matter."""
    facts.ship([UUID(m.data["purchase_id"]) for m in messages])
