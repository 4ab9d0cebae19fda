"""Who may what: the frozen roles, a tenant's own ones, and giving and taking them (G1 to G3).

Nobody gives, takes or makes more than they have themselves, nor touches the account of somebody who has more; somebody
always remains an admin. Each change ends the
sessions of the people it concerns (S2), and whatever they begin after it asks for the role anew (R14).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import ColumnElement, Text, Uuid, cast, null, select, union_all

from portal.extensions import db
from portal.identity import queries, service
from portal.identity.events import RoleChanged
from portal.identity.models import CustomRole, RoleAssignment, TenantRole, User
from portal.identity.person import known
from portal.kernel import clock
from portal.kernel.authz import BUSINESS_ROLES, TENANT_ROLES, Permission
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import Conflict, NotFound, PortalError
from portal.kernel.model import I18n
from portal.kernel.tenancy import current_tenant_id
from portal.kernel.turns import take_turn
from portal.web.locale import first_locale

REACHES: dict[str, frozenset[Permission]] = {"tenant": TENANT_ROLES["admin"], "business": BUSINESS_ROLES["owner"]}
FROZEN = {"member", "operator", *BUSINESS_ROLES, *TENANT_ROLES}
LONGEST_NAME = 60


class TooMuch(PortalError):
    """Somebody would give or take what they do not have themselves."""

    code, status = "role.too_much", 403


class Untouchable(PortalError):
    """Somebody would change the account of a person who may do what they may not."""

    code, status = "member.untouchable", 403


class LastAdmin(PortalError):
    """The circle would be left without an admin, or without its owner."""

    code, status = "role.last_admin", 409


class InvalidRole(PortalError):
    """A role without a name, without a permission, or with one that its reach does not have."""

    code = "role.invalid"


def refuse_more(wanted: Iterable[str], business_id: UUID | None = None) -> None:
    """Raises `TooMuch` unless the acting person has all of it, at this business where one is named.

    The portal itself, an operator and the command line may.
    """
    if g.get("actor_kind") != "member" or g.get("actor_id") is None:
        return
    if set(wanted) - held_by(g.actor_id, business_id):
        raise TooMuch(gettext("You can give or take only what you may do yourself."))


def held_by(user_id: UUID, business_id: UUID | None = None) -> frozenset[Permission]:
    """What somebody may do over the tenant, and at a business where one is named; read anew."""
    from portal.partners.models import BusinessStaff

    roles = select(TenantRole.role).where(TenantRole.user_id == user_id)
    found = frozenset[Permission]().union(*(TENANT_ROLES[role] for role in db.session.scalars(roles)))
    reach: ColumnElement[bool] = RoleAssignment.business_id.is_(None)
    if business_id is not None:
        reach |= RoleAssignment.business_id == business_id
        posts = select(BusinessStaff.role).where(
            BusinessStaff.user_id == user_id,
            BusinessStaff.business_id == business_id,
            BusinessStaff.archived_at.is_(None),
        )
        found = found.union(*(BUSINESS_ROLES[role] for role in db.session.scalars(posts)))
    custom = (
        select(CustomRole.permissions)
        .join(RoleAssignment, RoleAssignment.role_id == CustomRole.id)
        .where(RoleAssignment.user_id == user_id, reach)
    )
    return found.union(*(known(names) for names in db.session.scalars(custom)))


def refuse_touching(user_id: UUID) -> None:
    """Raises `Untouchable` unless all that this person may do, at every business and place, is the acting person's too.

    Whoever gives an account another contact, merges it, ends it or signs it out could come in by it or keep its person
    out. To be called with the account locked. One's own account, the portal itself, an operator and the command line may.
    """
    if g.get("actor_kind") != "member" or g.get("actor_id") in {None, user_id}:
        return
    held = _everywhere(g.actor_id, user_id)
    own = [row for row in held if row.user_id == g.actor_id]
    for theirs in held:
        if theirs.user_id == user_id and _allowed(theirs) - frozenset().union(
            *(_allowed(row) for row in own if _covers(row, theirs))
        ):
            raise Untouchable(gettext("This person may do more here than you. Ask an admin to change the account."))


def may_touch(user_id: UUID) -> bool:
    """Whether the acting person may change this account (`refuse_touching`), so that a page offers it."""
    try:
        refuse_touching(user_id)
    except Untouchable:
        return False
    return True


def _everywhere(*user_ids: UUID) -> Sequence[Any]:
    """All that they have, read anew: a frozen `role` or `permissions` of the tenant's own, a business and a place or neither."""
    from portal.partners.models import BusinessStaff

    nowhere, own = cast(null(), Uuid), cast(null(), CustomRole.permissions.type)
    found = union_all(
        select(
            TenantRole.user_id,
            TenantRole.role,
            own.label("permissions"),
            nowhere.label("business_id"),
            nowhere.label("location_id"),
        ).where(TenantRole.user_id.in_(user_ids)),
        select(
            BusinessStaff.user_id, BusinessStaff.role, own, BusinessStaff.business_id, BusinessStaff.location_id
        ).where(BusinessStaff.user_id.in_(user_ids), BusinessStaff.archived_at.is_(None)),
        select(
            RoleAssignment.user_id,
            cast(null(), Text),
            CustomRole.permissions,
            RoleAssignment.business_id,
            RoleAssignment.location_id,
        )
        .join(CustomRole, RoleAssignment.role_id == CustomRole.id)
        .where(RoleAssignment.user_id.in_(user_ids)),
    )
    return db.session.execute(found).all()


def _allowed(row: Any) -> frozenset[Permission]:
    return known(row.permissions) if row.role is None else {**BUSINESS_ROLES, **TENANT_ROLES}[row.role]


def _covers(own: Any, theirs: Any) -> bool:
    """What one has over the circle reaches everywhere; what one has at a business reaches its places."""
    if own.business_id is None:
        return True
    return own.business_id == theirs.business_id and own.location_id in {None, theirs.location_id}


@command("role.grant", emits=(RoleChanged,))
def grant_role(user_id: UUID, role: str) -> None:
    """Give somebody a role over the whole tenant: editor, support, finance or admin. They sign in anew (S2)."""
    member = service.locked(user_id)
    refuse_more(TENANT_ROLES[role])
    journal().about("member", user_id)
    if role in queries.tenant_roles(user_id):
        journal().unchanged()
        return
    db.session.add(TenantRole(user_id=user_id, role=role))
    changed(member.id, "given", role)


@command("role.take", emits=(RoleChanged,))
def take_role(user_id: UUID, role: str) -> None:
    """Take a role over the tenant away; it holds for whatever they begin from now on. Raises `LastAdmin`, `TooMuch`."""
    refuse_more(TENANT_ROLES[role])
    if role == "admin":
        refuse_last_admin(user_id)
    member = service.locked(user_id)
    statement = select(TenantRole).where(TenantRole.user_id == user_id, TenantRole.role == role)
    row = db.session.scalars(statement).one_or_none()
    if row is None:
        raise NotFound(gettext("This person does not have that role."))
    db.session.delete(row)
    changed(member.id, "taken", role)
    journal().about("member", user_id)


def changed(user_id: UUID, how: str, role: str | I18n, business_id: UUID | None = None) -> None:
    """Inside a command: this person's role was given, taken or changed. They sign in anew (S2) and are told.

    `role` is a frozen one, or the names of one of the tenant's own. A role that comes with the account itself needs no
    word of its own.
    """
    from portal.partners.models import Business

    service.sign_out_everywhere(service.locked(user_id))
    shop = db.session.scalar(select(Business.name).where(Business.id == business_id)) if business_id else None
    made_now = db.session.scalar(select(User.joined_at).where(User.id == user_id)) == clock.now()
    names = role if isinstance(role, I18n) else I18n()
    said = names.in_(first_locale()) or str(role)
    emit(
        RoleChanged(member_id=user_id, how=how, role=said, names=dict(names), business=shop or ""), historical=made_now
    )


def refuse_last_admin(user_id: UUID) -> None:
    """Raises `LastAdmin` when nobody else who can sign in is an admin, or this is the owner, whom the operator names.

    Two who go at once wait for each other.
    """
    from portal.tenants.owner import owner_of

    if owner_of(locked=True) == user_id:
        raise LastAdmin(gettext("This is the owner of the circle. The operator of the portal names another one first."))
    admins = db.session.scalars(
        select(TenantRole.user_id).where(TenantRole.role == "admin").order_by(TenantRole.id).with_for_update()
    ).all()
    others = select(User.id).where(
        User.id.in_([one for one in admins if one != user_id]), User.suspended_at.is_(None), User.archived_at.is_(None)
    )
    if user_id in admins and db.session.scalars(others).first() is None:
        raise LastAdmin(gettext("This is the last admin. Give somebody else the role first."))


@command("role.create")
def create_role(name: str | Mapping[str, str], reach: str, permissions: Collection[str]) -> UUID:
    """A role of the tenant's own; `name` in each language, or in the first one. Raises `InvalidRole`, `Conflict`, `TooMuch`."""
    role = CustomRole(name_i18n=_names(name), reach=reach, permissions=_checked(reach, permissions))
    db.session.add(role)
    db.session.flush()
    journal().about("role", role.id)
    return role.id


@command("role.update")
def update_role(role_id: UUID, name: str | Mapping[str, str], permissions: Collection[str]) -> None:
    """Another name or other permissions, which whoever has the role signs in anew for. Raises as `create_role`.

    A name in a language that `name` does not speak of stays.
    """
    role = _locked(role_id)
    refuse_more(role.permissions)
    role.name_i18n = _names(name, but=role)
    wanted = _checked(role.reach, permissions)
    if wanted != role.permissions:
        role.permissions = wanted
        for user_id, business_id in _holders(role_id):
            changed(user_id, "changed", role.name_i18n, business_id)
    journal().about("role", role_id)


@command("role.delete")
def delete_role(role_id: UUID) -> None:
    """A role of the tenant's own that is no more; everybody who has it loses it."""
    role = _locked(role_id)
    refuse_more(role.permissions)
    holders = _holders(role_id)
    for row in db.session.scalars(select(RoleAssignment).where(RoleAssignment.role_id == role_id)):
        db.session.delete(row)
    db.session.flush()
    db.session.delete(role)
    for user_id, business_id in holders:
        changed(user_id, "taken", role.name_i18n, business_id)
    journal().about("role", role_id)


@command("role.assign", emits=(RoleChanged,))
def assign(role_id: UUID, user_id: UUID, business_id: UUID | None = None, *, location_id: UUID | None = None) -> UUID:
    """Give somebody a role of the tenant's own, at a business if it reaches one and at a place of it if they work at one.

    Raises `Conflict`, `TooMuch`, `InvalidRole`.
    """
    role = _locked(role_id)
    if (role.reach == "business") != (business_id is not None):
        raise InvalidRole(gettext("Choose the business for a role at a business, and none for one over the circle."))
    refuse_more(role.permissions, business_id)
    _refuse_foreign(location_id, business_id)
    member = service.locked(user_id)
    here = RoleAssignment.business_id.is_(None) if business_id is None else RoleAssignment.business_id == business_id
    held = select(RoleAssignment.id).where(RoleAssignment.role_id == role_id, RoleAssignment.user_id == user_id, here)
    if db.session.scalar(held):
        raise Conflict(gettext("This person has that role already."))
    row = RoleAssignment(role_id=role_id, user_id=user_id, business_id=business_id, location_id=location_id)
    db.session.add(row)
    db.session.flush()
    changed(member.id, "given", role.name_i18n, business_id)
    journal().about("member", user_id)
    return row.id


@command("role.unassign", emits=(RoleChanged,))
def unassign(assignment_id: UUID) -> None:
    """Take a role of the tenant's own from somebody."""
    row = _assignment(assignment_id)
    role = _locked(row.role_id)
    refuse_more(role.permissions, row.business_id)
    db.session.delete(row)
    changed(row.user_id, "taken", role.name_i18n, row.business_id)
    journal().about("member", row.user_id)


@command("role.move")
def move(assignment_id: UUID, location_id: UUID | None) -> None:
    """Another place for a role at a business; None for every place. It opens nothing more, so nobody signs in anew."""
    row = _assignment(assignment_id)
    refuse_more(_locked(row.role_id).permissions, row.business_id)
    _refuse_foreign(location_id, row.business_id)
    row.location_id = location_id
    journal().about("member", row.user_id)


def custom_roles() -> Sequence[Any]:
    """The tenant's own roles by name."""
    columns = (
        CustomRole.id,
        CustomRole.name.label("name"),
        CustomRole.name_i18n,
        CustomRole.reach,
        CustomRole.permissions,
    )
    return db.session.execute(select(*columns).order_by("name")).all()


def _names(typed: str | Mapping[str, str], but: CustomRole | None = None) -> I18n:
    """The names as they are kept; one at least, and none that another role has in any language: lists name roles by them."""
    said = {first_locale(): typed} if isinstance(typed, str) else typed
    kept = {**(but.name_i18n if but else {}), **{code: " ".join(name.split()) for code, name in said.items()}}
    names = I18n({code: name for code, name in kept.items() if name})
    if not names or any(len(name) > LONGEST_NAME or name.casefold() in FROZEN for name in names.values()):
        raise InvalidRole(gettext("Give the role a name of its own, of up to 60 letters."), field="name")
    take_turn(f"{current_tenant_id()}role names")
    others = select(CustomRole.name_i18n)
    for other in db.session.scalars(others if but is None else others.where(CustomRole.id != but.id)):
        if {name.casefold() for name in other.values()} & {name.casefold() for name in names.values()}:
            raise Conflict(gettext("There is a role of that name already."), field="name")
    return names


def _checked(reach: str, permissions: Collection[str]) -> list[str]:
    if reach not in REACHES or not permissions or set(permissions) - REACHES[reach]:
        raise InvalidRole(gettext("Tick at least one, and only what such a role can have."), field="permissions")
    refuse_more(permissions)
    return sorted(str(one) for one in set(permissions))


def _locked(role_id: UUID) -> CustomRole:
    row = db.session.scalars(select(CustomRole).where(CustomRole.id == role_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(gettext("There is no such role."))
    return row


def _assignment(assignment_id: UUID) -> RoleAssignment:
    wanted = select(RoleAssignment).where(RoleAssignment.id == assignment_id).with_for_update()
    row = db.session.scalars(wanted).one_or_none()
    if row is None:
        raise NotFound(gettext("This person does not have that role."))
    return row


def _refuse_foreign(location_id: UUID | None, business_id: UUID | None) -> None:
    from portal.partners.models import BusinessLocation

    open_ = (BusinessLocation.business_id == business_id, BusinessLocation.archived_at.is_(None))
    own = select(BusinessLocation.id).where(BusinessLocation.id == location_id, *open_)
    if location_id is not None and db.session.scalar(own) is None:
        raise InvalidRole(gettext("This place is not one of that business."), field="location_id")


def _holders(role_id: UUID) -> Sequence[tuple[UUID, UUID | None]]:
    """Who has the role, and where; in the order in which the accounts are locked."""
    held = select(RoleAssignment.user_id, RoleAssignment.business_id).where(RoleAssignment.role_id == role_id)
    return [(row.user_id, row.business_id) for row in db.session.execute(held.order_by(RoleAssignment.user_id))]
