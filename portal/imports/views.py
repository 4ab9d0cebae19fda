"""The desk's imports: upload, list, one import with its counts and rejected lines."""

from typing import Any
from uuid import UUID

from flask import Response, g, url_for
from flask_babel import gettext
from sqlalchemy import select
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from portal.files.service import FileRefused
from portal.imports import sample, service
from portal.imports.forms import ImportForm
from portal.imports.work import KIND
from portal.jobs import labels
from portal.jobs.models import Job
from portal.jobs.queries import listed
from portal.jobs.views import shown
from portal.kernel.authz import Permission, PortalBlueprint
from portal.web import csv
from portal.web.forms import repeated
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.paging import Sort, page, when

imports_desk = PortalBlueprint("imports_desk", __name__, room="desk", module="imports")
SORTS = {"date": Sort(Job.__table__.c.created_at, when, default_down=True)}


@imports_desk.route("/desk/<business>/imports", permission=Permission.IMPORTS_CREATE)
def imports() -> Any:
    """What was imported here, and the form for the next file."""
    return _page(ImportForm())


@imports_desk.route("/desk/<business>/imports", methods=["POST"], permission=Permission.IMPORTS_CREATE)
def create_import() -> Any:
    """Keep the file and begin; the same form sent twice is one import."""
    form = ImportForm()
    if led := repeated(form):
        return led
    if not form.validate_on_submit():
        return _page(form, status=422)
    upload = form.file.data
    try:
        job_id = service.start_upload(
            g.business.id, upload.stream, upload.filename or "", accrue=form.accrue.data, form=form
        )
    except FileRefused as refused:
        form.file.errors = [*form.file.errors, refused.message]
        return _page(form, status=refused.status)
    return redirect(url_for("imports_desk.show", business=g.business.slug, job_id=job_id), code=303)


@imports_desk.route("/desk/<business>/imports/<uuid:job_id>", permission=Permission.IMPORTS_CREATE)
def show(job_id: UUID) -> AnyResponse:
    """One import: how far it is, what became of its lines."""
    job = get_or_404(select(Job).where(Job.business_id == g.business.id, Job.kind == KIND), job_id)
    return render("imports/show.html", fragment="progress", file=_file_of(job), **shown(job))


@imports_desk.route("/desk/<business>/imports/sample.csv", permission=Permission.IMPORTS_CREATE)
def sample_file() -> Response:
    """A file to fill in."""
    return csv.download("sample.csv", sample.HEADER, sample.rows(g.business.currency))


def _page(form: ImportForm, status: int = 200) -> Any:
    found = page(listed(g.business.id, KIND), sorts=SORTS, default="-date", key=Job.__table__.c.id)
    return render(
        "imports/index.html", fragment="imports_list" if status == 200 else "main", status=status,  # noqa: PLR2004
        form=form, page=found, state=labels.state, tones=labels.TONES, largest=64,
    )  # fmt: skip


def _file_of(job: Job) -> str:
    from portal.extensions import db
    from portal.files.models import StoredFile

    if job.source_file_id is None:
        return str(job.params.get("path", gettext("command line")))
    return db.session.scalar(select(StoredFile.name).where(StoredFile.id == job.source_file_id)) or ""
