"""The search of the two desks: a page without JavaScript, a dialog on Ctrl-K with it. Beginnings of words are enough."""

from werkzeug.wrappers import Response

from portal.kernel.authz import Permission, PortalBlueprint
from portal.search.queries import found
from portal.web.fragments import render
from portal.web.paging import query_text

search_admin = PortalBlueprint("search_admin", __name__, room="admin", url_prefix="/admin")
search_desk = PortalBlueprint("search_desk", __name__, room="desk", url_prefix="/desk/<business>")


@search_admin.route("/search", permission=Permission.DASHBOARD_READ)
def search() -> Response:
    """Of the whole community."""
    return _page()


@search_desk.route("/search", permission=Permission.DESK_READ)
def search_shop() -> Response:
    """Of one shop: its pages, who bought there, one's other shops."""
    return _page()


def _page() -> Response:
    q = query_text()
    return render("search/index.html", fragment="hits", q=q, groups=found(q))
