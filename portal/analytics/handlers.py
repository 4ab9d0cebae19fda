"""Committed purchases become facts (ANA-1)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from portal.analytics import facts
from portal.analytics.clickhouse import DOWN
from portal.kernel.outbox import Message, subscriber
from portal.purchases.events import HistoryImported, PurchaseRecorded, PurchaseRefunded

FACTS = "analytics.purchase_facts"


@subscriber(
    FACTS, events=(PurchaseRecorded, PurchaseRefunded, HistoryImported), historical=True, transactional=False, gather=1
)
def purchase_facts(messages: Sequence[Message]) -> Mapping[UUID, Exception] | None:
    """Ship what the messages speak of, as it stands in PostgreSQL now: order and repeats do not matter."""
    try:
        facts.ship([UUID(m.data["purchase_id"]) for m in messages if m.type != HistoryImported.TYPE])
        imported = [m.data for m in messages if m.type == HistoryImported.TYPE]
        facts.ship_ranges([(UUID(data["first_id"]), UUID(data["last_id"])) for data in imported])
    except DOWN as error:  # nothing is wrong with one of them, so none is tried alone
        return dict.fromkeys((m.id for m in messages), error)
    return None
