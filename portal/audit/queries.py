"""Reading the audit log."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import Select, and_, select

from portal.extensions import db
from portal.identity.models import User
from portal.kernel.audit import AuditEntry

COLUMNS = (
    AuditEntry.id,
    AuditEntry.seq,
    AuditEntry.action,
    AuditEntry.actor_id,
    AuditEntry.actor_kind,
    AuditEntry.object_type,
    AuditEntry.object_id,
    AuditEntry.changes,
    AuditEntry.reason,
    AuditEntry.ip,
    AuditEntry.request_id,
    AuditEntry.occurred_at,
    User.name.label("actor"),
)


def entries(filters: Mapping[str, str]) -> Select[Any]:
    """Entries by action (its beginning), actor's name, object type, and days from and to in the tenant's zone."""
    statement = select(*COLUMNS).outerjoin(
        User, and_(User.tenant_id == AuditEntry.tenant_id, User.id == AuditEntry.actor_id)
    )
    if action := filters.get("action"):
        statement = statement.where(AuditEntry.action.startswith(action, autoescape=True))
    if actor := filters.get("actor"):
        statement = statement.where(User.search_text.startswith(actor.casefold().replace("ё", "е"), autoescape=True))
    if kind := filters.get("object"):
        statement = statement.where(AuditEntry.object_type == kind)
    if (first := _day(filters.get("from"))) is not None:
        statement = statement.where(AuditEntry.occurred_at >= first)
    if (last := _day(filters.get("to"))) is not None:
        statement = statement.where(AuditEntry.occurred_at < last + timedelta(days=1))
    return statement


def entry(entry_id: UUID) -> Any:
    """One entry, or None."""
    return db.session.execute(entries({}).where(AuditEntry.id == entry_id)).one_or_none()


def _day(value: str | None) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(value), time(), ZoneInfo(g.tenant.timezone)) if value else None
    except ValueError:
        return None
