"""A tenant's stylesheet, and what its admin may set."""

from typing import Any

from flask import Response, abort, flash, g, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from portal.kernel import clock
from portal.kernel.authz import PUBLIC, Permission, PortalBlueprint
from portal.tenants import brand as brands
from portal.tenants.change import move_clock, update_tenant
from portal.tenants.forms import ClockForm, SettingsForm
from portal.web.fragments import render

blueprint = PortalBlueprint("tenants", __name__, room="public")
admin = PortalBlueprint("tenants_admin", __name__, room="admin")


@blueprint.route("/brand/<digest>.css", permission=PUBLIC)
def brand(digest: str) -> Response:
    """The acting tenant's colours; the name is the content's digest, so browsers keep it for ever."""
    if digest != brands.digest(g.tenant.brand):
        abort(404)
    response = Response(brands.stylesheet(g.tenant.brand), mimetype="text/css")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


@admin.route("/admin/settings", methods=["GET", "POST"], permission=Permission.SETTINGS_UPDATE)
def settings() -> Answer:
    """Name, time zone, languages and the one colour; below AA the colour is refused, with the nearest that passes."""
    form = SettingsForm(data=_stored())
    if request.method == "GET":
        return _page(form)
    if form.validate():
        colour = brands.of(form.brand())
        if found := brands.faults(colour):
            near = brands.nearest(colour)
            words = gettext(
                "Too little contrast: %(ratio)s : 1 where 4.5 is needed. The nearest lightness that passes is %(near)s.",
                ratio=f"{found[0].ratio:.1f}",
                near=f"{near.lightness:g}",
            )
            form.lightness.errors = [*form.lightness.errors, words]
        elif form.default_locale.data not in (form.locales.data or []):
            form.default_locale.errors = [*form.default_locale.errors, gettext("Choose one of the languages above.")]
        else:
            update_tenant(
                g.tenant,
                {**{n: form[n].data for n in ("name", "timezone", "default_locale", "locales")}, "brand": form.brand()},
            )
            flash(gettext("Saved. Everybody sees it within seconds."))
            return redirect(url_for("tenants_admin.settings"), code=303)
    return _page(form, 422)


def _stored() -> dict[str, Any]:
    tenant = g.tenant
    brand = brands.of(tenant.brand)
    return {
        "name": tenant.name,
        "timezone": tenant.timezone,
        "locales": tenant.locales,
        "default_locale": tenant.default_locale,
        "hue": brand.hue,
        "chroma": brand.chroma,
        "lightness": brand.lightness,
        "mark": tenant.brand.get("mark", "ring"),
    }


def _page(form: SettingsForm, status: int = 200) -> Answer:
    return render("tenants/settings.html", form=form, clock=ClockForm(formdata=None), now=clock.now(), status=status)


@admin.route("/admin/settings/clock", methods=["POST"], permission=Permission.SETTINGS_UPDATE)
def create_clock_move() -> Answer:
    """Move a sandbox's time forward, to see expiries and tiers happen."""
    form = ClockForm()
    if g.tenant.kind != "sandbox":
        abort(404)
    if form.validate():
        move_clock(form.days.data or 0)
        flash(gettext("The clock has moved."))
    else:
        flash(gettext("Type a number of days from 1 to 400."), "error")
    return redirect(url_for("tenants_admin.settings"), code=303)
