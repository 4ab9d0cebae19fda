"""Businesses in the admin's room: the list, opening, changing and closing one, its places."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from flask import flash, g, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from portal.extensions import db
from portal.kernel.authz import Permission as P
from portal.kernel.errors import PortalError
from portal.kernel.reads import written_down
from portal.partners import queries, service
from portal.partners.forms import BusinessForm, PlaceForm, ReasonForm, role_name
from portal.partners.models import Business
from portal.partners.views.blueprints import admin
from portal.tenants.limits import LimitReached
from portal.web import csv, paging
from portal.web.fragments import render
from portal.web.locale import offered
from portal.web.lookup import get_or_404
from portal.web.security import reading

SORTS = {
    "name": paging.Sort(Business.name.expression),
    "slug": paging.Sort(Business.slug.expression),
    "opened": paging.Sort(Business.created_at.expression, paging.when),
    "staff": paging.Sort(queries.STAFF, int),
    "share": paging.Sort(Business.max_bonus_share.expression, int),
}


@admin.route("", permission=P.BUSINESSES_READ)
def businesses() -> Response:
    """Every business of the tenant: found as one types, open ones unless asked otherwise."""
    chosen, q = paging.filters("state"), paging.query_text()
    selected = queries.businesses(q, chosen.get("state", "open"))
    if request.args.get("format") == "csv":
        written_down("businesses.export")
        return csv.download("businesses.csv", _header(), _lines(db.session.execute(_in_order(selected)).all()))
    page = paging.page(selected, sorts=SORTS, default="name", key=Business.id.expression, filters=chosen)
    return render("partners/businesses.html", fragment="businesses_list", page=page)


def _in_order(selected: Any) -> Any:
    sort = request.args.get("sort", "name")
    column = SORTS.get(sort.removeprefix("-"), SORTS["name"]).column
    return selected.order_by(column.desc() if sort.startswith("-") else column.asc(), Business.id)


def _header() -> Sequence[str]:
    return (
        gettext("Name"),
        gettext("Address in the portal"),
        gettext("Kind"),
        gettext("Currency"),
        gettext("Staff"),
        gettext("Bonus share"),
        gettext("State"),
    )


def _lines(rows: Sequence[Any]) -> Iterator[tuple[object, ...]]:
    for r in rows:
        state = gettext("closed") if r.archived_at else gettext("open")
        yield r.name, r.slug, r.category, r.currency, r.staff, r.max_bonus_share, state


@admin.route("/new", methods=["GET", "POST"], permission=P.BUSINESSES_CREATE)
def new_business() -> Response:
    """Open a business."""
    form = BusinessForm()
    if reading():
        return _form(form, 200)
    if form.validate():
        try:
            made = service.create_business(slug=form.slug.data or "", currency=g.tenant.currency, **form.values())
        except service.SlugTaken as taken:
            form.slug.errors = [*form.slug.errors, taken.message]
        else:
            flash(gettext("%(name)s is open. Name its staff next.", name=form.name.data))
            return _to(made)
    return _form(form, 422)


@admin.route("/<uuid:business_id>/edit", methods=["GET", "POST"], permission=P.BUSINESSES_UPDATE)
def edit_business(business_id: UUID) -> Response:
    """Change a business; its address in the portal stays."""
    shop = get_or_404(Business, business_id)
    if reading():
        return _form(BusinessForm(obj=shop, data={"about": dict(shop.description_i18n)}), 200, shop)
    form = BusinessForm()
    form.slug.data, form.slug.validators = shop.slug, []
    if not form.validate():
        return _form(form, 422, shop)
    service.update_business(business_id, **form.values(shop.description_i18n))
    flash(gettext("Saved."))
    return _to(business_id)


def _form(form: BusinessForm, status: int, shop: Any = None) -> Response:
    texts = [(code, form.about.form[code]) for code in offered()]
    return render("partners/business_form.html", form=form, shop=shop, texts=texts, status=status)


@admin.route("/<uuid:business_id>", permission=P.BUSINESSES_READ)
def business(business_id: UUID) -> Response:
    """One business: what it is, where, who works there."""
    return _shown(get_or_404(Business, business_id))


def _shown(shop: Any, *, form: ReasonForm | None = None, place: PlaceForm | None = None, status: int = 200) -> Response:
    return render(
        "partners/business.html",
        shop=shop,
        staff=queries.staff_of(shop.id),
        places=queries.locations_of(shop.id),
        form=form or ReasonForm(formdata=None),
        place_form=place or PlaceForm(formdata=None),
        role_name=role_name,
        status=status,
    )


def _to(business_id: UUID) -> Response:
    return redirect(url_for("partners_admin.business", business_id=business_id), code=303)


@admin.route("/<uuid:business_id>/closure", methods=["POST"], permission=P.BUSINESSES_UPDATE)
def create_closure(business_id: UUID) -> Response:
    """Close a business with a reason; its till stops at once."""
    shop, form = get_or_404(Business, business_id), ReasonForm()
    if not form.validate():
        return _shown(shop, form=form, status=422)
    service.archive_business(business_id, form.reason.data or "")
    flash(gettext("%(name)s is closed. Its history stays.", name=shop.name))
    return _to(business_id)


@admin.route("/<uuid:business_id>/closure/end", methods=["POST"], permission=P.BUSINESSES_UPDATE)
def end_closure(business_id: UUID) -> Response:
    """Open it again."""
    shop = get_or_404(Business, business_id)
    try:
        service.reopen_business(business_id)
    except LimitReached as refused:
        flash(refused.message, "error")
    else:
        flash(gettext("%(name)s is open again.", name=shop.name))
    return _to(business_id)


@admin.route("/<uuid:business_id>/locations", methods=["POST"], permission=P.BUSINESSES_UPDATE)
def create_location(business_id: UUID) -> Response:
    """A further place."""
    shop, form = get_or_404(Business, business_id), PlaceForm()
    if form.validate():
        try:
            service.add_location(business_id, name=form.name.data or "", address=form.address.data or "")
        except PortalError as refused:
            form.name.errors = [*form.name.errors, refused.message]
        else:
            return _to(business_id)
    return _shown(shop, place=form, status=422)


@admin.route(
    "/<uuid:business_id>/locations/<uuid:location_id>/closure", methods=["POST"], permission=P.BUSINESSES_UPDATE
)
def create_location_closure(business_id: UUID, location_id: UUID) -> Response:
    """Close a place; typed in again, it opens again."""
    get_or_404(Business, business_id)
    service.close_location(business_id, location_id)
    flash(gettext("The place is closed. Its history stays."))
    return _to(business_id)
