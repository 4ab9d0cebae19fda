"""Looking for people: by what identifies them exactly, or by the beginnings of words; always by an index (D6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, any_, cast, func, literal, or_, select, union_all

from portal.extensions import db
from portal.identity import cards, contacts, words
from portal.identity.models import CustomRole, DeviceSession, MemberWord, RoleAssignment, TenantRole, User
from portal.kernel.driver import driver_sql, run
from portal.kernel.tenancy import current_tenant_id


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member as lists and tills show one."""

    id: UUID
    name: str
    card_number: str
    phone: str | None
    email: str | None
    locale: str | None
    suspended_at: datetime | None
    suspended_reason: str | None
    joined_at: datetime


COLUMNS = (
    User.id,
    User.name,
    User.card_number,
    User.phone,
    User.email,
    User.locale,
    User.suspended_at,
    User.suspended_reason,
    User.joined_at,
)
_BY = {
    column: driver_sql(
        f"SELECT {', '.join(c.key for c in COLUMNS)}, merged_into FROM users"
        f" WHERE tenant_id = :tenant AND {column} = :value AND archived_at IS NULL"
    )
    for column in ("id", "card_number", "email", "phone")
}


def admins() -> Sequence[UUID]:
    """The tenant's admins."""
    return db.session.scalars(select(TenantRole.user_id).where(TenantRole.role == "admin")).all()


def find_member(text: str) -> MemberRow | None:
    """The one member that this names exactly: card in any writing, QR address, telephone, e-mail. Else None.

    What names somebody who was merged into another leads there (D28).
    """
    card = cards.valid_card(text)
    row = _named_by("card_number", card) if card else None
    if row is None and (typed := _contact(text)):
        row = _named_by(*typed)
    if row is None:
        return None
    *shown, merged_into = row
    return member(merged_into) if merged_into else MemberRow(*shown)


def member(member_id: UUID) -> MemberRow | None:
    """The member with this id, or the one whom theirs was merged into (D28); None for an archived one."""
    row = _named_by("id", member_id)
    if row is not None and row.merged_into:
        row = _named_by("id", row.merged_into)
    return MemberRow(*row[:-1]) if row else None


def search_members(q: str, limit: int = 20) -> list[MemberRow]:
    """Members each of whose words the query begins, by name: parts of it, contacts, last digits of card or phone."""
    narrowed = matching(select(*COLUMNS), q)
    if narrowed is None:
        return []
    rows = db.session.execute(narrowed.where(*listed()).order_by(User.search_text, User.id).limit(limit))
    return [MemberRow(*row) for row in rows]


def matching(statement: Any, q: str) -> Select[Any] | None:
    """`statement` over users narrowed to those that the query finds; None when there is nothing to look for."""
    asked = words.of_query(q)
    if not asked:
        return None
    for word in asked:
        begins = or_(*(MemberWord.word.op("^@")(spelling) for spelling in words.spellings(word)))
        statement = statement.where(User.id.in_(select(MemberWord.member_id).where(begins)))
    return statement


def listed() -> tuple[ColumnElement[bool], ...]:
    """Who is shown in lists: neither archived nor merged into somebody else (G14, D28)."""
    return User.archived_at.is_(None), User.merged_into.is_(None)


# For SQL with :tenant and :member, as `x.member_id {ACCOUNTS}`: the member's own rows and those of whoever was merged in.
ACCOUNTS = """= ANY (ARRAY(SELECT cast(:member AS uuid) UNION ALL
                 SELECT merged.id FROM users merged WHERE merged.tenant_id = :tenant AND merged.merged_into = :member))"""


def whose(column: Any, member_id: UUID) -> ColumnElement[bool]:
    """Rows of this member and of everybody who was merged into them (D28); by the index of `column`."""
    merged = select(User.id).where(User.merged_into == member_id)
    accounts = union_all(select(literal(member_id)), merged)
    return column == any_(func.array(accounts.scalar_subquery()))


def survivor(member_id: UUID) -> UUID:
    """Where this id leads: to the member whom theirs was merged into, else to itself."""
    merged = db.session.scalar(select(User.merged_into).where(User.id == member_id))
    return merged or member_id


def account(identifier: str) -> Any:
    """What sign-in needs of the account behind an e-mail or a telephone; None when there is none.

    The contact of somebody who was merged into another opens that other account, with its password and factors (D28).
    """
    typed = _contact(identifier)
    if typed is None:
        return None
    column, value = typed
    columns = (User.id, User.name, User.password_hash, User.auth_epoch, User.suspended_at, User.suspended_reason)
    named = User.__table__.alias("named")
    leads = select(func.coalesce(named.c.merged_into, named.c.id)).where(
        named.c.tenant_id == current_tenant_id(), named.c[column] == value
    )
    return db.session.execute(
        select(*columns).where(User.id == leads.scalar_subquery(), *listed()).limit(1)
    ).one_or_none()


def tenant_roles(user_id: UUID) -> list[str]:
    """The roles that somebody has over the whole tenant: the frozen ones, then the tenant's own by name."""
    frozen = select(TenantRole.role.label("name"), literal(0).label("own")).where(TenantRole.user_id == user_id)
    own = _custom(user_id, RoleAssignment.business_id.is_(None)).add_columns(literal(1)).order_by(None)
    return list(db.session.scalars(frozen.union_all(own).order_by("own", "name")))


def all_roles(user_id: UUID) -> list[str]:
    """The names of every role that somebody has here, at businesses too."""
    from portal.partners.models import BusinessStaff

    posts = select(BusinessStaff.role).where(BusinessStaff.user_id == user_id, BusinessStaff.archived_at.is_(None))
    there = db.session.scalars(_custom(user_id, RoleAssignment.business_id.is_not(None)))
    return sorted({*tenant_roles(user_id), *db.session.scalars(posts), *there})


def _custom(user_id: UUID, where: ColumnElement[bool]) -> Any:
    joined = (RoleAssignment.tenant_id == CustomRole.tenant_id) & (RoleAssignment.role_id == CustomRole.id)
    named = select(CustomRole.name).join(RoleAssignment, joined)
    return named.where(RoleAssignment.user_id == user_id, where).order_by(CustomRole.name)


def role_keys(user_id: UUID) -> list[str]:
    """Every role that somebody has here, over the whole tenant and at businesses: the tenant's own ones by their id."""
    from portal.partners.models import BusinessStaff

    frozen = select(TenantRole.role).where(TenantRole.user_id == user_id)
    posts = select(BusinessStaff.role).where(BusinessStaff.user_id == user_id, BusinessStaff.archived_at.is_(None))
    own = select(cast(RoleAssignment.role_id, Text)).where(RoleAssignment.user_id == user_id)
    return sorted(set(db.session.scalars(frozen.union(posts, own))))


def open_sessions(user_id: UUID, auth_epoch: int, now: datetime) -> list[Any]:
    """The devices that are signed in, the one used last first."""
    statement = (
        select(
            DeviceSession.id,
            DeviceSession.user_agent,
            DeviceSession.ip,
            DeviceSession.created_at,
            DeviceSession.last_seen_at,
            DeviceSession.impersonator_id,
        )
        .where(
            DeviceSession.user_id == user_id,
            DeviceSession.auth_epoch == auth_epoch,
            DeviceSession.state == "full",
            DeviceSession.revoked_at.is_(None),
            DeviceSession.idle_until > now,
            DeviceSession.expires_at > now,
        )
        .order_by(DeviceSession.last_seen_at.desc(), DeviceSession.id)
    )
    return list(db.session.execute(statement))


def _named_by(column: str, value: object) -> Any:
    """One member that is not archived, `COLUMNS` and `merged_into`: what every till asks first, so by the driver."""
    return run(_BY[column], {"tenant": current_tenant_id(), "value": value}).fetchone()


def _contact(text: str) -> tuple[str, str] | None:
    """The column and the value that an e-mail or a telephone is kept as."""
    typed = text.strip()
    try:
        if "@" in typed:
            return "email", contacts.clean_email(typed)
        if contacts.looks_like_phone(typed):
            return "phone", contacts.clean_phone(typed)
    except (contacts.InvalidEmail, contacts.InvalidPhone):
        pass
    return None


def how_many() -> int:
    """The members of this tenant that are not archived; merged accounts are one (D28)."""
    return db.session.scalar(select(func.count()).select_from(User).where(*listed())) or 0
