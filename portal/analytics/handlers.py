"""Committed purchases become facts (ANA-1)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from portal.analytics import facts
from portal.analytics.clickhouse import DOWN
from portal.identity.events import MembersMerged, MembersParted
from portal.kernel.outbox import Message, subscriber
from portal.purchases.events import HistoryImported, PurchaseRecorded, PurchaseRefunded

_OF_MEMBERS = {MembersMerged.TYPE, MembersParted.TYPE}
FACTS = "analytics.purchase_facts"


@subscriber(
    FACTS,
    events=(PurchaseRecorded, PurchaseRefunded, HistoryImported, MembersMerged, MembersParted),
    historical=True,
    transactional=False,
    gather=1,
)
def purchase_facts(messages: Sequence[Message]) -> Mapping[UUID, Exception] | None:
    """Ship what the messages speak of, as it stands in PostgreSQL now: order and repeats do not matter."""
    try:
        facts.ship([UUID(m.data["purchase_id"]) for m in messages if "purchase_id" in m.data])
        whose = {UUID(m.data[name]) for m in messages if m.type in _OF_MEMBERS for name in ("member_id", "merged_id")}
        if whose:
            facts.ship_members(sorted(whose))
        imported = [m.data for m in messages if m.type == HistoryImported.TYPE]
        facts.ship_ranges([(UUID(data["first_id"]), UUID(data["last_id"])) for data in imported])
    except DOWN as error:  # nothing is wrong with one of them, so none is tried alone
        return dict.fromkeys((m.id for m in messages), error)
    return None
