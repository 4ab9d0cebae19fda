"""Pairs of accounts: those that may be one person, those that are not (D28, TMA-2).

Contacts are unique in a tenant once they are written alike, so what is looked for is written alike by people and not by
machines: the same end of a telephone number, one mailbox in several spellings (`+tag`, dots of gmail.com), the same words
of a name with the same birthday, or, weakest, the same words of a name alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import and_, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from portal.extensions import db
from portal.identity import sessions
from portal.identity.models import MemberMerge, MemberPair, User
from portal.kernel.commands import command, journal
from portal.kernel.errors import NotFound
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id

MOST = 50  # pairs a page
ASKED, DISTINCT = "asked", "distinct"
_MAILBOX = """CASE WHEN split_part(u.email, '@', 2) IN ('gmail.com', 'googlemail.com')
            THEN replace(split_part(split_part(u.email, '@', 1), '+', 1), '.', '') || '@gmail.com'
            ELSE split_part(split_part(u.email, '@', 1), '+', 1) || '@' || split_part(u.email, '@', 2) END"""
_WORDS = "(SELECT string_agg(w, ' ' ORDER BY w) FROM unnest(string_to_array(u.search_text, ' ')) w)"
# What may be the same of two people, the strongest first: how it is read from a member, and where there is something to read.
_KEYS = {
    "phone": ("right(u.phone, 10)", "u.phone IS NOT NULL"),
    "email": (f"lower({_MAILBOX})", "u.email IS NOT NULL"),
    "birthday": (f"{_WORDS} || ' ' || b.born_on", "b.born_on IS NOT NULL"),
    "name": (_WORDS, "u.search_text LIKE '% %'"),
}
_PEOPLE = """FROM users u LEFT JOIN profiles b ON b.tenant_id = u.tenant_id AND b.id = u.id
 WHERE u.tenant_id = :tenant AND u.archived_at IS NULL AND u.merged_into IS NULL"""
_KNOWN = """NOT EXISTS (SELECT 1 FROM member_pairs p WHERE p.tenant_id = :tenant AND p.low_id = {low} AND p.high_id = {high} AND p.state = 'distinct')"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two members who may be one, the one who joined first on the left; `why`: asked, phone, email, birthday, name."""

    first: Any
    second: Any
    why: str


def likely(limit: int = MOST) -> list[Pair]:
    """Pairs of the whole tenant, those that a member asked about first; each pair once, by its strongest reason.

    Reads every member once for each reason: a page that is opened now and then.
    """
    found: dict[tuple[UUID, UUID], str] = {}
    asked = select(MemberPair.low_id, MemberPair.high_id).where(MemberPair.state == ASKED).order_by(MemberPair.at)
    for low, high in db.session.execute(asked.limit(limit)):
        found[low, high] = ASKED
    for why, (key, there) in _KEYS.items():
        if len(found) >= limit:
            break
        statement = f"""
        WITH alike AS (SELECT ids FROM (
                SELECT array_agg(u.id ORDER BY u.id) AS ids, {key} AS same {_PEOPLE} AND {there} GROUP BY same) k
             WHERE cardinality(ids) BETWEEN 2 AND 20)
        SELECT x AS low, y AS high FROM alike, unnest(ids) x, unnest(ids) y
         WHERE x < y AND {_KNOWN.format(low="x", high="y")} ORDER BY 1, 2 LIMIT :limit"""
        values = {"tenant": current_tenant_id(), "limit": limit}
        for low, high in db.session.execute(text(statement), values):
            found.setdefault((low, high), why)
    return _pairs(dict(list(found.items())[:limit]))


def like(member: User) -> list[Pair]:
    """Who may be the same person as this member, the likeliest first."""
    found: dict[tuple[UUID, UUID], str] = {}
    own = MemberPair
    asked = select(own.low_id, own.high_id).where(
        own.state == ASKED, (own.low_id == member.id) | (own.high_id == member.id)
    )
    for low, high in db.session.execute(asked):
        found[low, high] = ASKED
    values = {"tenant": current_tenant_id(), "member": member.id}
    for why, (key, there) in _KEYS.items():
        statement = f"""
        SELECT least(u.id, :member), greatest(u.id, :member) {_PEOPLE} AND {there} AND u.id <> :member
           AND {key} = (SELECT {key} {_PEOPLE} AND {there} AND u.id = :member)
           AND {_KNOWN.format(low="least(u.id, :member)", high="greatest(u.id, :member)")} ORDER BY u.id LIMIT 10"""
        for low, high in db.session.execute(text(statement), values):
            found.setdefault((low, high), why)
    return _pairs(found)


def standing(member_id: UUID) -> list[Any]:
    """The merges that stand and that this member is a side of, with the names and the card of the one that went."""
    goes, stays = (User.__table__.alias(name) for name in ("goes", "stays"))
    own = MemberMerge
    statement = (
        select(
            own.id,
            own.from_id,
            own.into_id,
            own.reason,
            own.merged_at,
            own.undo_until,
            goes.c.name.label("from_name"),
            goes.c.card_number.label("from_card"),
            stays.c.name.label("into_name"),
        )
        .join(goes, and_(goes.c.tenant_id == own.tenant_id, goes.c.id == own.from_id))
        .join(stays, and_(stays.c.tenant_id == own.tenant_id, stays.c.id == goes.c.merged_into))
        .where(own.undone_at.is_(None), or_(own.from_id == member_id, goes.c.merged_into == member_id))
    )
    return list(db.session.execute(statement.order_by(own.merged_at, own.id)))


def ask(one: UUID, other: UUID) -> None:
    """Note, inside a command, that a member showed what another has; a pair that staff told apart stays apart."""
    statement = insert(MemberPair).values(_row(one, other, ASKED))
    db.session.execute(statement.on_conflict_do_nothing())


@command("pair.distinguish")
def distinguish(one: UUID, other: UUID) -> None:
    """These are two people: they are not shown as likely ones any more. Raises `NotFound`."""
    there = db.session.scalars(select(User.id).where(User.id.in_([one, other]))).all()
    if len(set(there)) != 2:  # noqa: PLR2004  a pair
        raise NotFound
    statement = insert(MemberPair).values(_row(one, other, DISTINCT))
    names = ("state", "decided_by", "at")
    own = MemberPair
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=[own.tenant_id, own.low_id, own.high_id],
            set_={name: statement.excluded[name] for name in names},
        )
    )
    journal().about("member", one)
    journal().note("member_pairs", other, {"state": [None, DISTINCT]})


def _row(one: UUID, other: UUID, state: str) -> dict[str, Any]:
    low, high = sorted((one, other))
    decided_by = g.get("actor_id") if state == DISTINCT else None
    return {
        "tenant_id": current_tenant_id(),
        "id": new_id(),
        "low_id": low,
        "high_id": high,
        "state": state,
        "decided_by": decided_by,
        "at": sessions.real_now(),
    }


def _pairs(found: dict[tuple[UUID, UUID], str]) -> list[Pair]:
    ids = {member_id for pair in found for member_id in pair}
    columns = (User.id, User.name, User.card_number, User.phone, User.email, User.joined_at, User.suspended_at)
    living = select(*columns).where(User.id.in_(ids), User.archived_at.is_(None), User.merged_into.is_(None))
    people: dict[UUID, Any] = {row.id: row for row in db.session.execute(living)} if ids else {}
    made = []
    for (low, high), why in found.items():
        if low in people and high in people:
            both: Sequence[Any] = sorted((people[low], people[high]), key=lambda row: (row.joined_at, row.id))
            made.append(Pair(both[0], both[1], why))
    return made
