"""My data: what there is, taking it along, leaving. And the admin's way of erasing somebody."""

from typing import Any
from uuid import UUID

from flask import Response, flash, g, redirect, send_file, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.identity import queries, roles, sessions
from portal.identity.limits import PASSWORDS_A_PERSON, limited
from portal.identity.models import User
from portal.identity.service import OwnAccount
from portal.identity.stepup import fresh
from portal.kernel.authz import LOGIN, Permission, PortalBlueprint
from portal.kernel.errors import NotFound, PortalError
from portal.leaving import erasure, export, labels
from portal.leaving.forms import EraseForm, LeaveForm
from portal.wallets.queries import balances
from portal.web.fragments import render
from portal.web.lookup import get_or_404

leaving = PortalBlueprint("leaving", __name__, room="member")
admin = PortalBlueprint("leaving_admin", __name__, room="admin", url_prefix="/admin/members")


@leaving.route("/me/data", permission=LOGIN)
def data() -> Any:
    """What is kept, the way to take it along, the way out."""
    kinds = labels.kinds(export.counted(current_user.id))
    return render("leaving/data.html", kinds=kinds, files=export.waiting(current_user.id))


@leaving.route("/me/data/exports", methods=["POST"], permission=LOGIN)
@fresh
def create_export() -> Any:
    """Have everything packed; the progress is the job's page."""
    return redirect(url_for("jobs.show", job_id=export.request_export(current_user.id)), code=303)


@leaving.route("/me/data/files/<uuid:file_id>", methods=["POST"], permission=LOGIN)
@fresh
def take(file_id: UUID) -> Response:
    """The packed file, once."""
    name, stream = export.take(current_user.id, file_id)
    response = send_file(stream, mimetype="application/zip", as_attachment=True, download_name=name)
    response.call_on_close(stream.close)
    response.headers["Cache-Control"] = "no-store"
    return response


@leaving.route("/me/data/leave", methods=["GET", "POST"], permission=LOGIN)
@limited(PASSWORDS_A_PERSON, of="person")
@fresh
def leave() -> Any:
    """The page that says what leaving does, and leaving."""
    form = LeaveForm()
    if not form.is_submitted() or not form.validate():
        return _leave(form, status=422 if form.errors else 200)
    try:
        erasure.erase(current_user.id, reason=gettext("by their own hand"))
    except PortalError as error:
        form.sure.errors = [error.message]
        return _leave(form, status=max(422, error.status))
    sessions.drop_cookie()
    flash(gettext("You have left. Your name, contacts and profile are gone."))
    return redirect(url_for("home.front"), code=303)


@admin.route("/<uuid:member_id>/erasure", methods=["GET", "POST"], permission=Permission.MEMBERS_ERASE)
@fresh
def erase(member_id: UUID) -> Any:
    """Anonymise a member who asked for it, with a reason."""
    found: User = get_or_404(User, member_id)
    if found.archived_at is not None:
        raise NotFound(gettext("There is no such member."))
    if member_id == current_user.id:
        raise OwnAccount(gettext("Leave by your own page: My data."))
    roles.refuse_touching(member_id)
    form = EraseForm()
    if not form.is_submitted() or not form.validate():
        return _erase(form, found, status=422 if form.errors else 200)
    try:
        erasure.erase(member_id, reason=(form.reason.data or "").strip())
    except PortalError as error:
        form.reason.errors = [error.message]
        return _erase(form, found, status=max(422, error.status))
    flash(gettext("The member is erased; purchases and movements stay without a name."))
    return redirect(url_for("identity_admin.members"), code=303)


def _leave(form: LeaveForm, *, status: int) -> Any:
    return render("leaving/leave.html", form=form, status=status, **_told(current_user.id))


def _erase(form: EraseForm, found: User, *, status: int) -> Any:
    held = queries.tenant_roles(found.id)
    return render("leaving/erase.html", form=form, member=found, roles=held, status=status, **_told(found.id))


def _told(member_id: UUID) -> dict[str, Any]:
    own = [b for b in balances(member_id) if b.type in erasure.BURNT and b.posted > 0]
    return {"kinds": labels.kinds(export.counted(member_id)), "burnt": own, "currency": g.tenant.currency}
