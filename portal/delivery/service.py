"""Sending again what could not be delivered (OUT-4): the original message, one more try, in the audit log."""

from uuid import UUID

from flask_babel import gettext
from sqlalchemy import text

from portal.extensions import db
from portal.kernel.commands import command, journal
from portal.kernel.errors import Conflict
from portal.kernel.outbox import MAX_ATTEMPTS, wake_relay
from portal.kernel.tenancy import current_tenant_id

_AGAIN = """
UPDATE outbox_deliveries SET status = 'pending', attempts = :attempts, available_at = clock_timestamp()
 WHERE tenant_id = :tenant AND dead AND {which} RETURNING id
"""


class NotDead(Conflict):
    """The delivery has arrived, or is on its way again."""

    code = "delivery.not_dead"

    def __init__(self) -> None:
        super().__init__(gettext("This message is not among those given up any more."))


@command("delivery.replay")
def replay(delivery_id: UUID) -> None:
    """One delivery that was given up goes out again. Raises `NotDead`."""
    if not _again("id = :id", id=delivery_id):
        raise NotDead
    journal().note("outbox_deliveries", delivery_id, {"status": ["dead", "pending"]})
    journal().about("delivery", delivery_id)


@command("delivery.replay_all")
def replay_dead(subscriber: str | None = None) -> int:
    """Everything given up, or that of one subscriber, goes out again; returns how many."""
    count = _again("subscriber = :name", name=subscriber) if subscriber else _again("true")
    if count:
        journal().note("outbox_deliveries", subscriber or "all", {"replayed": [None, count]})
    return count


def wake() -> None:
    """Let the relay look at once."""
    wake_relay()


def _again(which: str, **values: object) -> int:
    statement = text(_AGAIN.format(which=which))
    rows = db.session.execute(statement, {"tenant": current_tenant_id(), "attempts": MAX_ATTEMPTS - 1, **values})
    return len(rows.all())
