"""The brand page: one colour, the mark, the tenant's own logo and icon, and how all of it will look."""

from contextlib import closing
from typing import Any

from flask import Response, abort, flash, g, redirect, request, url_for
from flask_babel import format_decimal, gettext
from werkzeug.wrappers import Response as Answer

from portal.files.service import FileRefused
from portal.kernel.authz import Permission, PortalBlueprint
from portal.tenants import brand as brands
from portal.tenants import change, hosts, icons
from portal.tenants.forms import BrandForm
from portal.web.fragments import render
from portal.web.security import reading

brand_admin = PortalBlueprint("tenants_brand", __name__, room="admin", url_prefix="/admin/settings/brand")
P = Permission.SETTINGS_UPDATE
LIMITS = {"hue": 360.0, "chroma": 0.4, "lightness": 100.0}


@brand_admin.route("", methods=["GET", "POST"], permission=P)
def edit() -> Answer:
    """The one colour and the mark; below AA the colour is refused, with the nearest that passes."""
    if reading():
        return _page(_stored(), brands.of(g.tenant.brand))
    form = BrandForm()
    valid, colour = form.validate(), form.colour()
    if colour and request.form.get("take"):
        colour = brands.nearest(colour)
        form.take(colour)
    if colour and (found := _worst(colour)):
        field = form.hex if form.hex.data else form.lightness
        field.errors = [*field.errors, refusal(found)]
    if not valid or form.errors or colour is None:
        return _page(form, colour, status=422)
    parts = brands.stored(colour, form.mark.data or "ring")
    try:
        change.update_tenant("brand", {f"brand.{n}": value for n, value in parts.items()}, seen=form.version)
    except change.ChangedMeanwhile as error:
        return _page(form, colour, told=error.message, status=409)
    return _done()


@brand_admin.route("/preview", methods=["POST"], permission=P)
def preview() -> Answer:
    """What is typed, tried on; nothing is saved."""
    form = BrandForm()
    form.validate()
    return _page(form, form.colour(), fragment="brand_preview")


@brand_admin.route("/preview.css", permission=P)
def preview_css() -> Response:
    """The stylesheet of a colour on trial."""
    typed = {name: request.args.get(name, type=float) for name in LIMITS}
    if any(value is None or not 0 <= value <= LIMITS[name] for name, value in typed.items()):
        abort(404)
    colour = brands.Colour(typed["lightness"] or 0.0, typed["chroma"] or 0.0, typed["hue"] or 0.0)
    response = Response(brands.preview(colour), mimetype="text/css")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@brand_admin.route("/picture", methods=["POST"], permission=P)
def set_picture() -> Answer:
    """A new `logo` or `icon`, or none."""
    which = request.form.get("which", "logo")
    if which not in icons.KEPT:
        abort(404)
    if request.form.get("remove"):
        icons.remove_picture(which)
        return _done()
    sent = request.files.get("picture")
    if sent is None or not sent.filename:
        return _page(
            _stored(), brands.of(g.tenant.brand), wrong={which: gettext("Choose a picture first.")}, status=422
        )
    with closing(sent.stream) as stream:
        try:
            icons.set_picture(which, stream)
        except FileRefused as error:
            told = {which: error.message}
            return _page(_stored(), brands.of(g.tenant.brand), wrong=told, status=error.status)
    return _done()


def _done() -> Answer:
    hosts.forget()
    flash(gettext("Saved. Everybody sees it within seconds."))
    return redirect(url_for("tenants_brand.edit"), code=303)


def _stored() -> BrandForm:
    colour = brands.of(g.tenant.brand)
    return BrandForm(
        formdata=None,
        data={
            "seen": str(change.latest()),
            "hue": colour.hue,
            "chroma": colour.chroma,
            "lightness": colour.lightness,
            "mark": g.tenant.brand.get("mark", "ring"),
        },
    )


def _page(
    form: BrandForm,
    colour: brands.Colour | None,
    *,
    wrong: dict[str, str] | None = None,
    told: str = "",
    status: int = 200,
    fragment: str = "main",
) -> Answer:
    """The page with `colour` tried on; where it cannot be read, its worst pair and the nearest colour that can."""
    found = _worst(colour) if colour else None
    shown: dict[str, Any] = {"mark": form.mark.data, "logo": g.tenant.brand.get("logo")}
    return render(
        "tenants/brand.html",
        fragment=fragment,
        form=form,
        colour=colour or brands.of(g.tenant.brand),
        typed=colour is not None,
        worst=found,
        refusal=refusal,
        near=brands.nearest(colour) if colour and found else None,
        pictures={which: g.tenant.brand.get(which) for which in icons.KEPT},
        wrong=wrong or {},
        told=told,
        shown=shown,
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
