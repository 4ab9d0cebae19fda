"""A tenant's stylesheet, and what its admin may set."""

from typing import Any

from flask import Response, abort, flash, g, redirect, request, url_for
from flask_babel import format_decimal, gettext
from werkzeug.wrappers import Response as Answer

from portal.kernel import clock
from portal.kernel.authz import PUBLIC, Permission, PortalBlueprint
from portal.tenants import brand as brands
from portal.tenants import hosts
from portal.tenants.addresses import addresses  # noqa: F401  its pages are found here
from portal.tenants.announce import announcements, texts  # noqa: F401  and these
from portal.tenants.change import move_clock, update_tenant
from portal.tenants.forms import ClockForm, SettingsForm
from portal.tenants.icons import icons  # noqa: F401  its pages are found here
from portal.tenants.legal_views import legal, legal_admin  # noqa: F401  and these
from portal.tenants.welcome import welcome  # noqa: F401  and these
from portal.web.fragments import render

blueprint = PortalBlueprint("tenants", __name__, room="public")
admin = PortalBlueprint("tenants_admin", __name__, room="admin")
P = Permission
PLAIN = ("name", "timezone", "default_locale", "locales")
LIMITS = {"hue": 360.0, "chroma": 0.4, "lightness": 100.0}


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
    """Name, time zone, languages, region and the one colour; below AA the colour is refused, with the nearest that passes."""
    if request.method == "GET":
        return _page(SettingsForm(data=_stored()), brands.of(g.tenant.brand))
    form = SettingsForm()
    valid, colour = form.validate(), form.colour()
    if colour and request.form.get("take"):
        colour = brands.nearest(colour)
        form.take(colour)
    if colour and (found := _worst(colour)):
        field = form.hex if form.hex.data else form.lightness
        field.errors = [*field.errors, refusal(found)]
    if not valid or form.errors or colour is None:
        return _page(form, colour, status=422)
    mark = form.mark.data or "ring"
    update_tenant(region=form.region.data or "", brand=brands.stored(colour, mark), **{n: form[n].data for n in PLAIN})
    hosts.forget()
    flash(gettext("Saved. Everybody sees it within seconds."))
    return redirect(url_for("tenants_admin.settings"), code=303)


@admin.route("/admin/settings/preview", methods=["POST"], permission=P.SETTINGS_UPDATE)
def preview() -> Answer:
    """What is typed, tried on; nothing is saved."""
    form = SettingsForm()
    form.validate()
    return _page(form, form.colour(), fragment="brand_preview")


@admin.route("/admin/settings/preview.css", permission=P.SETTINGS_UPDATE)
def preview_css() -> Response:
    """The stylesheet of a colour on trial."""
    typed = {name: request.args.get(name, type=float) for name in LIMITS}
    if any(value is None or not 0 <= value <= LIMITS[name] for name, value in typed.items()):
        abort(404)
    colour = brands.Colour(typed["lightness"] or 0.0, typed["chroma"] or 0.0, typed["hue"] or 0.0)
    response = Response(brands.preview(colour), mimetype="text/css")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


def _stored() -> dict[str, Any]:
    tenant = g.tenant
    colour = brands.of(tenant.brand)
    return {
        **{name: getattr(tenant, name) for name in PLAIN},
        "region": tenant.settings.get("region", ""),
        "hue": colour.hue,
        "chroma": colour.chroma,
        "lightness": colour.lightness,
        "mark": tenant.brand.get("mark", "ring"),
    }


def _page(
    form: SettingsForm,
    colour: brands.Colour | None,
    *,
    moves: ClockForm | None = None,
    status: int = 200,
    fragment: str = "main",
) -> Answer:
    """The page with `colour` tried on; where it cannot be read, its worst pair and the nearest colour that can."""
    found = _worst(colour) if colour else None
    return render(
        "tenants/settings.html",
        fragment=fragment,
        form=form,
        moves=moves or ClockForm(formdata=None),
        colour=colour or brands.of(g.tenant.brand),
        typed=colour is not None,
        worst=found,
        refusal=refusal,
        near=brands.nearest(colour) if colour and found else None,
        now=clock.now(),
        status=status,
    )


def _worst(colour: brands.Colour) -> brands.Fault | None:
    """The pair that falls short most."""
    return min(brands.faults(colour), key=lambda fault: fault.ratio / fault.needed, default=None)


def refusal(fault: brands.Fault) -> str:
    """Why a colour is refused, in words."""
    ratio, needed = format_decimal(fault.ratio, "0.0"), format_decimal(fault.needed, "0.0")
    if fault.ground in {"primary", "stage"}:
        words = gettext("Text on this colour cannot be read: contrast %(ratio)s : 1, needed is %(needed)s : 1.")
    elif fault.ink == "primary":
        words = gettext("This colour on paper cannot be read: contrast %(ratio)s : 1, needed is %(needed)s : 1.")
    else:
        words = gettext(
            "Beside this colour some text cannot be read: contrast %(ratio)s : 1, needed is %(needed)s : 1."
        )
    return words % {"ratio": ratio, "needed": needed}


@admin.route("/admin/settings/clock", methods=["POST"], permission=P.SETTINGS_UPDATE)
def create_clock_move() -> Answer:
    """Move a sandbox's time forward, to see expiries and tiers happen."""
    if g.tenant.kind != "sandbox":
        abort(404)
    form = ClockForm()
    if not form.validate():
        return _page(SettingsForm(formdata=None, data=_stored()), brands.of(g.tenant.brand), moves=form, status=422)
    move_clock(form.days.data or 0)
    hosts.forget()
    flash(gettext("The clock has moved."))
    return redirect(url_for("tenants_admin.settings"), code=303)
