"""The front door, and the member's home."""

from typing import Any

from flask import g, redirect, url_for
from flask_babel import gettext
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.home.hello import greeting, steps
from portal.kernel.authz import LOGIN, PUBLIC, Permission, PortalBlueprint
from portal.loyalty.progress import progress
from portal.messages import queries as messages
from portal.partners import queries as partners
from portal.purchases import queries as purchases
from portal.wallets import queries as wallets
from portal.web.fragments import render

front_door = PortalBlueprint("home_front", __name__, room="public")
blueprint = PortalBlueprint("home", __name__, room="member")
RECENT = 5


@front_door.route("/", permission=PUBLIC)
def front() -> Response:
    """Everybody to their room; a stranger sees what this circle is."""
    if current_user.is_authenticated:
        return redirect(room_of(current_user), code=303)
    return render("home/front.html", businesses=partners.open_businesses())


def room_of(person: Any) -> str:
    """The room that a person works in, else the member's home (G19)."""
    if g.get("ops"):
        return url_for("platform.tenants")
    if person.may(Permission.DASHBOARD_READ):
        return url_for("analytics_admin.dashboard")
    for post in sorted(person.staff, key=lambda post: post.role, reverse=True):  # owner, manager, cashier
        if post.role in {"owner", "manager"}:
            return url_for("analytics_desk.dashboard", business=post.slug)
        return url_for("purchases_till.find", business=post.slug)
    return url_for("home.index")


@blueprint.route("/me", permission=LOGIN)
def index() -> Response:
    """Balance, tier, what is new: what a member opens the phone for."""
    accounts = wallets.balances(current_user.id)
    bonus = [a for a in accounts if a.type == "bonus"] or []
    main = next((a for a in bonus if a.currency == g.tenant.currency), bonus[0] if bonus else None)
    return render(
        "home/index.html",
        greeting=greeting(current_user),
        main=main,
        others=[a for a in accounts if a is not main and a.posted],
        progress=progress(current_user.id),
        purchases=purchases.of_member(current_user.id, RECENT),
        unseen=messages.unseen(current_user.id),
    )


@blueprint.route("/me/why/tier", permission=LOGIN)
def tier() -> Response:
    """Why this tier, and why this forecast (LOY-12)."""
    place = progress(current_user.id)
    return render("home/why.html", title=gettext("Why this tier?"), steps=steps(place) if place else [], progress=place)
