"""Staff on the owner's desk: who works here, giving a post, ending one."""

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from flask import abort, flash, g, redirect, request, url_for
from flask_babel import gettext
from sqlalchemy import Select, select
from werkzeug.wrappers import Response

from portal.identity import labels, roles
from portal.identity.models import RoleAssignment
from portal.identity.queries import find_member
from portal.identity.stepup import fresh_to_write
from portal.kernel.authz import BUSINESS_ROLES
from portal.kernel.authz import Permission as P
from portal.kernel.errors import PortalError
from portal.partners import queries, service
from portal.partners.forms import StaffForm, role_name, role_note
from portal.partners.models import BusinessStaff
from portal.partners.views.blueprints import desk
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.security import reading


@desk.route("/staff", methods=["GET", "POST"], permission=P.STAFF_MANAGE)
@fresh_to_write
def staff() -> Response:
    """Who works here; a member is given a post, or a role of the circle's own, by their exact e-mail, phone or card."""
    form = _form()
    if reading():
        return _page(form)
    if form.validate():
        member = find_member(form.who.data or "")
        if member is None:
            words = gettext("Nobody in this circle has that. The person joins first, as a member.")
            form.who.errors = [*form.who.errors, words]
        else:
            try:
                if own := form.own_role:
                    roles.assign(own, member.id, g.business.id, location_id=form.place)
                else:
                    service.add_staff(g.business.id, member.id, form.role.data, location_id=form.place)
            except PortalError as refused:
                form.who.errors = [*form.who.errors, refused.message]
            else:
                flash(gettext("%(name)s works here now.", name=member.name))
                return _to_list()
    return _page(form, 422)


@desk.route("/staff/<uuid:staff_id>/place", methods=["POST"], permission=P.STAFF_MANAGE)
@fresh_to_write
def move_staff(staff_id: UUID) -> Response:
    """Another place for a post, or every place."""
    own = select(BusinessStaff).where(BusinessStaff.business_id == g.business.id, BusinessStaff.archived_at.is_(None))
    get_or_404(own, staff_id)
    place = _place()
    return _told(lambda: service.move_staff(g.business.id, staff_id, place), gettext("The place is changed."))


@desk.route("/staff/roles/<uuid:assignment_id>/place", methods=["POST"], permission=P.STAFF_MANAGE)
@fresh_to_write
def move_role(assignment_id: UUID) -> Response:
    """Another place for a role of the circle's own here, or every place."""
    get_or_404(_assigned(), assignment_id)
    place = _place()
    return _told(lambda: roles.move(assignment_id, place), gettext("The place is changed."))


@desk.route("/staff/<uuid:staff_id>/end", methods=["POST"], permission=P.STAFF_MANAGE)
@fresh_to_write
def end_staff(staff_id: UUID) -> Response:
    """End a post."""
    own = select(BusinessStaff).where(BusinessStaff.business_id == g.business.id, BusinessStaff.archived_at.is_(None))
    get_or_404(own, staff_id)
    said = gettext("The post is ended; it holds from the next page on.")
    return _told(lambda: service.remove_staff(g.business.id, staff_id), said)


@desk.route("/staff/roles/<uuid:assignment_id>/end", methods=["POST"], permission=P.STAFF_MANAGE)
@fresh_to_write
def end_role(assignment_id: UUID) -> Response:
    """Take a role of the circle's own here away."""
    get_or_404(_assigned(), assignment_id)
    return _told(lambda: roles.unassign(assignment_id), gettext("The role is taken; it holds at once."))


def _assigned() -> Select[Any]:
    return select(RoleAssignment).where(RoleAssignment.business_id == g.business.id)


def _form(**options: Any) -> StaffForm:
    own = [one for one in roles.custom_roles() if one.reach == "business"]
    return StaffForm(queries.locations_of(g.business.id), own, **options)


def _place() -> UUID | None:
    """The place that was chosen; None for every one."""
    wanted = request.form.get("location_id", "")
    place = next((p.id for p in queries.locations_of(g.business.id) if str(p.id) == wanted), None)
    if wanted and place is None:
        abort(422)
    return place


def _told(act: Callable[[], object], said: str) -> Response:
    try:
        act()
    except PortalError as refused:
        return _page(_form(formdata=None), refused.status, refused.message)
    flash(said)
    return _to_list()


def _page(form: StaffForm, status: int = 200, refusal: str = "") -> Response:
    return render(
        "partners/staff.html",
        form=form,
        staff=queries.staff_of(g.business.id),
        own=queries.own_roles_at(g.business.id),
        places=form.places,
        roles=[
            *((role_name(role), role_note(role)) for role in BUSINESS_ROLES),
            *((one.name, _allowed(one.permissions)) for one in form.own),
        ],
        role_name=role_name,
        refusal=refusal,
        status=status,
    )


def _allowed(permissions: Collection[str]) -> str:
    words = labels.permissions()
    return ", ".join(words[name] for name in words if name in permissions)


def _to_list() -> Response:
    return redirect(url_for("partners_desk.staff", business=g.business.slug), code=303)
