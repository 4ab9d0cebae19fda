"""Businesses in the admin's room; staff and keys on the owner's desk."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import flash, g, redirect, request, url_for
from flask_babel import gettext
from sqlalchemy import select
from werkzeug.wrappers import Response

from portal.extensions import db
from portal.identity.queries import find_member
from portal.kernel import clock
from portal.kernel.authz import Permission as P
from portal.kernel.authz import PortalBlueprint
from portal.kernel.errors import PortalError
from portal.partners import keys, queries, service
from portal.partners.forms import (
    BusinessForm,
    KeyForm,
    PlaceForm,
    ReasonForm,
    StaffForm,
    role_name,
    scope_name,
    tenant_languages,
)
from portal.partners.models import ApiKey, Business, BusinessStaff
from portal.web import csv
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.paging import Sort, filters, page, query_text

admin = PortalBlueprint("partners_admin", __name__, room="admin")
desk = PortalBlueprint("partners_desk", __name__, room="desk")


@admin.route("/admin/businesses", permission=P.BUSINESSES_READ)
def businesses() -> Response:
    """Every business of the tenant."""
    chosen = filters("state")
    selected = queries.businesses(query_text(), archived=chosen.get("state") == "closed")
    if request.args.get("format") == "csv":
        rows = db.session.execute(selected.order_by(Business.name)).all()
        header = ("name", "address", "kind", "currency", "staff", "state")
        lines = ((r.name, r.slug, r.category, r.currency, r.staff, "closed" if r.archived_at else "open") for r in rows)
        return csv.download("businesses.csv", header, lines)
    rows = page(
        selected,
        sorts={"name": Sort(Business.name), "slug": Sort(Business.slug)},
        default="name",
        key=Business.id,
        filters=chosen,
    )
    return render("partners/businesses.html", page=rows)


@admin.route("/admin/businesses/new", methods=["GET", "POST"], permission=P.BUSINESSES_CREATE)
def new_business() -> Response:
    """Open a business."""
    form = BusinessForm()
    if request.method == "POST":
        if not form.validate():
            return _form(form, 422)
        try:
            made = service.create_business(slug=form.slug.data, currency=g.tenant.currency, **form.values())
        except service.SlugTaken as taken:
            form.slug.errors = [*form.slug.errors, taken.message]
            return _form(form, 422)
        flash(gettext("%(name)s is open. Name its staff next.", name=form.name.data))
        return redirect(url_for("partners_admin.business", business_id=made), code=303)
    return _form(form, 200)


def _form(form: BusinessForm, status: int, shop: Any = None) -> Response:
    return render("partners/business_form.html", form=form, shop=shop, languages_of=tenant_languages(), status=status)


@admin.route("/admin/businesses/<uuid:business_id>", permission=P.BUSINESSES_READ)
def business(business_id: UUID) -> Response:
    """One business: what it is, where, who works there."""
    shop = get_or_404(Business, business_id)
    return render(
        "partners/business.html",
        shop=shop,
        staff=queries.staff_of(business_id),
        places=queries.locations_of(business_id),
        form=ReasonForm(),
        place_form=PlaceForm(),
        role_name=role_name,
    )


@admin.route("/admin/businesses/<uuid:business_id>/edit", methods=["GET", "POST"], permission=P.BUSINESSES_UPDATE)
def edit_business(business_id: UUID) -> Response:
    """Change a business."""
    shop = get_or_404(Business, business_id)
    form = BusinessForm(obj=shop, data={"about": dict(shop.description_i18n)} if request.method == "GET" else None)
    if request.method == "GET":
        return _form(form, 200, shop)
    form.slug.data = shop.slug
    if not form.validate():
        return _form(form, 422, shop)
    service.update_business(business_id, **form.values())
    flash(gettext("Saved."))
    return redirect(url_for("partners_admin.business", business_id=business_id), code=303)


@admin.route("/admin/businesses/<uuid:business_id>/closure", methods=["POST"], permission=P.BUSINESSES_UPDATE)
def create_closure(business_id: UUID) -> Response:
    """Close a business with a reason; its till stops at once."""
    shop = get_or_404(Business, business_id)
    form = ReasonForm()
    if not form.validate():
        return render(
            "partners/business.html",
            shop=shop,
            staff=queries.staff_of(business_id),
            places=queries.locations_of(business_id),
            form=form,
            place_form=PlaceForm(),
            role_name=role_name,
            status=422,
        )
    service.archive_business(business_id, form.reason.data or "")
    flash(gettext("%(name)s is closed. Its history stays.", name=shop.name))
    return redirect(url_for("partners_admin.business", business_id=business_id), code=303)


@admin.route("/admin/businesses/<uuid:business_id>/closure/end", methods=["POST"], permission=P.BUSINESSES_UPDATE)
def end_closure(business_id: UUID) -> Response:
    """Open it again."""
    get_or_404(Business, business_id)
    service.reopen_business(business_id)
    return redirect(url_for("partners_admin.business", business_id=business_id), code=303)


@admin.route("/admin/businesses/<uuid:business_id>/locations", methods=["POST"], permission=P.BUSINESSES_UPDATE)
def create_location(business_id: UUID) -> Response:
    """A further place."""
    shop = get_or_404(Business, business_id)
    form = PlaceForm()
    if form.validate():
        try:
            service.add_location(business_id, name=form.name.data or "", address=form.address.data or "")
            return redirect(url_for("partners_admin.business", business_id=business_id), code=303)
        except PortalError as refused:
            form.name.errors = [*form.name.errors, refused.message]
    return render(
        "partners/business.html",
        shop=shop,
        staff=queries.staff_of(business_id),
        places=queries.locations_of(business_id),
        form=ReasonForm(formdata=None),
        place_form=form,
        role_name=role_name,
        status=422,
    )


@desk.route("/desk/<business>/staff", methods=["GET", "POST"], permission=P.STAFF_MANAGE)
def staff() -> Response:
    """Who works here; a member is given a post by their exact e-mail, phone or card."""
    form, shop = StaffForm(), g.business
    if request.method == "POST":
        if form.validate():
            member = find_member(form.who.data or "")
            if member is None:
                form.who.errors = [
                    *form.who.errors,
                    gettext("Nobody in this circle has that. The person joins first, as a member."),
                ]
            else:
                try:
                    service.add_staff(shop.id, member.id, form.role.data)
                except PortalError as refused:
                    form.who.errors = [*form.who.errors, refused.message]
                else:
                    flash(gettext("%(name)s works here now.", name=member.name))
                    return redirect(url_for("partners_desk.staff", business=shop.slug), code=303)
        return render(
            "partners/staff.html", form=form, staff=queries.staff_of(shop.id), role_name=role_name, status=422
        )
    return render("partners/staff.html", form=form, staff=queries.staff_of(shop.id), role_name=role_name)


@desk.route("/desk/<business>/staff/<uuid:staff_id>/end", methods=["POST"], permission=P.STAFF_MANAGE)
def end_staff(staff_id: UUID) -> Response:
    """End a post."""
    get_or_404(
        select(BusinessStaff).where(BusinessStaff.business_id == g.business.id, BusinessStaff.archived_at.is_(None)),
        staff_id,
    )
    try:
        service.remove_staff(g.business.id, staff_id)
    except PortalError as refused:
        flash(refused.message, "error")
    else:
        flash(gettext("The post is ended; it holds from the next page on."))
    return redirect(url_for("partners_desk.staff", business=g.business.slug), code=303)


@desk.route("/desk/<business>/keys", methods=["GET", "POST"], permission=P.KEYS_MANAGE, endpoint="keys")
def list_keys() -> Response:
    """Keys of tills and programs; a new one is shown once."""
    form = KeyForm()
    if request.method == "POST":
        if not form.validate():
            return _keys(form, status=422)
        days = int(form.days.data)
        try:
            _, secret = keys.create_key(
                g.business.id,
                form.name.data or "",
                form.scopes.data or [],
                expires_at=clock.now() + timedelta(days=days) if days else None,
            )
        except PortalError as refused:
            form.name.errors = [*form.name.errors, refused.message]
            return _keys(form, status=422)
        return _keys(KeyForm(formdata=None), secret=secret, status=201)
    return _keys(form)


def _keys(form: KeyForm, *, secret: str = "", status: int = 200) -> Response:
    return render(
        "partners/keys.html",
        form=form,
        keys=queries.keys_of(g.business.id),
        secret=secret,
        scope_name=scope_name,
        now=clock.now(),
        status=status,
    )


@desk.route("/desk/<business>/keys/<uuid:key_id>/renewal", methods=["POST"], permission=P.KEYS_MANAGE)
def create_renewal(key_id: UUID) -> Response:
    """A new key in the place of an old one, which works for another day."""
    _own_key(key_id)
    _, secret = keys.rotate_key(key_id)
    return _keys(KeyForm(formdata=None), secret=secret, status=201)


@desk.route("/desk/<business>/keys/<uuid:key_id>/revocation", methods=["POST"], permission=P.KEYS_MANAGE)
def create_revocation(key_id: UUID) -> Response:
    """A key that opens nothing any more."""
    _own_key(key_id)
    keys.revoke_key(key_id)
    flash(gettext("The key opens nothing any more."))
    return redirect(url_for("partners_desk.keys", business=g.business.slug), code=303)


def _own_key(key_id: UUID) -> None:
    get_or_404(select(ApiKey).where(ApiKey.business_id == g.business.id), key_id)
