"""The last statement of a command: its audit entry, its messages and their deliveries, in one round trip."""

import json
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import g, has_request_context, request

from portal.kernel import clock
from portal.kernel.journal import Event, Journal
from portal.kernel.model import new_id
from portal.kernel.outbox import subscribers_of
from portal.kernel.tenancy import current_tenant_id

# The driver's own statements: every command ends with one of them, so they carry no options of the ORM.
_ENTRY = """
INSERT INTO audit_entries (tenant_id, id, action, actor_id, actor_kind, on_behalf_of, object_type, object_id, business_id,
                           changes, reason, ip, request_id, occurred_at)
VALUES (%(tenant)s, %(entry)s, %(action)s, %(actor)s, %(actor_kind)s, %(behalf)s, %(object_type)s, %(object_id)s, %(business)s,
        %(changes)s::jsonb, %(reason)s, %(ip)s, %(request)s, %(at)s)"""
_MESSAGES = f"""
WITH entry AS ({_ENTRY}), message AS (
    INSERT INTO outbox_messages (tenant_id, id, type, schema_version, aggregate_type, aggregate_id, occurred_at,
                                 actor_id, caused_by, request_id, historical, data)
    SELECT %(tenant)s, m.id, m.type, m.schema_version, m.aggregate_type, m.aggregate_id, m.occurred_at,
           %(actor)s, %(caused_by)s, %(request)s, m.historical, m.data
      FROM jsonb_to_recordset(%(messages)s::jsonb) AS m (
           id uuid, n int, type text, schema_version int, aggregate_type text, aggregate_id uuid,
           occurred_at timestamptz, historical boolean, data jsonb, subscribers jsonb)
     ORDER BY m.n
    RETURNING id, seq, aggregate_type, aggregate_id
)
INSERT INTO outbox_deliveries (tenant_id, id, message_id, seq, subscriber, ordered, aggregate_type, aggregate_id)
SELECT %(tenant)s, s.key::uuid, message.id, message.seq, s.value ->> 0, (s.value -> 1)::boolean, message.aggregate_type, message.aggregate_id
  FROM message
  JOIN jsonb_to_recordset(%(messages)s::jsonb) AS m (id uuid, subscribers jsonb) ON m.id = message.id
 CROSS JOIN jsonb_each(m.subscribers) AS s"""


def write_books(journal: Journal, *, reads: bool) -> None:
    """Write the entry and the messages; a replay and a command that changed nothing leave no trace."""
    from portal.kernel.driver import run

    if journal.quiet or not (journal.changes or journal.events or reads):
        return
    at = clock.now()
    (actor, actor_kind, behalf), (ip, asked) = who(), wherefrom()
    values: dict[str, Any] = {
        "tenant": current_tenant_id(),
        "entry": new_id(),
        "action": journal.action,
        "actor": actor,
        "actor_kind": actor_kind,
        "behalf": behalf,
        "object_type": journal.object_type,
        "object_id": journal.object_id,
        "business": _business(journal),
        "changes": json.dumps(journal.changes, default=plain),
        "reason": journal.why,
        "ip": ip,
        "request": asked,
        "at": at,
    }
    if journal.events:
        told = [_message(n, event, historical, at) for n, (event, historical) in enumerate(journal.events)]
        values |= {"caused_by": g.get("caused_by"), "messages": json.dumps(told, default=plain)}
    run(_MESSAGES if journal.events else _ENTRY, values)


def _business(journal: Journal) -> UUID | None:
    shop = g.get("business")
    if shop is not None:
        found: UUID = shop.id
        return found
    return journal.object_id if journal.object_type == "business" else None


def who() -> tuple[UUID | None, str, UUID | None]:
    """Who acts, as what, and for whom."""
    return g.get("actor_id"), g.get("actor_kind") or "system", g.get("on_behalf_of")


def wherefrom() -> tuple[str | None, str | None]:
    """The address and the request that a command came by."""
    return request.remote_addr if has_request_context() else None, g.get("request_id")


def _message(n: int, event: Event, historical: bool, at: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "n": n,
        "type": event.TYPE,
        "schema_version": event.SCHEMA_VERSION,
        "aggregate_type": event.AGGREGATE,
        "aggregate_id": event.aggregate_id,
        "occurred_at": getattr(event, "occurred_at", at),
        "historical": historical,
        "data": {f.name: getattr(event, f.name) for f in fields(event)},
        "subscribers": {str(new_id()): (s.name, s.ordered) for s in subscribers_of(event, historical=historical)},
    }


def plain(value: Any) -> Any:
    """What JSON cannot say by itself: ids, moments (RFC 3339) and exact numbers as text."""
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} does not go into an event or an audit entry")
