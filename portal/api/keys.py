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
from portal.partners.keys import PREFIXES, KeyHolder, holder_of, own_prefix, taken_apart
from portal.settings import settings
from portal.web.client import client_address
from portal.web.errors import problem

WRONG_PER_ADDRESS = "60 per minute"
LONGEST_HEADER = 200
_USED = """
INSERT INTO api_key_uses (tenant_id, id, key_id, hour) VALUES (:tenant, :id, :key, :hour)
ON CONFLICT (tenant_id, key_id, hour) DO UPDATE SET uses = api_key_uses.uses + excluded.uses
"""
_seen: dict[Any, Any] = {}  # key → the hour that this process has noted already


def require(permission: Permission | Access) -> None:
    """Let a key in that holds on this host and has the scope; it acts for its business."""
    address = request.query_string.decode("latin-1") + request.path
    if any(prefix + "_" in address for prefix in PREFIXES.values()):
        _refuse(
            400, "auth.key_in_url", gettext("Never put a key into an address: addresses are logged. Withdraw this key.")
        )
    holder = _presented()
    if holder is None:
        _count_wrong()
        _refuse_key()
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
    return holder_of(key) if (key := _sent()) else None


def _sent() -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and len(key) <= LONGEST_HEADER else ""


def _refuse_key() -> None:
    """One answer for unknown, foreign and ended keys; a key of the other world is told so, which tells nobody anything."""
    parts = taken_apart(_sent())
    if parts and parts[0] != own_prefix():
        told = (
            gettext("This is a test key, and this community is live. Use a key that begins with krug_live_.")
            if g.tenant.kind == "live"
            else gettext("This is a live key, and this community is a sandbox. Use a key that begins with krug_test_.")
        )
        _refuse(401, "auth.key_of_other_world", told)
    _refuse(
        401,
        "auth.key_invalid",
        gettext("Send a key of this host that is in force: Authorization: Bearer %(prefix)s_…", prefix=own_prefix()),
    )


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
    lambda: settings().API_RATE,
    scope="api",
    key_func=lambda: f"key:{g.api_key.id}" if g.get("api_key") else client_address(),
)
def _count() -> None:
    """Raises 429 with the limit's headers."""


@limiter.shared_limit(WRONG_PER_ADDRESS, scope="api-wrong", key_func=client_address)
def _count_wrong() -> None:
    """Raises 429: keys cannot be guessed, but trying should cost."""
