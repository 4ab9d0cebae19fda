"""An import of a few lines, run in this process the way a worker runs it."""

import io

import pytest
from sqlalchemy import select

from tests.cast import CAFE, CAROL, CIRCLE

HEAD = "external_id,member_ref,purchased_at,amount,currency\n"


@pytest.fixture
def bring(acting):
    """`bring(text)` imports at the cafe; returns the job's row."""
    from portal.extensions import db
    from portal.imports.work import KIND
    from portal.jobs import running, service
    from portal.jobs.models import Job

    def bring(content, *, accrue="as-of", shop=CAFE, tenant=CIRCLE, person=CAROL):
        raw = content if isinstance(content, bytes) else content.encode()
        with acting(tenant, person):
            job_id = service.start_here(KIND, business_id=shop.id, params={"accrue": accrue})
            running.run(job_id, None, lambda: io.BytesIO(raw))
            db.session.expire_all()
            return db.session.scalars(select(Job).where(Job.id == job_id)).one()

    return bring


@pytest.fixture
def reasons(seen_by):
    """The rejected lines of a job: line → reason."""
    from portal.imports.models import ImportReject

    def reasons(job, tenant=CIRCLE):
        with seen_by(tenant) as session:
            rows = session.execute(select(ImportReject.line, ImportReject.reason).where(ImportReject.job_id == job.id))
            return {row.line: row.reason for row in rows}

    return reasons
