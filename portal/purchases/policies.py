"""Who may take a purchase back (G9)."""

from datetime import datetime, timedelta
from typing import Any

from portal.kernel.authz import Permission

UNDO_WITHIN = timedelta(hours=12)


def may_undo(purchase: Any, person: Any, device_id: Any, now: datetime) -> bool:
    """Whole and recent purchases: on the device that rang it up, or by somebody who reads this shop's purchases."""
    if purchase.refunded_total or now - purchase.recorded_at > UNDO_WITHIN or not purchase.amount:
        return False
    return (device_id is not None and purchase.device_id == device_id) or is_manager(purchase, person)


def is_manager(purchase: Any, person: Any) -> bool:
    """Whether the person reads all purchases of this shop."""
    return person is not None and person.may(Permission.PURCHASES_READ, _At(purchase.business_id))


class _At:
    """The business of a purchase, as `may` wants it."""

    def __init__(self, business_id: Any) -> None:
        self.id = business_id
