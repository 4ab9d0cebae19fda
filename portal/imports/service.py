"""Starting an import."""

from typing import IO, Any
from uuid import UUID

from flask_babel import gettext

from portal.files import service as files
from portal.imports.work import KIND
from portal.jobs import service as jobs
from portal.jobs.events import JobQueued
from portal.kernel.commands import command, journal
from portal.kernel.errors import Conflict
from portal.web.forms import remember

ACCRUALS = ("as-of", "none")


def start_upload(business_id: UUID, stream: IO[bytes], name: str, *, accrue: str, form: Any) -> UUID:
    """Keep the file and put its import in line; returns the job's id. Raises `files.FileRefused`."""
    file_id = files.store(stream, name, "import", business_id=business_id)
    return _start(business_id, file_id, accrue, form)


@command("import.start", emits=(JobQueued,))
def _start(business_id: UUID, file_id: UUID, accrue: str, form: Any) -> UUID:
    job_id = jobs.start(KIND, business_id=business_id, params={"accrue": accrue}, source_file_id=file_id)
    journal().about("job", job_id)
    if not remember(form, "jobs.show", job_id=job_id):
        raise Conflict(gettext("This form was sent before."))
    return job_id
