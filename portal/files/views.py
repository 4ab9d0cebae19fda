"""Downloads."""

from flask import Response, send_file
from flask_login import current_user

from portal.files import service
from portal.files.policies import FOR_STAFF, visible_to
from portal.kernel.authz import LOGIN, PortalBlueprint
from portal.kernel.reads import written_down
from portal.web.lookup import get_or_404

blueprint = PortalBlueprint("files", __name__, room="member")


@blueprint.route("/files/<token>", permission=LOGIN)
def download(token: str) -> Response:
    """A file, always to be saved and never shown: nothing that somebody uploaded is run here."""
    file = get_or_404(visible_to(current_user), service.file_of(token))
    if file.purpose in FOR_STAFF:
        written_down("file.read", file.purpose, about=("file", file.id))
    response = send_file(
        service.open_file(file.id),
        mimetype="text/csv; charset=utf-8" if file.name.endswith(".csv") and file.mime == "text/plain" else file.mime,
        as_attachment=True,
        download_name=file.name,
    )
    response.content_length = file.size
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
