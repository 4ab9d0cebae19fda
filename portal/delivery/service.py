"""Sending again what could not be delivered (OUT-4)."""

from uuid import UUID

from flask_babel import gettext
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import outbox
from portal.kernel.commands import command, journal
from portal.kernel.errors import NotFound
from portal.kernel.tenancy import current_tenant_id

_AGAIN = """
UPDATE outbox_deliveries SET status = 'pending', attempts = 0, available_at = clock_timestamp()
 WHERE tenant_id = :tenant AND status = 'dead' AND {which} RETURNING id
"""


@command("delivery.replay")
def replay(delivery_id: UUID) -> None:
    """One dead delivery goes out again, with its original message. Raises `NotFound` for one that is not dead."""
    values = {"tenant": current_tenant_id(), "id": delivery_id}
    if not db.session.execute(text(_AGAIN.format(which="id = :id")), values).all():
        raise NotFound(gettext("This delivery is not among the failed ones any more."))
    journal().note("outbox_deliveries", delivery_id, {"status": ["dead", "pending"]})
    journal().about("delivery", delivery_id)


@command("delivery.replay_all")
def replay_dead(subscriber: str | None = None) -> int:
    """Every dead delivery, or those of one subscriber, goes out again; returns how many."""
    values = {"tenant": current_tenant_id(), "name": subscriber}
    which = "subscriber = :name" if subscriber else "true"
    rows = db.session.execute(text(_AGAIN.format(which=which)), values).all()
    if rows:
        journal().note("outbox_deliveries", subscriber or "all", {"replayed": [None, len(rows)]})
    return len(rows)


def wake() -> None:
    """Let the relay look at once."""
    outbox.wake_relay()
