"""Who is calling: the Bearer key, its scopes, and how often it may call (security.md 9, S13)."""

from datetime import UTC
from typing import Any

from flask import abort, g, request
from flask_babel import gettext

from portal.extensions import db, limiter
from portal.kernel import clock
from portal.kernel.authz import Access, Permission
from portal.kernel.model import new_id
from portal.kernel.side import side_transaction
from portal.partners.keys import PREFIX, KeyHolder, holder_of
from portal.web.client import client_address
from portal.web.errors import problem

PER_KEY = "1200 per minute; 60 per second"
WRONG_PER_ADDRESS = "60 per minute"
LONGEST_HEADER = 200
_USED = """
INSERT INTO api_key_uses (tenant_id, id, key_id, hour) VALUES (:tenant, :id, :key, :hour)
ON CONFLICT (tenant_id, key_id, hour) DO UPDATE SET uses = api_key_uses.uses + excluded.uses
"""
_seen: dict[Any, Any] = {}  # key → the hour that this process has noted already


def require(permission: Permission | Access) -> None:
    """Let a key in that holds on this host and has the scope; it acts for its business."""
    if PREFIX + "_" in (request.query_string.decode("latin-1") + request.path):
        _refuse(
            400, "auth.key_in_url", gettext("Never put a key into an address: addresses are logged. Withdraw this key.")
        )
    holder = _presented()
    if holder is None:
        _count_wrong()
        _refuse(
            401,
            "auth.key_invalid",
            gettext("Send a key of this host that is in force: Authorization: Bearer krug_live_…"),
        )
        return
    g.api_key, g.business = holder, holder.business
    g.actor_id, g.actor_kind = holder.id, "key"
    _count()
    if isinstance(permission, Permission) and permission not in holder.scopes:
        _refuse(
            403,
            "auth.scope_missing",
            gettext("This key lacks the scope %(scope)s.", scope=permission),
            scope=permission,
        )
    _note_use(holder)


def _presented() -> KeyHolder | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(key) <= LONGEST_HEADER:
        return None
    return holder_of(key.strip())


def _refuse(status: int, code: str, message: str, **extra: Any) -> None:
    response = problem(status, code, message, **extra)
    if status == 401:  # noqa: PLR2004
        response.headers["WWW-Authenticate"] = 'Bearer realm="api"'
    abort(response)


def _note_use(holder: KeyHolder) -> None:
    """Once an hour and process: enough to see whether a key is in use, and nothing on the way of a sale."""
    hour = clock.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if _seen.get(holder.id) == hour:
        return
    db.session.rollback()  # gives the connection back first: one request never holds two
    side_transaction(_USED, {"tenant": g.tenant_id, "id": new_id(), "key": holder.id, "hour": hour})
    if len(_seen) > 10_000:  # noqa: PLR2004
        _seen.clear()
    _seen[holder.id] = hour


@limiter.shared_limit(
    PER_KEY, scope="api", key_func=lambda: f"key:{g.api_key.id}" if g.get("api_key") else client_address()
)
def _count() -> None:
    """Raises 429 with the limit's headers."""


@limiter.shared_limit(WRONG_PER_ADDRESS, scope="api-wrong", key_func=client_address)
def _count_wrong() -> None:
    """Raises 429: keys cannot be guessed, but trying should cost."""
