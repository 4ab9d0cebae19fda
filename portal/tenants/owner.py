"""Who answers for a tenant to the operator: an admin whose role nobody in the tenant can take.

The first admin is it from the opening on; only the operator names another one. Whoever may not be taken away as the last
admin may not as the owner either (`roles.refuse_last_admin`): stopped, erased or left without the role.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select, text

from portal.extensions import db
from portal.kernel.commands import command, journal
from portal.kernel.errors import Conflict
from portal.kernel.tenancy import current_tenant_id

ROLE = "tenant_owner"  # as a notice calls it; it is no role in the list of roles
_SET = text("SELECT platform.set_owner(:member)")
_GET = "SELECT owner_id FROM tenants WHERE id = :tenant"


class CannotOwn(Conflict):
    """Somebody who cannot sign in, or who is the owner already."""

    code = "tenant.cannot_own"


def owner_of(*, locked: bool = False) -> UUID | None:
    """The owner of the acting tenant; None where none was named. `locked` holds the answer for this transaction."""
    statement = text(_GET + (" FOR SHARE" if locked else ""))
    owner: UUID | None = db.session.scalar(statement, {"tenant": current_tenant_id()})
    return owner


def own(member_id: UUID) -> None:
    """Inside a command: this member is the owner from now on."""
    db.session.execute(_SET, {"member": member_id})
    journal().note("tenants", current_tenant_id(), ["owner_id"])


@command("tenant.name_owner")
def name_owner(member_id: UUID) -> None:
    """The first owner of a tenant that the command line opens."""
    own(member_id)
    journal().about("tenant", current_tenant_id())


@command("tenant.change_owner")
def change_owner(email: str, *, keep: bool) -> tuple[UUID, UUID | None]:
    """Whoever has this address owns the acting tenant from now on; (the new, the former) owner's id. By an operator.

    They become an admin if they were not; a stranger gets an account, and whoever never signed in a link by mail, again
    too where they are the owner already. The former owner stays an admin with `keep`, else they lose that role. Both are
    told. Raises `CannotOwn`, `contacts.InvalidEmail`, `LimitReached`, and `roles.LastAdmin` where nobody would be left who
    ever signed in as an admin: a mistyped address may be anybody's.
    """
    from portal.identity import queries, roles, service
    from portal.identity.contacts import clean_email
    from portal.identity.models import TenantRole
    from portal.invitations.service import invite_owner, signs_in, withdraw_owners

    mail = clean_email(email)
    former = db.session.scalar(text(_GET + " FOR UPDATE"), {"tenant": current_tenant_id()})
    account = queries.account(mail)
    member_id = (
        account.id
        if account
        else service.register_member(
            name=mail.partition("@")[0],
            email=mail,
            locale=g.tenant.default_locale,
            joined_via="invitation",
            historical=True,  # the invitation is the only mail
        )
    )
    member = service.locked(member_id)
    if member.suspended_at is not None:
        raise CannotOwn(gettext("This person is stopped here. An admin lets them in again first."), field="email")
    arriving = not signs_in(member)
    if member_id == former and not arriving:
        raise CannotOwn(gettext("This person is the owner already."), field="email")
    if arriving and not keep and former not in {None, member_id} and not _admin_beside(former, signs_in):
        raise roles.LastAdmin(
            gettext("This person never signed in here. Let the former owner stay an admin until they have."),
            field="email",
        )
    if member_id != former:
        if "admin" not in queries.tenant_roles(member_id):
            db.session.add(TenantRole(user_id=member_id, role="admin"))
            db.session.flush()
        own(member_id)
        roles.changed(member_id, "given", ROLE)
        if former is not None:
            _release(former, keep=keep)
    if arriving:
        invite_owner(member_id)
    else:
        withdraw_owners()
    journal().about("tenant", current_tenant_id())
    return member_id, former


def _admin_beside(former: UUID | None, signs_in: Callable[[Any], bool]) -> bool:
    """Whether another admin than this one can sign in."""
    from portal.identity.models import TenantRole, User

    others = (
        select(User)
        .join(TenantRole, TenantRole.user_id == User.id)
        .where(TenantRole.role == "admin", User.id != former, User.suspended_at.is_(None), User.archived_at.is_(None))
    )
    return any(signs_in(one) for one in db.session.scalars(others))


def _release(former: UUID, *, keep: bool) -> None:
    from portal.identity import queries, roles
    from portal.identity.models import TenantRole

    if not keep and "admin" in queries.tenant_roles(former):
        roles.refuse_last_admin(former)
        held = select(TenantRole).where(TenantRole.user_id == former, TenantRole.role == "admin")
        db.session.delete(db.session.scalars(held).one())
    roles.changed(former, "taken", ROLE)
