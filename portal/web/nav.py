"""The ways through each room, from what the person may do."""

from dataclasses import dataclass
from typing import Any

from flask import current_app, g, request, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.kernel.authz import Permission as P
from portal.kernel.authz import reachable


@dataclass(frozen=True, slots=True)
class Link:
    """A line of a rail or a place in the bottom bar."""

    endpoint: str
    url: str
    icon: str
    label: str
    count: str = ""
    current: bool = False


def rail(*, ops: bool) -> list[dict[str, Any]]:
    """The groups of the rail of the room that is open; empty for strangers."""
    if not current_user.is_authenticated:
        return []
    room = getattr(current_app.view_functions.get(request.endpoint or ""), "room", "")
    groups = (
        _ops()
        if ops
        else _desk(g.business)
        if room == "desk" and g.get("business")
        else _admin()
        if room == "admin"
        else []
    )
    return [{"name": name, "links": links} for name, links in groups if links]


def finder() -> str:
    """The address of the search of the desk that is open; empty in other rooms and for strangers."""
    room = getattr(current_app.view_functions.get(request.endpoint or ""), "room", "")
    if not current_user.is_authenticated:
        return ""
    if room == "admin" and current_user.may(P.DASHBOARD_READ):
        return url_for("search_admin.search")
    if room == "desk" and g.get("business") and current_user.may(P.DESK_READ, g.business):
        return url_for("search_desk.search_shop", business=g.business.slug)
    return ""


def bar() -> list[Link]:
    """The member's bottom bar."""
    if not current_user.is_authenticated:
        return []
    return _links(
        ("home.index", "home", gettext("Home"), None),
        ("wallets.statement", "wallet", gettext("Wallet"), None),
        ("identity.card", "qrcode", gettext("Card"), None),
        ("messages.notifications", "bell", gettext("Inbox"), None),
        ("identity.more", "dots", gettext("More"), None),
    )


def _links(*wanted: tuple[str, str, str, P | None], business: Any = None) -> list[Link]:
    made = []
    for endpoint, icon, label, permission in wanted:
        if not reachable(endpoint):
            continue
        if permission is not None and not current_user.may(permission, business):
            continue
        url = url_for(endpoint, business=business.slug) if business is not None else url_for(endpoint)
        inside = request.path == url or (
            request.path.startswith(url + "/") and url.count("/") > 1 and endpoint != "analytics_desk.dashboard"
        )
        made.append(Link(endpoint, url, icon, label, "", inside))
    return made


def _desk(business: Any) -> list[tuple[str, list[Link]]]:
    return [
        (
            "",
            _links(
                ("analytics_desk.dashboard", "layout-dashboard", gettext("Dashboard"), P.DESK_READ),
                ("purchases_desk.purchases", "coin", gettext("Purchases"), P.PURCHASES_READ),
                ("reports_desk.purchases", "file-spreadsheet", gettext("Reports"), P.PURCHASES_EXPORT),
                ("profiles_desk.birthdays_here", "gift", gettext("Birthdays"), P.PURCHASES_READ),
                business=business,
            ),
        ),
        (
            gettext("Run the place"),
            _links(
                ("imports_desk.imports", "upload", gettext("Imports"), P.IMPORTS_CREATE),
                ("partners_desk.staff", "users", gettext("Staff"), P.STAFF_MANAGE),
                ("invitations_desk.invitations", "mail", gettext("Invitations"), P.STAFF_MANAGE),
                ("audit_desk.entries_here", "history", gettext("Audit log"), P.AUDIT_READ),
                ("partners_desk.keys", "key", gettext("API keys"), P.KEYS_MANAGE),
                ("purchases_till.find", "scan", gettext("Till"), P.PURCHASES_CREATE),
                business=business,
            ),
        ),
    ]


def _admin() -> list[tuple[str, list[Link]]]:
    return [
        ("", _links(("analytics_admin.dashboard", "layout-dashboard", gettext("Dashboard"), P.DASHBOARD_READ))),
        (
            gettext("People"),
            _links(
                ("identity_admin.members", "users", gettext("Members"), P.MEMBERS_READ),
                ("invitations_admin.invitations", "mail", gettext("Invitations"), P.MEMBERS_CREATE),
                ("kyc_admin.submissions", "user-check", gettext("Verification"), P.KYC_READ),
                ("partners_admin.businesses", "building-store", gettext("Businesses"), P.BUSINESSES_READ),
            ),
        ),
        (gettext("Programme"), _links(("loyalty_admin.tiers", "stack-2", gettext("Status tiers"), P.TIERS_READ))),
        (
            gettext("Records"),
            _links(
                ("reports_admin.purchases", "file-spreadsheet", gettext("Reports"), P.PURCHASES_EXPORT),
                ("audit_admin.entries", "history", gettext("Audit log"), P.AUDIT_READ),
                ("delivery_admin.monitor", "activity", gettext("Delivery"), P.DELIVERIES_READ),
                ("roles_admin.roles", "shield-check", gettext("Roles"), P.ROLES_MANAGE),
                ("tenants_admin.settings", "settings", gettext("Settings"), P.SETTINGS_UPDATE),
                ("telegram_admin.settings", "send", gettext("Telegram"), P.SETTINGS_UPDATE),
            ),
        ),
    ]


def _ops() -> list[tuple[str, list[Link]]]:
    return [
        (
            "",
            _links(
                ("platform.tenants", "building-store", gettext("Tenants"), P.OPERATORS_READ),
                ("platform.health", "activity", gettext("Health"), P.OPERATORS_READ),
                ("platform.audit", "history", gettext("Audit log"), P.OPERATORS_READ),
            ),
        ),
    ]
