"""The front door, and the member's home."""

from flask import redirect
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.home.hello import greeting, last_day, near_day, steps
from portal.identity.onward import first_page
from portal.kernel.authz import LOGIN, PUBLIC, PortalBlueprint
from portal.loyalty.progress import progress
from portal.messages import queries as messages
from portal.partners import queries as partners
from portal.purchases import queries as purchases
from portal.wallets.labels import account_name, parts
from portal.wallets.purse import purse
from portal.web.fragments import render

home = PortalBlueprint("home", __name__, room="member")
RECENT = 5


@home.route("/", permission=PUBLIC)
def front() -> Response:
    """Everybody to the room they work in; a stranger sees what this circle is (the operator's host has its own)."""
    if current_user.is_authenticated:
        return redirect(first_page(current_user), code=303)
    return render("home/front.html", businesses=partners.open_businesses())


@home.route("/me", permission=LOGIN)
def index() -> Response:
    """Balance, tier, what is new: what a member opens the phone for."""
    place = progress(current_user.id)
    return render(
        "home/index.html",
        greeting=greeting(current_user),
        purse=purse(current_user.id),
        place=place,
        last_day=last_day(place) if place else None,
        purchases=purchases.of_member(current_user.id, RECENT),
        unseen=messages.unseen(current_user.id),
        near_day=near_day,
        parts=parts,
        account_name=account_name,
    )


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
