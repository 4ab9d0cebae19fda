"""A member's own pages beside wallet and inbox: more, profile."""

from dataclasses import dataclass
from typing import Any

from flask import current_app, flash, redirect, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.identity import labels, service
from portal.identity.forms import ProfileForm
from portal.identity.models import User
from portal.identity.views.blueprints import identity
from portal.kernel.authz import LOGIN, Permission, reachable
from portal.kernel.errors import PortalError
from portal.web.fragments import render
from portal.web.locale import current as locale
from portal.web.locale import first_locale
from portal.web.lookup import get_or_404


@dataclass(frozen=True, slots=True)
class Way:
    """A line of the page: where it leads and what it is called."""

    url: str
    icon: str
    label: str
    note: str = ""


@identity.route("/me/more", permission=LOGIN)
def more() -> Any:
    return render("identity/more.html", rooms=_rooms(), own=_own())


def _own() -> list[Way]:
    wanted = (
        ("identity.profile", "user", gettext("Profile")),
        ("identity.contacts", "device-mobile", gettext("E-mail and phone")),
        ("identity.referral", "users", gettext("Bring somebody")),
        ("profiles.about", "camera", gettext("About me")),
        ("kyc.status", "user-check", gettext("Verification")),
        ("messages.notifications", "bell", gettext("Notifications")),
        ("messages.preferences", "adjustments-horizontal", gettext("What to be told")),
        ("identity.security", "shield-check", gettext("Security")),
        ("leaving.data", "database", gettext("My data")),
    )
    return [Way(url_for(name), icon, label) for name, icon, label in wanted if reachable(name)]


def _rooms() -> list[Way]:
    """The tills and desks of a person's posts, and the admin's room."""
    ways = []
    for post in current_user.staff:
        role = post.names.in_(locale(), first_locale()) or labels.role(post.role)
        if Permission.PURCHASES_CREATE in post.permissions and reachable("purchases_till.find"):
            ways.append(
                Way(
                    url_for("purchases_till.find", business=post.slug),
                    "scan",
                    gettext("Till of %(name)s", name=post.business),
                    role,
                )
            )
        if Permission.DESK_READ in post.permissions and "analytics_desk.dashboard" in current_app.view_functions:
            ways.append(
                Way(url_for("analytics_desk.dashboard", business=post.slug), "building-store", post.business, role)
            )
    if current_user.may(Permission.DASHBOARD_READ) and "analytics_admin.dashboard" in current_app.view_functions:
        note = ", ".join(labels.role(role) for role in current_user.roles)
        ways.append(Way(url_for("analytics_admin.dashboard"), "layout-dashboard", gettext("Admin"), note))
    return ways


@identity.route("/me/profile", methods=["GET", "POST"], permission=LOGIN)
def profile() -> Any:
    member: User = get_or_404(User, current_user.id)
    form = ProfileForm(obj=member)
    if not form.is_submitted():
        return render("identity/profile.html", form=form, member=member)
    if not form.validate():
        return render("identity/profile.html", form=form, member=member, status=422)
    try:
        service.edit_profile(
            member.id,
            name=form.name.data or "",
            locale=form.locale.data or member.locale,
            timezone=form.timezone.data or None,
        )
    except PortalError as error:
        form.name.errors = [error.message]
        return render("identity/profile.html", form=form, member=member, status=max(422, error.status))
    flash(gettext("Saved."))
    return redirect(url_for("identity.profile"), code=303)
