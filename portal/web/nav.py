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


def settings_pages() -> list[tuple[str, Link]]:
    """The pages of a tenant's settings by their keys, in the order of the tabs; those that the person may open."""
    wanted = (
        ("settings", "tenants_admin.settings", "settings", gettext("The circle")),
        ("brand", "tenants_brand.edit", "sparkles", gettext("Brand")),
        ("texts", "tenants_texts.edit", "message-2", gettext("Texts and sender")),
        ("legal", "legal_admin.edit", "file-text", gettext("Legal pages")),
        ("currencies", "tenants_plan.currencies", "coin", gettext("Currencies")),
        ("modules", "tenants_plan.modules", "adjustments-horizontal", gettext("Modules")),
        ("limits", "tenants_plan.limits", "activity", gettext("Limits")),
        ("domains", "tenants_domains.index", "world", gettext("Addresses")),
        ("security", "identity_settings.security", "shield-check", gettext("Second factor by role")),
        ("versions", "tenants_versions.index", "history", gettext("Versions")),
    )
    return [(key, link) for key, *what in wanted for link in _links((*what, _needs(what[0])))]


def deeper() -> list[tuple[str, list[Link]]]:
    """What the rail of the room that is open does not name: pages behind its pages, and its pages' own headings."""
    business = g.get("business")
    if business is not None:
        wanted = [
            (gettext("Invitations"), "invitations_desk.table", "mail", gettext("Invite from a list")),
            (gettext("Birthdays"), "profiles_desk.birthdays_here", "gift", gettext("Birthdays this week")),
            (gettext("Reports"), "reports_desk.purchases", "file-spreadsheet", gettext("Purchases of a period")),
        ]
    else:
        wanted = [
            (gettext("Members"), "identity_admin.new", "user-plus", gettext("Add a member")),
            (gettext("Members"), "profiles_admin.birthdays_soon", "gift", gettext("Birthdays this week")),
            (gettext("Members"), "merging_admin.duplicates", "users", gettext("Likely duplicates")),
            (gettext("Members"), "merging_admin.merges", "users", gettext("Merged members")),
            (gettext("Invitations"), "invitations_admin.new", "mail", gettext("Invite a member")),
            (gettext("Invitations"), "invitations_admin.staff", "mail", gettext("Invite staff")),
            (gettext("Invitations"), "invitations_admin.table", "mail", gettext("Invite from a list")),
            (
                gettext("Invitations"),
                "invitations_admin.all_to_sign_in",
                "mail",
                gettext("Members who never signed in"),
            ),
            (gettext("Verification"), "kyc_admin.settings", "user-check", gettext("Rules of verification")),
            (gettext("Businesses"), "partners_admin.new_business", "building-store", gettext("Open a business")),
            (gettext("Audit log"), "audit_admin.chain", "history", gettext("The chain of the audit log")),
            (gettext("Roles"), "roles_admin.roles", "shield-check", gettext("Roles and permissions")),
            (gettext("Roles"), "roles_admin.new_role", "shield-check", gettext("New role over the circle")),
            (gettext("Reports"), "reports_admin.purchases", "file-spreadsheet", gettext("Purchases of a period")),
        ]
    groups = [(group, _links((*what, _needs(what[0])), business=business)) for group, *what in wanted]
    tabs = [] if business is not None else [(gettext("Settings"), [link for _, link in settings_pages()])]
    return [*groups, *tabs]


def _needs(endpoint: str) -> P | None:
    """The permission that a page asks for itself."""
    needed = getattr(current_app.view_functions.get(endpoint), "permission", None)
    return needed if isinstance(needed, P) else None


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
                ("platform.domains", "world", gettext("Domains"), P.OPERATORS_READ),
                ("platform.health", "activity", gettext("Health"), P.OPERATORS_READ),
                ("platform.audit", "history", gettext("Audit log"), P.OPERATORS_READ),
            ),
        ),
    ]
