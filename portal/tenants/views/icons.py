"""Pictures of the tenant's mark: drawn for home screens and tabs, and its own logo as it was sent."""

from typing import Any
from uuid import UUID

from flask import Response, abort, g, request, send_file
from sqlalchemy import select

from portal.extensions import db
from portal.files import service as files
from portal.files.models import StoredFile
from portal.kernel.authz import PUBLIC, PortalBlueprint
from portal.tenants.icons import SIZES, drawn
from portal.tenants.icons import digest as digest_of

icons = PortalBlueprint("tenant_icons", __name__, room="public")


@icons.route("/brand/<digest>/<filename>", permission=PUBLIC)
def icon(digest: str, filename: str) -> Response:
    """A picture of the acting tenant's mark; the address holds the brand's digest, so browsers keep it for ever."""
    if digest != digest_of(g.tenant.brand) or filename not in SIZES:
        abort(404)
    return _kept(Response(drawn(g.tenant.brand, filename), mimetype="image/png"))


@icons.route("/brand/pictures/<uuid:file_id>/<digest>.png", permission=PUBLIC)
def picture(file_id: UUID, digest: str) -> Response:
    """A logo or icon of the acting tenant as it was sent; older ones too, since mails and versions still show them."""
    own = select(StoredFile.sha256).where(StoredFile.id == file_id, StoredFile.purpose == "brand")
    found = db.session.scalar(own.where(StoredFile.state == "ready"))
    if found is None or found[:16] != digest:
        abort(404)
    response: Any = send_file(files.open_file(file_id), mimetype="image/png", etag=found)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer: Response = response.make_conditional(request)
    return _kept(answer)


def _kept(response: Response) -> Response:
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
