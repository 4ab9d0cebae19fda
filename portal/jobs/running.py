"""A run of a job in this process: hold it, do it, end it; after a crash another run goes on from the checkpoint."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any
from uuid import UUID

from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.jobs import service
from portal.jobs.models import Job
from portal.jobs.registry import kinds
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id

log = logging.getLogger(__name__)
Watcher = Callable[[int, int], None]


_leaving = threading.Event()


class ProcessLeaves(Exception):
    """This process is asked to stop: the job is let go at its checkpoint, and another worker goes on."""


def stop_soon() -> None:
    """Runs of this process let go of their jobs between two steps."""
    _leaving.set()


def _nobody(_done: int, _total: int) -> None: ...


@dataclass(slots=True)
class Run:
    """What a kind's function gets. `watch` is told the progress too, and `source` gives a file that is not stored:
    both are the command line's.
    """

    job_id: UUID
    runner_id: UUID
    business_id: UUID | None
    params: Mapping[str, Any]
    source_file_id: UUID | None
    checkpoint: dict[str, Any]
    done: int = 0
    total: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    result_file_id: UUID | None = None
    watch: Watcher = _nobody
    source: Callable[[], IO[bytes]] | None = None
    asked_to_stop: bool = False

    def report(
        self, done: int, total: int | None = None, message: str = "", *, checkpoint: Mapping[str, Any] | None = None
    ) -> None:
        """Progress, in the running command's transaction if there is one. Raises `JobLost`."""
        self.asked_to_stop = service.report(
            self.job_id, self.runner_id, done, total, message, checkpoint=checkpoint, result=self.result or None
        )
        self.done, self.total = done, self.total if total is None else total
        if checkpoint is not None:
            self.checkpoint = dict(checkpoint)

    def go_on(self) -> None:
        """Between two steps: show the progress to who watches. Raises `JobCancelled` when somebody asked for the end, `ProcessLeaves`."""
        self.watch(self.done, self.total)
        if _leaving.is_set():
            raise ProcessLeaves(self.job_id)
        if self.asked_to_stop:
            raise service.JobCancelled(self.job_id)


def run(job_id: UUID, watch: Watcher | None = None, source: Callable[[], IO[bytes]] | None = None) -> str:
    """Run a job to its end and return its state; a job that somebody else holds, or that is over, is left alone."""
    runner_id = new_id()
    if not service.take(job_id, runner_id):
        return "left"
    held = _held(job_id, runner_id, watch or _nobody)
    held[0].source = source
    kind = kinds().get(held[1])
    try:
        if kind is None:
            service.fail(job_id, runner_id, gettext("Nothing here can do this work."))
            return "failed"
        kind.work(held[0])
    except service.JobCancelled:
        service.stop(job_id, runner_id, result=held[0].result, result_file_id=held[0].result_file_id)
        return "cancelled"
    except service.JobLost:
        return "left"
    except PortalError as error:
        service.fail(job_id, runner_id, error.message, result=held[0].result, result_file_id=held[0].result_file_id)
        return "failed"
    except Exception:
        db.session.rollback()
        service.release(job_id, runner_id)
        raise
    service.finish(job_id, runner_id, held[0].result, result_file_id=held[0].result_file_id)
    return "done"


def _held(job_id: UUID, runner_id: UUID, watch: Watcher) -> tuple[Run, str]:
    row = db.session.execute(
        select(
            Job.kind, Job.business_id, Job.params, Job.source_file_id, Job.checkpoint, Job.done, Job.total, Job.result
        ).where(Job.id == job_id)
    ).one()
    db.session.rollback()
    held = Run(
        job_id,
        runner_id,
        row.business_id,
        row.params,
        row.source_file_id,
        dict(row.checkpoint),
        row.done,
        row.total,
        dict(row.result),
        watch=watch,
    )
    return held, row.kind
