"""Reading the audit log."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import Select, and_, false, select, union_all

from portal.audit.models import AuditKey, AuditRoot, AuditSeal
from portal.extensions import db
from portal.identity.models import User
from portal.identity.queries import matching
from portal.kernel.audit import AuditEntry
from portal.partners.models import ApiKey, Business

NAMED: dict[str, Any] = {"member": User, "business": Business, "api_key": ApiKey}

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
    """Entries by act, actor's name, kind of actor, kind of object, one object, days from and to in the tenant's zone."""
    statement = select(*COLUMNS).outerjoin(
        User, and_(User.tenant_id == AuditEntry.tenant_id, User.id == AuditEntry.actor_id)
    )
    if action := filters.get("action"):
        statement = statement.where(AuditEntry.action == action)
    if actor := filters.get("actor"):
        named = matching(statement, actor)
        statement = statement.where(false()) if named is None else named
    if by := filters.get("by"):
        statement = statement.where(AuditEntry.actor_kind == by)
    if kind := filters.get("object"):
        statement = statement.where(AuditEntry.object_type == kind)
    if (one := _id(filters.get("id"))) is not None:
        statement = statement.where(AuditEntry.object_id == one)
    if (first := _day(filters.get("from"))) is not None:
        statement = statement.where(AuditEntry.occurred_at >= first)
    if (after := _day(filters.get("to"), 1)) is not None:
        statement = statement.where(AuditEntry.occurred_at < after)
    return statement


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def entry(entry_id: UUID) -> Any:
    """One entry, or None."""
    return db.session.execute(entries({}).where(AuditEntry.id == entry_id)).one_or_none()


def names_of(rows: Sequence[Any]) -> dict[UUID, str]:
    """What the things that entries are about are called: members, businesses, keys; one statement for all of them."""
    wanted: dict[str, set[UUID]] = {}
    for row in rows:
        if row.object_type in NAMED and row.object_id:
            wanted.setdefault(row.object_type, set()).add(row.object_id)
    if not wanted:
        return {}
    parts = [select(NAMED[kind].id, NAMED[kind].name).where(NAMED[kind].id.in_(ids)) for kind, ids in wanted.items()]
    return {row.id: row.name for row in db.session.execute(union_all(*parts) if len(parts) > 1 else parts[0])}


def _day(value: str | None, later: int = 0) -> datetime | None:
    try:
        day = date.fromisoformat(value or "") + timedelta(days=later)
    except (ValueError, OverflowError):
        return None
    return datetime.combine(day, time(), ZoneInfo(g.tenant.timezone))


LAST = 30  # seals and signed roots on the page of the chain


def last_seals() -> Sequence[Any]:
    """The newest seals, the last first."""
    columns = (AuditSeal.n, AuditSeal.count, AuditSeal.hash, AuditSeal.sealed_at)
    return db.session.execute(select(*columns).order_by(AuditSeal.n.desc()).limit(LAST)).all()


def signed_roots() -> Sequence[Any]:
    """The roots signed last, the newest first."""
    columns = (AuditRoot.id, AuditRoot.n, AuditRoot.entries, AuditRoot.hash, AuditRoot.signed_at)
    return db.session.execute(select(*columns).order_by(AuditRoot.n.desc()).limit(LAST)).all()


def public_key() -> str | None:
    """The key that the tenant's roots are checked with, in hexadecimal."""
    return db.session.scalar(select(AuditKey.public_key))
