"""Reading jobs."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select

from portal.files.models import StoredFile
from portal.identity.models import User
from portal.jobs.models import Job

_owners = User.__table__.alias("owners")
_sources = StoredFile.__table__.alias("sources")
COLUMNS = (
    Job.id, Job.kind, Job.state, Job.done, Job.total, Job.message, Job.result, Job.params, Job.cancel_requested,
    Job.created_at, Job.started_at, Job.finished_at, Job.result_file_id, Job.source_file_id,
)  # fmt: skip


def listed(business_id: UUID, kind: str) -> Select[Any]:
    """The jobs of a kind at a business, with who started them and from which file."""
    return (
        select(*COLUMNS, _owners.c.name.label("owner"), _sources.c.name.label("file"))
        .outerjoin(_owners, and_(_owners.c.tenant_id == Job.tenant_id, _owners.c.id == Job.owner_id))
        .outerjoin(_sources, and_(_sources.c.tenant_id == Job.tenant_id, _sources.c.id == Job.source_file_id))
        .where(Job.business_id == business_id, Job.kind == kind)
    )
