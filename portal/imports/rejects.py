"""Lines that were not taken: kept with their batch, handed back as a file to be corrected and sent again (B6)."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from flask_babel import gettext
from sqlalchemy import insert, select

from portal.extensions import db
from portal.files import service as files
from portal.imports.models import ImportReject
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.web import csv

PAGE = 5000
LONGEST = 2000


def keep(job_id: UUID, rejected: Sequence[tuple[int, str, str]]) -> None:
    """Inside a command: `(line, reason, text)` of each rejected line."""
    if rejected:
        db.session.execute(
            insert(ImportReject),
            [
                {
                    "tenant_id": current_tenant_id(),
                    "id": new_id(),
                    "job_id": job_id,
                    "line": n,
                    "reason": why,
                    "content": text[:LONGEST],
                }
                for n, why, text in rejected
            ],
        )


def to_file(job_id: UUID, business_id: UUID | None, name: str) -> UUID | None:
    """The rejected lines of a job as a CSV file; None when there are none."""
    if db.session.scalar(select(ImportReject.id).where(ImportReject.job_id == job_id).limit(1)) is None:
        return None
    header = (gettext("Line"), gettext("Reason"), gettext("What stood there"))
    lines = (part.encode() for part in csv.lines(header, rows_of(job_id)))
    return files.store(lines, name, "import_rejects", business_id=business_id, mime="text/plain")


def rows_of(job_id: UUID) -> Iterator[tuple[int, str, str]]:
    """The rejected lines in order."""
    after = 0
    while True:
        page = db.session.execute(
            select(ImportReject.line, ImportReject.reason, ImportReject.content)
            .where(ImportReject.job_id == job_id, ImportReject.line > after)
            .order_by(ImportReject.line)
            .limit(PAGE)
        ).all()
        yield from ((row.line, row.reason, row.content) for row in page)
        if len(page) < PAGE:
            return
        after = page[-1].line
