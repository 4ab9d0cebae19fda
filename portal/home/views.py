"""The front door, and the member's home."""

from flask import abort, current_app, redirect, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.home import components as specimens
from portal.home import steps as first
from portal.home.hello import greeting, last_day, near_day, steps
from portal.identity.onward import first_page
from portal.kernel.authz import LOGIN, PUBLIC, Permission, PortalBlueprint
from portal.loyalty.progress import progress
from portal.messages import queries as messages
from portal.partners import queries as partners
from portal.purchases import queries as purchases
from portal.tenants import hosts
from portal.tenants.change import put_setting
from portal.wallets.labels import account_name, parts
from portal.wallets.purse import purse
from portal.web.fragments import render
from portal.web.paging import Page

home = PortalBlueprint("home", __name__, room="member")
admin = PortalBlueprint("home_admin", __name__, room="admin")
RECENT = 5


@home.route("/", permission=PUBLIC)
def front() -> Response:
    """Everybody to the room they work in; a stranger sees what this circle is (the operator's host has its own)."""
    if current_user.is_authenticated:
        return redirect(first_page(current_user), code=303)
    return render("home/front.html", businesses=partners.open_businesses())


@home.route("/_components", permission=PUBLIC)
def components() -> Response:
    """One of every component in the three densities, for those who make pages; only where DEVELOPMENT is set."""
    if not current_app.extensions["settings"].DEVELOPMENT:
        abort(404)
    return render(
        "home/components.html",
        shown=specimens,
        form=specimens.SpecimenForm(formdata=None),
        refused=specimens.refused(),
        page=Page([1, 2], "x", 12, "12", "", "-date", {"state": "open"}),
    )


@home.route("/me", permission=LOGIN)
def index() -> Response:
    """Balance, tier, what is new: what a member opens the phone for."""
    place = progress(current_user.id)
    return render(
        "home/index.html",
        greeting=greeting(current_user),
        steps=first.of_member(current_user),
        purse=purse(current_user.id),
        place=place,
        last_day=last_day(place) if place else None,
        purchases=purchases.of_member(current_user.id, RECENT),
        unseen=messages.unseen(current_user.id),
        near_day=near_day,
        parts=parts,
        account_name=account_name,
    )


@admin.route("/admin/first-steps/end", methods=["POST"], permission=Permission.SETTINGS_UPDATE)
def end_first_steps() -> Response:
    """Put the first steps of a new tenant away, for everybody who runs it."""
    put_setting(first.SETTING, first.AWAY)
    hosts.forget()
    return redirect(url_for("analytics_admin.dashboard"), code=303)


@home.route("/me/why/tier", permission=LOGIN)
def tier() -> Response:
    """Why this tier, and why this forecast (LOY-12)."""
    place = progress(current_user.id)
    return render(
        "home/why.html",
        fragment="slip",
        place=place,
        steps=steps(place) if place else [],
    )
