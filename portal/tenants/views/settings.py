"""A tenant's stylesheet, and the first page of what its admin may set."""

from typing import Any

from flask import Response, abort, flash, g, redirect, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from portal.kernel import clock
from portal.kernel.authz import PUBLIC, Permission, PortalBlueprint
from portal.tenants import brand as brands
from portal.tenants import change, hosts
from portal.tenants.forms import ClockForm, SettingsForm
from portal.web.fragments import render
from portal.web.security import reading

blueprint = PortalBlueprint("tenants", __name__, room="public")
admin = PortalBlueprint("tenants_admin", __name__, room="admin")
P = Permission
PLAIN = ("name", "timezone", "default_locale", "locales")


@blueprint.route("/brand/<digest>.css", permission=PUBLIC)
def brand(digest: str) -> Response:
    """The acting tenant's colours; the name is the content's digest, so browsers keep it for ever."""
    if digest != brands.digest(g.tenant.brand):
        abort(404)
    response = Response(brands.stylesheet(g.tenant.brand), mimetype="text/css")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


@admin.route("/admin/settings", methods=["GET", "POST"], permission=P.SETTINGS_UPDATE)
def settings() -> Answer:
    """Name, time zone, languages and the region of telephone numbers."""
    if reading():
        return _page(SettingsForm(data=_stored()))
    form = SettingsForm()
    if not form.validate():
        return _page(form, status=422)
    values: dict[str, Any] = {name: form[name].data for name in PLAIN}
    values["locales"].sort(key=lambda code: (code not in g.tenant.locales, _place(code)))
    try:
        change.update_tenant("settings", {**values, "settings.region": form.region.data or None}, seen=form.version)
    except change.ChangedMeanwhile as error:
        return _page(form, told=error.message, status=409)
    hosts.forget()
    flash(gettext("Saved. Everybody sees it within seconds."))
    return redirect(url_for("tenants_admin.settings"), code=303)


def _place(code: str) -> int:
    """Languages keep their order: the same ones ticked again are no change."""
    return g.tenant.locales.index(code) if code in g.tenant.locales else 0


def _stored() -> dict[str, Any]:
    tenant = g.tenant
    plain = {name: getattr(tenant, name) for name in PLAIN}
    return {**plain, "region": tenant.settings.get("region", ""), "seen": str(change.latest())}


def _page(form: SettingsForm, *, moves: ClockForm | None = None, told: str = "", status: int = 200) -> Answer:
    return render(
        "tenants/settings.html",
        form=form,
        moves=moves or ClockForm(formdata=None),
        told=told,
        now=clock.now(),
        status=status,
    )


@admin.route("/admin/settings/clock", methods=["POST"], permission=P.SETTINGS_UPDATE)
def create_clock_move() -> Answer:
    """Move a sandbox's time forward, to see expiries and tiers happen."""
    if g.tenant.kind != "sandbox":
        abort(404)
    form = ClockForm()
    if not form.validate():
        return _page(SettingsForm(formdata=None, data=_stored()), moves=form, status=422)
    change.move_clock(form.days.data or 0)
    hosts.forget()
    flash(gettext("The clock has moved."))
    return redirect(url_for("tenants_admin.settings"), code=303)
