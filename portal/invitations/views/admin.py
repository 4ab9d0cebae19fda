"""The admin's invitations: who was asked and where it stands; asking one, many, and members who never signed in."""

from typing import Any
from uuid import UUID

from flask import flash, redirect, request, url_for
from flask_babel import gettext, ngettext
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from portal.extensions import db
from portal.identity import labels as people_labels
from portal.identity import roles
from portal.identity.models import User
from portal.identity.stepup import fresh, fresh_to_write
from portal.identity.views import roster
from portal.invitations import queries, service
from portal.invitations.forms import InviteForm, SignInForm, StaffForm
from portal.invitations.models import Invitation
from portal.invitations.views import listing
from portal.invitations.views.blueprints import admin
from portal.kernel.authz import BUSINESS_ROLES, TENANT_ROLES
from portal.kernel.authz import Permission as P
from portal.kernel.errors import PortalError
from portal.kernel.reads import written_down
from portal.partners.queries import open_businesses
from portal.web import paging
from portal.web.fragments import render
from portal.web.lookup import get_or_404

AT_ONCE = 500  # members of a list who are asked at one press


@admin.route("", permission=P.MEMBERS_CREATE)
def invitations() -> Response:
    return render("invitations/admin.html", fragment="invitations_list", **listing.found())


@admin.route("/new", methods=["GET", "POST"], permission=P.MEMBERS_CREATE)
def new() -> Response:
    """Invite one person to join."""
    form = InviteForm()
    if request.method == "POST" and (led := listing.invite(form, _list())) is not None:
        return led
    return render("invitations/new.html", form=form, status=422 if form.errors else 200)


@admin.route("/staff", methods=["GET", "POST"], permission=P.ROLES_MANAGE)
@fresh_to_write
def staff() -> Response:
    """Invite one person to a role, over the circle or at a business."""
    own = roles.custom_roles()
    choices = [(name, people_labels.role(name)) for name in (*BUSINESS_ROLES, *TENANT_ROLES)]
    form = StaffForm([*choices, *((str(one.id), one.name) for one in own)], open_businesses())
    if request.method == "POST" and (led := listing.invite(form, _list())) is not None:
        return led
    return render("invitations/staff.html", form=form, status=422 if form.errors else 200)


@admin.route("/file", methods=["GET", "POST"], permission=P.MEMBERS_CREATE)
@fresh
def table() -> Response:
    """Invite everybody of a list, members and staff."""
    return listing.people("invitations/table.html", _list())


@admin.route("/<uuid:invitation_id>/again", methods=["POST"], permission=P.MEMBERS_CREATE)
def again(invitation_id: UUID) -> Response:
    row = get_or_404(Invitation, invitation_id)
    said = gettext("A new link is on its way; the one before ends.")
    return listing.told(lambda: service.send_again(invitation_id), row, said, _list())


@admin.route("/<uuid:invitation_id>/withdrawal", methods=["POST"], permission=P.MEMBERS_CREATE)
def withdraw(invitation_id: UUID) -> Response:
    row = get_or_404(Invitation, invitation_id)
    said = gettext("Withdrawn: the link opens nothing any more.")
    return listing.told(lambda: service.withdraw(invitation_id), row, said, _list())


@admin.route("/members/<uuid:member_id>", methods=["GET", "POST"], permission=P.MEMBERS_UPDATE)
@fresh_to_write
def to_sign_in(member_id: UUID) -> Response:
    """Ask a member who never signed in, for instance one enrolled at a till, to choose how they will."""
    found = get_or_404(User, member_id)
    roles.refuse_touching(member_id)
    form = SignInForm(data={"contact": found.email or found.phone or ""})
    if request.method == "POST" and form.validate():
        try:
            service.invite(service.Guest(form.contact.data or "", member_id=member_id))
        except PortalError as refused:
            form.contact.errors = [refused.message]
        else:
            flash(gettext("The invitation is on its way."))
            return redirect(url_for("identity_admin.member", member_id=member_id), code=303)
    if found.email or found.phone:
        written_down("member.read_contacts", about=("member", member_id))
    return render("invitations/to_sign_in.html", form=form, member=found, status=422 if form.errors else 200)


@admin.route("/members", methods=["GET", "POST"], permission=P.MEMBERS_UPDATE)
def all_to_sign_in() -> Response:
    """Ask everybody of the members' list, as it is narrowed, who never signed in."""
    filters, q = paging.filters(*roster.FILTERS), paging.query_text()
    never = select(User.id).where(*queries.never_in(), User.id.in_(_ids(filters, q)))
    reached = never.where(User.email.is_not(None) | User.phone.is_not(None))
    if request.method == "POST":
        asked, _ = service.invite_all(_guests(reached))
        flash(ngettext("%(num)s invitation is on its way.", "%(num)s invitations are on their way.", asked))
        return redirect(request.full_path.rstrip("?"), code=303)
    ready = reached.where(~queries.asked_already())
    return render(
        "invitations/all_to_sign_in.html",
        never=_many(never),
        ready=_many(ready),
        asked=_many(never.where(queries.asked_already())),
        silent=_many(never.where(User.email.is_(None), User.phone.is_(None))),
        at_once=AT_ONCE,
        filters=filters,
        q=q,
    )


def _ids(filters: dict[str, str], q: str) -> Any:
    return roster.found(filters, q).with_only_columns(User.id)


def _guests(reached: Any) -> list[service.Guest]:
    waiting = reached.where(~queries.asked_already()).with_only_columns(User.id, User.email, User.phone)
    rows = db.session.execute(waiting.order_by(User.id).limit(AT_ONCE)).all()
    return [service.Guest(row.email or row.phone, member_id=row.id) for row in rows]


def _many(statement: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(statement.subquery())) or 0


def _list() -> str:
    return url_for("invitations_admin.invitations")
