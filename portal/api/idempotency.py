"""The same call again is answered again and done once (WAL-3, D23).

The row of the `Idempotency-Key` is written in the transaction of the effect, so there is never one without the other: a
call that was refused or that died leaves no row, and its key may be used again. A call that is still running is waited
for (lock_timeout, then 503).
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import rfc8785
from flask import g, jsonify, request
from flask_babel import gettext
from sqlalchemy import text
from werkzeug.wrappers import Response

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.books import plain
from portal.kernel.commands import command, journal
from portal.kernel.driver import driver_sql, run
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id

LIVES = timedelta(days=30)
_CLAIM = driver_sql("""
INSERT INTO idempotency_keys (tenant_id, id, principal_id, route, key, request_hash, request_fields, status, response)
VALUES (:tenant, :id, :principal, :route, :key, :hash, cast(:fields AS jsonb), 0, '{}')
ON CONFLICT (tenant_id, principal_id, route, key) DO NOTHING RETURNING id
""")
_STORED = driver_sql("""
SELECT request_hash, request_fields, response FROM idempotency_keys
 WHERE tenant_id = :tenant AND principal_id = :principal AND route = :route AND key = :key
""")
_PURGE = text("DELETE FROM idempotency_keys WHERE tenant_id = :tenant AND at < :before")


class IdempotencyMismatch(PortalError):
    """The key was used for another call; `fields` names what differs, never the values."""

    code, status = "txn.idempotency_mismatch", 409


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets."""

    body: dict[str, Any]
    replayed: bool

    def response(self) -> Response:
        """201 the first time, 200 and `Idempotent-Replayed: true` after."""
        made: Response = jsonify(self.body)
        made.status_code = 200 if self.replayed else 201
        if self.replayed:
            made.headers["Idempotent-Replayed"] = "true"
        return made


def once(route: str, key: str, effect: Callable[[], tuple[dict[str, Any], bool]]) -> Answer:
    """Inside an outermost command: the stored answer of this key, or the effect's, stored with the command's books.

    `effect` returns the body and whether it was itself a replay (the same external_id under another key). Raises
    `IdempotencyMismatch`.
    """
    fields = _fields()
    mine = {"tenant": current_tenant_id(), "principal": g.actor_id, "route": route, "key": key}
    row_id, whole = new_id(), _hash(fields)
    claimed = run(_CLAIM, {**mine, "id": row_id, "hash": whole, "fields": json.dumps(fields)}).fetchone()
    if claimed is None:
        stored: Any = run(_STORED, mine).fetchone()
        journal().unchanged()
        if stored.request_hash != whole:
            mismatch(
                name
                for name in {*fields, *stored.request_fields}
                if fields.get(name) != stored.request_fields.get(name)
            )
        return Answer(stored.response, replayed=True)
    body, replayed = effect()
    body = json.loads(json.dumps(body, default=plain))
    journal().answer = {"id": row_id, "status": 200 if replayed else 201, "response": body}
    return Answer(body, replayed)


def mismatch(names: Any) -> NoReturn:
    """409, with the names of the differing fields."""
    fields = sorted(names)
    raise IdempotencyMismatch(
        gettext(
            "This key or external_id was used for another call. It differs in: %(fields)s.", fields=", ".join(fields)
        ),
        fields=fields,
    )


@command("api.purge_keys")
def purge_old() -> int:
    """Forget the keys of the acting tenant that are older than 30 days; leaves no audit entry."""
    found: Any = db.session.execute(_PURGE, {"tenant": current_tenant_id(), "before": clock.now() - LIVES})
    journal().unchanged()
    return int(found.rowcount)


def _fields() -> dict[str, str]:
    """The hash of each field of the call, canonical (RFC 8785), so that spelling JSON differently changes nothing."""
    call = {**request.get_json(), "": [request.method, request.path]}
    return {name or "address": _hash(value) for name, value in call.items()}


def _hash(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()
