"""How much of everything a tenant may have, as the operator set it; where nothing is set nothing is counted."""

from collections.abc import Callable

from flask import g
from flask_babel import gettext, lazy_gettext

from portal.kernel.errors import PortalError
from portal.kernel.tenancy import current_tenant_id
from portal.kernel.turns import take_turn

LIMITS = {  # key in `tenants.limits` → its name for the operator
    "members": lazy_gettext("Members"),
    "staff": lazy_gettext("Posts of staff"),
    "businesses": lazy_gettext("Businesses"),
    "mails_a_day": lazy_gettext("Mails a day"),
    "storage_mb": lazy_gettext("Storage, MB"),
}


class LimitReached(PortalError):
    """The tenant has as much as its plan allows; `limit` says of what."""

    code, status = "tenant.limit_reached", 409


def allowed(what: str) -> int | None:
    """The acting tenant's limit; None where there is none."""
    tenant = g.get("tenant")
    return tenant.limits.get(what) if tenant else None


def keep_within(what: str, count: Callable[[], int], more: int = 1) -> None:
    """Inside a command: refuse `more` of something above the limit. Raises `LimitReached`.

    Where there is a limit, whatever adds to the same thing of the same tenant waits until this transaction has ended, so
    that `count` sees all that was added before; nothing else waits, and without a limit nothing does.
    """
    if allowed(what) is not None:
        take_turn(lock_key(what))
    refuse_full(what, count, more)


def lock_key(what: str) -> str:
    """The name of the lock under which this limit of the acting tenant is counted."""
    return f"limit:{current_tenant_id()}:{what}"


def refuse_full(what: str, count: Callable[[], int], more: int = 1) -> None:
    """Refuse `more` of something early, before work that `keep_within` would refuse at its end. Raises `LimitReached`."""
    most = allowed(what)
    if most is not None and count() + more > most:
        words = {
            "members": gettext("This community has room for %(most)s members, and they are all there.", most=most),
            "staff": gettext("This community has room for %(most)s posts of staff, and all are given.", most=most),
            "businesses": gettext("This community has room for %(most)s businesses, and they are all open.", most=most),
            "storage_mb": gettext("This community has room for %(most)s MB of files. Nothing was saved.", most=most),
        }
        raise LimitReached(words[what], limit=what)
