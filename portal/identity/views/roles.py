"""Roles and permissions: who may what, roles of the tenant's own, and who has them."""

from typing import Any
from uuid import UUID

from flask import flash, redirect, request, url_for
from flask_babel import gettext
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from portal.extensions import db
from portal.identity import labels
from portal.identity import roles as service
from portal.identity.forms import GrantForm, RoleForm, role_form
from portal.identity.models import CustomRole, RoleAssignment, TenantRole, User
from portal.identity.queries import find_member
from portal.identity.stepup import fresh_to_write
from portal.identity.views.blueprints import roles_admin
from portal.kernel.authz import BUSINESS_ROLES, TENANT_ROLES
from portal.kernel.authz import Permission as P
from portal.kernel.errors import PortalError
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.security import reading


@roles_admin.route("", methods=["GET", "POST"], permission=P.ROLES_MANAGE)
@fresh_to_write
def roles() -> Response:
    """The matrix of roles and permissions, and who has a role over the circle; giving one."""
    form = _grant_form()
    if reading():
        return _page(form)
    if form.validate():
        member = find_member(form.who.data or "")
        if member is None:
            words = gettext("Nobody in this circle has that. The person joins first, as a member.")
            form.who.errors = [*form.who.errors, words]
        else:
            try:
                _give(form, member.id)
            except PortalError as refused:
                field = form.place if refused.extra.get("field") == "location_id" else form.role
                field.errors = [*field.errors, refused.message]
            else:
                flash(gettext("%(name)s has the role now and signs in anew.", name=member.name))
                return _to_list()
    return _page(form, status=422)


@roles_admin.route("/grants/<uuid:grant_id>/end", methods=["POST"], permission=P.ROLES_MANAGE)
@fresh_to_write
def end_grant(grant_id: UUID) -> Response:
    """Take a role over the circle away."""
    found = get_or_404(TenantRole, grant_id)
    taken = lambda: service.take_role(found.user_id, found.role)  # noqa: E731
    return _told(taken, gettext("The role is taken; it holds at once."))


@roles_admin.route("/assignments/<uuid:assignment_id>/end", methods=["POST"], permission=P.ROLES_MANAGE)
@fresh_to_write
def end_assignment(assignment_id: UUID) -> Response:
    """Take a role of the circle's own away."""
    get_or_404(RoleAssignment, assignment_id)
    return _told(lambda: service.unassign(assignment_id), gettext("The role is taken; it holds at once."))


@roles_admin.route("/new", methods=["GET", "POST"], permission=P.ROLES_MANAGE)
@fresh_to_write
def new_role() -> Response:
    """A role of the circle's own: over the circle, or with `?reach=business` at a business."""
    kind = "business" if request.args.get("reach") == "business" else "tenant"
    form = role_form(_offered(kind), {}, [])
    if request.method == "POST" and form.validate():
        try:
            service.create_role(form.names, kind, form.permissions.data or [])
        except PortalError as refused:
            _put(form, refused)
        else:
            flash(gettext("The role is made. Now give it to somebody."))
            return _to_list()
    return _form(
        form, kind, gettext("New role over the circle") if kind == "tenant" else gettext("New role at a business")
    )


@roles_admin.route("/<uuid:role_id>", methods=["GET", "POST"], permission=P.ROLES_MANAGE)
@fresh_to_write
def role(role_id: UUID) -> Response:
    """Change a role of the circle's own."""
    found = get_or_404(CustomRole, role_id)
    form = role_form(_offered(found.reach), found.name_i18n, found.permissions)
    if request.method == "POST" and form.validate():
        try:
            service.update_role(role_id, form.names, form.permissions.data or [])
        except PortalError as refused:
            _put(form, refused)
        else:
            flash(gettext("Saved. Whoever has the role signs in anew."))
            return _to_list()
    return _form(form, found.reach, found.name, role_id)


@roles_admin.route("/<uuid:role_id>/end", methods=["POST"], permission=P.ROLES_MANAGE)
@fresh_to_write
def stop_role(role_id: UUID) -> Response:
    """Remove a role of the circle's own from everybody."""
    get_or_404(CustomRole, role_id)
    return _told(lambda: service.delete_role(role_id), gettext("The role is no more."))


def _form(form: RoleForm, reach: str, title: str, role_id: UUID | None = None) -> Response:
    status = 422 if form.errors else 200
    return render("identity/role.html", form=form, reach=reach, title=title, role_id=role_id, status=status)


def _offered(reach: str) -> list[tuple[str, str]]:
    """What such a role can have, less what the reader does not have themselves."""
    can = service.REACHES[reach] & current_user.permissions
    return [(name, words) for name, words in labels.permissions().items() if name in can]


def _grant_form() -> GrantForm:
    from portal.partners.queries import open_businesses, open_places

    form = GrantForm()
    own = service.custom_roles()
    form.role.choices = [
        *((name, labels.role(name)) for name in TENANT_ROLES),
        *((str(one.id), one.name + ("" if one.reach == "tenant" else " · " + gettext("at a business"))) for one in own),
    ]
    form.business.choices = [("", gettext("none")), *((str(shop.id), shop.name) for shop in open_businesses())]
    places = ((str(place.id), f"{place.business} · {place.name}") for place in open_places())
    form.place.choices = [("", gettext("every place")), *places]
    return form


def _give(form: GrantForm, member_id: UUID) -> None:
    if form.role.data in TENANT_ROLES:
        service.grant_role(member_id, form.role.data)
    else:
        shop = UUID(form.business.data) if form.business.data else None
        place = UUID(form.place.data) if form.place.data else None
        service.assign(UUID(form.role.data), member_id, shop, location_id=place)


def _put(form: RoleForm, refused: PortalError) -> None:
    field = form.name_fields[0][1] if refused.extra.get("field") == "name" else form.permissions
    field.errors = [*field.errors, refused.message]


def _told(act: Any, said: str) -> Response:
    try:
        act()
    except PortalError as refused:
        return _page(_grant_form(), refusal=refused.message, status=refused.status)
    flash(said)
    return _to_list()


def _page(form: GrantForm, *, refusal: str = "", status: int = 200) -> Response:
    from portal.partners.models import Business, BusinessLocation

    frozen = db.session.execute(
        select(TenantRole.id, TenantRole.role, User.id.label("user_id"), User.name)
        .join(User, (User.tenant_id == TenantRole.tenant_id) & (User.id == TenantRole.user_id))
        .order_by(User.name, TenantRole.role)
    ).all()
    own = db.session.execute(
        select(RoleAssignment.id, CustomRole.name.label("role"), User.id.label("user_id"), User.name, Business.name.label("business"), BusinessLocation.name.label("place"))
        .join(CustomRole, (CustomRole.tenant_id == RoleAssignment.tenant_id) & (CustomRole.id == RoleAssignment.role_id))
        .join(User, (User.tenant_id == RoleAssignment.tenant_id) & (User.id == RoleAssignment.user_id))
        .outerjoin(Business, (Business.tenant_id == RoleAssignment.tenant_id) & (Business.id == RoleAssignment.business_id))
        .outerjoin(BusinessLocation, (BusinessLocation.tenant_id == RoleAssignment.tenant_id) & (BusinessLocation.id == RoleAssignment.location_id))
        .order_by(User.name, CustomRole.name)
    ).all()  # fmt: skip
    custom = service.custom_roles()
    columns = [(labels.role(name), held) for name, held in (*BUSINESS_ROLES.items(), *TENANT_ROLES.items())]
    columns += [(one.name, frozenset(one.permissions)) for one in custom]
    return render(
        "identity/roles.html",
        form=form,
        frozen=frozen,
        own=own,
        custom=custom,
        columns=columns,
        permissions=labels.permissions().items(),
        role_name=labels.role,
        refusal=refusal,
        status=status,
    )


def _to_list() -> Response:
    return redirect(url_for("roles_admin.roles"), code=303)
