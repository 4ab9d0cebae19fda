"""One page for all long work: how far it is, to its end, with or without JavaScript."""

from typing import Any
from uuid import UUID

from flask import flash, g, redirect, url_for
from flask_babel import gettext
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.files import service as files
from portal.jobs import labels, service
from portal.jobs.policies import visible_to
from portal.kernel.authz import LOGIN, PortalBlueprint
from portal.partners.models import Business
from portal.web.fragments import render
from portal.web.lookup import get_or_404

blueprint = PortalBlueprint("jobs", __name__, room="desk")


@blueprint.route("/jobs/<uuid:job_id>", permission=LOGIN)
def show(job_id: UUID) -> Response:
    """The progress; htmx asks again for the block alone, a browser without scripts reloads the page."""
    job = get_or_404(visible_to(current_user), job_id)
    if job.business_id:  # the way back stands in the shop's own rail
        g.business = get_or_404(Business, job.business_id)
    return render("jobs/show.html", fragment="progress", **shown(job))


@blueprint.route("/jobs/<uuid:job_id>/cancellation", methods=["POST"], permission=LOGIN)
def create_cancellation(job_id: UUID) -> Response:
    """Ask for the end; what is done stays done."""
    job = get_or_404(visible_to(current_user), job_id)
    service.cancel(job.id)
    flash(gettext("It stops after the step it is in. What is recorded stays recorded."))
    return redirect(url_for("jobs.show", job_id=job.id), code=303)


def shown(job: Any) -> dict[str, Any]:
    """What the progress block needs."""
    return {
        "job": job,
        "kind": labels.kind(job.kind),
        "state": labels.state(job.state),
        "tone": labels.TONES[job.state],
        "running": job.state in {"queued", "running"},
        "figures": labels.figures(job.result),
        "message": labels.message(job.message),
        "download": files.signed_url(job.result_file_id) if job.result_file_id else "",
    }
