"""The last statement of a command: its audit entry, messages, deliveries and the answer to repeat, in one round trip."""

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

_WRITE = "SELECT portal.books_write(%s, %s::jsonb, NULL)"  # migrations/sql/portal.sql


def write_books(journal: Journal, *, reads: bool) -> None:
    """Write the entry and the messages, and the answer that an API's call is to have again.

    A replay, a command that changed nothing and one that has them written leave neither entry nor message.
    """
    from portal.kernel.driver import run

    if journal.written and journal.answer is None:
        return
    assert not journal.written, "an answer to keep belongs to a command that writes its books last"  # noqa: S101
    silent = journal.quiet or not (journal.changes or journal.events or reads)
    books = {} if silent else of(journal, clock.now())
    if journal.answer:
        books["answer"] = journal.answer
    if books:
        run(_WRITE, (current_tenant_id(), json.dumps(books, default=plain)))


def of(journal: Journal, at: datetime) -> dict[str, Any]:
    """What `portal.books_write` takes: the entry, and the messages with their deliveries."""
    (actor, actor_kind, behalf), (ip, asked) = who(), wherefrom()
    return {
        "entry": new_id(),
        "action": journal.action,
        "actor": actor,
        "actor_kind": actor_kind,
        "behalf": behalf,
        "object_type": journal.object_type,
        "object_id": journal.object_id,
        "business": _business(journal),
        "changes": journal.changes,
        "reason": journal.why,
        "ip": ip,
        "request": asked,
        "at": at,
        "caused_by": g.get("caused_by"),
        "messages": [_message(event, historical, at) for event, historical in journal.events],
    }


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


def _message(event: Event, historical: bool, at: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
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
