"""The admin's list of members, its download, and writing one in."""

from typing import Any
from uuid import UUID

from flask import redirect, request, url_for
from flask_babel import gettext
from sqlalchemy import func, select

from portal.extensions import db
from portal.identity import cards, queries, service
from portal.identity.forms import NewMemberForm
from portal.identity.models import User
from portal.identity.stepup import fresh
from portal.identity.views import roster
from portal.identity.views.blueprints import admin
from portal.kernel.authz import Permission
from portal.kernel.commands import command
from portal.kernel.errors import Conflict, PortalError
from portal.kernel.money import decimal_string
from portal.web import csv, paging
from portal.web.forms import remember, repeated
from portal.web.fragments import render
from portal.web.locale import current as locale
from portal.web.security import reading

P = Permission


@admin.route("", permission=P.MEMBERS_READ)
def members() -> Any:
    filters, q = paging.filters(*roster.FILTERS), paging.query_text()
    page = paging.page(
        roster.found(filters, q), sorts=roster.sorts(), default="-joined", key=User.id.expression, filters=filters
    )
    return render(
        "identity/members.html",
        fragment="members_list",
        page=page,
        filters=filters,
        tiers=roster.tier_names(),
        everybody=_everybody(),
        shown_card=cards.shown,
    )


@admin.route("/download.csv", permission=P.MEMBERS_READ)
@fresh
def download() -> Any:
    """Exactly the rows of the list, in its order; that somebody took them is written down (AUD-2)."""
    from flask import g

    filters, q = paging.filters(*roster.FILTERS), paging.query_text()
    roster.note_export(filters, q)
    tiers, currency, language = roster.tier_names(), g.tenant.currency, locale()
    rows = (
        (
            row.name,
            cards.shown(row.card_number),
            tiers[row.tier_id].name_i18n.in_(language) if tiers.get(row.tier_id) else "",
            decimal_string(row.bonus, currency),
            row.last_at.isoformat() if row.last_at else "",
            row.joined_at.isoformat(),
        )
        for row in roster.in_order(filters, q, request.args.get("sort", "-joined"))
    )
    header = (
        gettext("Name"),
        gettext("Card"),
        gettext("Tier"),
        gettext("Bonus, %(currency)s", currency=currency),
        gettext("Last purchase"),
        gettext("Joined"),
    )
    return csv.download("members.csv", header, rows)


@admin.route("/new", methods=["GET", "POST"], permission=P.MEMBERS_CREATE)
def new() -> Any:
    form = NewMemberForm()
    if reading():
        return render("identity/new_member.html", form=form)
    if (led := repeated(form)) is not None:
        return led
    if form.validate():
        try:
            return redirect(url_for("identity_admin.member", member_id=_write_in(form)), code=303)
        except PortalError as error:
            form.refuse(error)
    return render("identity/new_member.html", form=form, status=422)


@command("member.write_in")
def _write_in(form: NewMemberForm) -> UUID:
    member_id = service.register_member(
        name=form.name.data or "",
        email=form.email.data or None,
        phone=form.phone.data or None,
        card_number=form.card_number.data or None,
        joined_via="desk",
    )
    if not remember(form, "identity_admin.member", member_id=member_id):
        raise Conflict(gettext("This form was sent twice at once; the member is there."))
    return member_id


def _everybody() -> str:
    """How many members there are, counted as far as it is worth."""
    some = select(User.id).where(*queries.listed()).limit(paging.COUNTED + 1).subquery()
    count = db.session.scalar(select(func.count()).select_from(some)) or 0
    return f"{paging.COUNTED:,}+" if count > paging.COUNTED else str(count)
