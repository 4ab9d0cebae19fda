"""Where a person goes after signing in: back to where they were, if that is a page of this house (B8)."""

from typing import Any
from urllib.parse import urlsplit

from flask import current_app, url_for

from portal.kernel.authz import Permission, reachable

LONGEST = 2000
DOORS = {"/login", "/login/code", "/logout", "/join", "/reset", "/language", "/theme"}


def safe_path(text: str | None) -> str | None:
    """`text` when it is a path on this host, else None: one leading slash, no backslash, no control character."""
    if not text or len(text) > LONGEST or not text.startswith("/") or text.startswith("//"):
        return None
    if "\\" in text or any(ord(c) <= 0x20 or ord(c) == 0x7F for c in text):  # noqa: PLR2004  controls and space
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or parts.path.startswith("//") or parts.path in DOORS:
        return None
    return text


def referred(referrer: str | None, base: str) -> str | None:
    """The path of the page that sent the request, if it is one of this host's; `base` is `http://host/`."""
    if not referrer or not referrer.startswith(base):
        return None
    path = "/" + referrer.removeprefix(base)
    return path if path in {"/login", "/login/code", "/join", "/reset"} else safe_path(path)


def first_page(person: Any) -> str:
    """The room that a person works in: admin, desk, till; everybody else goes home."""
    if person.may(Permission.DASHBOARD_READ):
        return _address("analytics_admin.dashboard")
    rooms = (
        ("analytics_desk.dashboard", Permission.DESK_READ),
        ("purchases_till.find", Permission.PURCHASES_CREATE),
    )
    for endpoint, permission in rooms:
        post = next((post for post in person.staff if permission in post.permissions), None)
        if post is not None and reachable(endpoint):
            return _address(endpoint, business=post.slug)
    return home()


def home() -> str:
    """A member's first page."""
    return _address("home.index")


def _address(endpoint: str, **values: Any) -> str:
    return url_for(endpoint, **values) if endpoint in current_app.view_functions else url_for("identity.more")
