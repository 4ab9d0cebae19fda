"""A tenant's stylesheet, and what its admin may set."""

from flask import Response, abort, g

from portal.kernel.authz import PUBLIC, PortalBlueprint
from portal.tenants import brand as brands

blueprint = PortalBlueprint("tenants", __name__, room="public")


@blueprint.route("/brand/<digest>.css", permission=PUBLIC)
def brand(digest: str) -> Response:
    """The acting tenant's colours; the name is the content's digest, so browsers keep it for ever."""
    if digest != brands.digest(g.tenant.brand):
        abort(404)
    response = Response(brands.stylesheet(g.tenant.brand), mimetype="text/css")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
