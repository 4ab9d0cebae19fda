"""Every change of the settings: who, when, what; and the way back."""

from typing import Any

from flask import abort, flash, g, redirect, url_for
from flask_babel import gettext
from sqlalchemy import select
from werkzeug.wrappers import Response

from portal.extensions import db
from portal.identity.stepup import fresh
from portal.kernel.authz import Permission, PortalBlueprint
from portal.tenants import change, hosts, words
from portal.tenants.forms import SeenForm
from portal.tenants.models import TenantVersion
from portal.web.fragments import render
from portal.web.paging import Sort, page

versions = PortalBlueprint("tenants_versions", __name__, room="admin", url_prefix="/admin/settings/versions")
P = Permission.SETTINGS_UPDATE
SIZE = 30


@versions.route("", permission=P)
def index() -> Response:
    """The newest first, each with what it changed."""
    found = page(
        _named(),
        sorts={"version": Sort(TenantVersion.version.expression, int)},
        default="-version",
        key=TenantVersion.id.expression,
        size=SIZE,
    )
    state = change.current_state()
    rows = [(row, words.lines(row.before, row.after, state)) for row in found.rows]
    return render("tenants/versions.html", page=found, rows=rows, page_name=words.page_name)


@versions.route("/<int:number>", permission=P)
def version(number: int) -> Response:
    """One change, and what restoring it would bring back; 0 is the state before the first."""
    return _shown(number)


@versions.route("/<int:number>/restoration", methods=["POST"], permission=P)
@fresh
def create_restoration(number: int) -> Response:
    """Put everything back as it was then."""
    try:
        changed = change.restore(number, seen=SeenForm().version)
    except change.ChangedMeanwhile as error:
        return _shown(number, told=error.message, status=409)
    hosts.forget()
    flash(gettext("Restored. Everybody sees it within seconds.") if changed else gettext("Nothing has changed."))
    return redirect(url_for("tenants_versions.index"), code=303)


def _named() -> Any:
    from portal.identity.models import User

    return select(
        TenantVersion.id,
        TenantVersion.version,
        TenantVersion.page,
        TenantVersion.before,
        TenantVersion.after,
        TenantVersion.restored,
        TenantVersion.at,
        User.name.label("actor"),
    ).outerjoin(User, (User.tenant_id == TenantVersion.tenant_id) & (User.id == TenantVersion.actor_id))


def _shown(number: int, *, told: str = "", status: int = 200) -> Response:
    newest = change.latest()
    row = db.session.execute(_named().where(TenantVersion.version == number)).one_or_none()
    if number > newest or (number and row is None) or not newest:
        abort(404)
    state = change.current_state()
    then = change.state_after(number, state)
    back = {name: value for name, value in then.items() if name not in change.OWN_PAGES}
    differing = {name: value for name, value in back.items() if state.get(name) != value}
    return render(
        "tenants/version.html",
        row=row,
        number=number,
        newest=newest,
        lines=words.lines(row.before, row.after, then) if row else [],
        back=words.lines({name: state.get(name) for name in differing}, differing, state),
        page_name=words.page_name,
        form=SeenForm(formdata=None, data={"seen": str(newest)}),
        told=told,
        legal=g.tenant.settings.get("legal"),
        status=status,
    )
