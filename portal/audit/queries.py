"""Reading the audit log."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import Select, Text, and_, cast, false, func, or_, select, union, union_all
from sqlalchemy.orm import aliased

from portal.audit import labels
from portal.audit.models import AuditKey, AuditRoot, AuditSeal
from portal.extensions import db
from portal.identity.models import CustomRole, User
from portal.identity.queries import matching
from portal.kernel.audit import AuditEntry
from portal.kernel.tenancy import current_tenant_id
from portal.partners.models import ApiKey, Business

NAMED: dict[str, Any] = {"member": User, "business": Business, "api_key": ApiKey, "role": CustomRole}

Behalf = aliased(User)
COLUMNS = (
    AuditEntry.id,
    AuditEntry.seq,
    AuditEntry.action,
    AuditEntry.actor_id,
    AuditEntry.actor_kind,
    AuditEntry.on_behalf_of,
    AuditEntry.object_type,
    AuditEntry.object_id,
    AuditEntry.changes,
    AuditEntry.reason,
    AuditEntry.ip,
    AuditEntry.request_id,
    AuditEntry.occurred_at,
    User.name.label("actor"),
    Behalf.name.label("behalf"),
)
LOOKING = "looking"  # the filter `by` of what support did through a member's eyes
READ_THROUGH = 100_000  # the newest entries, in whose reasons and values a word is looked for


def entries(q: str, filters: Mapping[str, str], business_id: UUID | None = None) -> Select[Any]:
    """Entries of a business or of all, narrowed by words and by act, actor's name, kind of actor, kind of object, one object,
    the other business, days from and to in the tenant's zone.
    """
    return (
        select(*COLUMNS)
        .outerjoin(User, and_(User.tenant_id == AuditEntry.tenant_id, User.id == AuditEntry.actor_id))
        .outerjoin(Behalf, and_(Behalf.tenant_id == AuditEntry.tenant_id, Behalf.id == AuditEntry.on_behalf_of))
        .where(*conditions(q, filters, business_id))
    )


def conditions(q: str, filters: Mapping[str, str], business_id: UUID | None = None) -> list[Any]:
    """What `entries` narrows by, over the entries alone."""
    found: list[Any] = [_word(word) for word in q.split()[:MOST_WORDS]]
    if business_id is not None:
        found.append(AuditEntry.business_id == business_id)
    if shop := filters.get("business"):
        found.append(AuditEntry.business_id.in_(select(Business.id).where(Business.slug == shop)))
    if action := filters.get("action"):
        found.append(AuditEntry.action == action)
    if actor := filters.get("actor"):
        who = _members(actor)
        found.append(false() if who is None else or_(AuditEntry.actor_id.in_(who), AuditEntry.on_behalf_of.in_(who)))
    if by := filters.get("by"):
        found.append(AuditEntry.on_behalf_of.is_not(None) if by == LOOKING else AuditEntry.actor_kind == by)
    if kind := filters.get("object"):
        found.append(AuditEntry.object_type == kind)
    if (one := _id(filters.get("id"))) is not None:
        found.append(AuditEntry.object_id == one)
    if (first := _moment(filters.get("from"))) is not None:
        found.append(AuditEntry.occurred_at >= first)
    if (after := _moment(filters.get("to"), 1)) is not None:
        found.append(AuditEntry.occurred_at < after)
    return found


MOST_WORDS = 6


def _word(word: str) -> Any:
    """The entries that know a word: by the act's name or its words, who acted, whom or what it is about, an id, the reason, a
    value before or after. Each but the last two by an index; those two among the newest `READ_THROUGH`.
    """
    E = aliased(AuditEntry)  # noqa: N806  a class
    own = E.tenant_id == current_tenant_id()
    seq, folded = E.seq, word.casefold()
    named = [name for name, words in labels.actions().items() if folded in words.casefold() or folded in name]
    legs = [select(seq).where(own, E.action.in_(named))] if named else []
    things = [
        select(kind.id).where(func.lower(kind.name).contains(folded, autoescape=True))
        for kind in (Business, ApiKey, CustomRole)
    ]
    if (who := _members(word)) is not None:
        legs += [select(seq).where(own, E.actor_id.in_(who)), select(seq).where(own, E.on_behalf_of.in_(who))]
        things.append(who)
    kinds = ("business", "api_key", "role", "member")
    legs += [
        select(seq).where(own, E.object_type == kind, E.object_id.in_(one))
        for kind, one in zip(kinds, things, strict=False)
    ]
    if (one := _id(word)) is not None:
        legs.append(select(seq).where(own, or_(E.id == one, E.object_id == one, E.actor_id == one)))
    newest = (
        select(seq, E.reason, E.request_id, E.changes).where(own).order_by(seq.desc()).limit(READ_THROUGH).subquery()
    )
    told = func.lower(func.concat_ws(" ", newest.c.reason, newest.c.request_id, cast(newest.c.changes, Text)))
    legs.append(select(newest.c.seq).where(told.contains(folded, autoescape=True)))
    return AuditEntry.seq.in_(union(*legs))


def _members(name: str) -> Any:
    return matching(select(User.id), name)


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def entry(entry_id: UUID, business_id: UUID | None = None) -> Any:
    """One entry, of that business where one is named; or None."""
    return db.session.execute(entries("", {}, business_id).where(AuditEntry.id == entry_id)).one_or_none()


def names_of(rows: Sequence[Any]) -> dict[UUID, str]:
    """What the things that entries are about are called: members, businesses, keys; one statement for all of them."""
    wanted: dict[str, set[UUID]] = {}
    for row in rows:
        if row.object_type in NAMED and row.object_id:
            wanted.setdefault(row.object_type, set()).add(row.object_id)
    if not wanted:
        return {}
    parts = [
        select(NAMED[kind].id, NAMED[kind].name.label("name")).where(NAMED[kind].id.in_(ids))
        for kind, ids in wanted.items()
    ]
    return {row.id: row.name for row in db.session.execute(union_all(*parts) if len(parts) > 1 else parts[0])}


def day(value: str | None) -> date | None:
    """A day of the address; None for none and for what is no day."""
    try:
        return date.fromisoformat(value or "")
    except ValueError:
        return None


def _moment(value: str | None, later: int = 0) -> datetime | None:
    found = day(value)
    try:
        return datetime.combine(found + timedelta(days=later), time(), ZoneInfo(g.tenant.timezone)) if found else None
    except OverflowError:
        return None


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
