"""Long work from its start to its end. A run holds a job by `runner_id` and a heartbeat, so that two never do."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import text

from portal.extensions import db
from portal.jobs.events import JobFinished, JobQueued
from portal.jobs.models import Job
from portal.kernel import clock
from portal.kernel.books import plain
from portal.kernel.commands import command, emit, journal
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id

LEASE = timedelta(seconds=60)  # a run that has said nothing for this long is dead
TRIES = 5  # runs without a step forward before a job is given up
LONGEST_MESSAGE = 500


class JobLost(Exception):
    """Another run holds the job, or it was ended: stop, and write nothing more."""


class JobCancelled(Exception):
    """Somebody asked for the end."""


@command("job.start", emits=(JobQueued,))
def start(
    kind: str,
    *,
    business_id: UUID | None = None,
    params: Mapping[str, Any] | None = None,
    source_file_id: UUID | None = None,
) -> UUID:
    """Put work in line for a worker; returns the job's id, which `/jobs/<id>` shows."""
    job_id = _add(kind, business_id, params or {}, source_file_id)
    emit(JobQueued(job_id=job_id, kind=kind))
    return job_id


@command("job.start_here")
def start_here(kind: str, *, business_id: UUID | None = None, params: Mapping[str, Any] | None = None) -> UUID:
    """A job that the calling process runs itself, e.g. the command line; no worker takes it over."""
    return _add(kind, business_id, {**(params or {}), "here": True}, None)


@command("job.take")
def take(job_id: UUID, runner_id: UUID) -> bool:
    """Hold the job for this run; False when it is over, or held by a run that is alive."""
    now = clock.now()
    taken = db.session.execute(
        text(
            "UPDATE jobs SET state = 'running', runner_id = :runner, heartbeat_at = :now, attempts = attempts + 1,"
            " started_at = coalesce(started_at, :now) WHERE tenant_id = :tenant AND id = :job"
            " AND (state = 'queued' OR (state = 'running' AND heartbeat_at < :stale)) RETURNING id"
        ),
        {"runner": runner_id, "now": now, "stale": now - LEASE, "tenant": current_tenant_id(), "job": job_id},
    ).first()
    journal().unchanged()
    return taken is not None


@command("job.report")
def report(
    job_id: UUID,
    runner_id: UUID,
    done: int,
    total: int | None = None,
    message: str = "",
    *,
    checkpoint: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
) -> bool:
    """Say how far the run is, and that it lives; inside another command the progress commits with that one's rows.

    Returns whether somebody asked to stop. Raises `JobLost`.
    """
    row = db.session.execute(
        text(
            "UPDATE jobs SET done = :done, total = coalesce(:total, total), message = :message, heartbeat_at = :now,"
            " checkpoint = coalesce(cast(:checkpoint AS jsonb), checkpoint),"
            " attempts = CASE WHEN cast(:checkpoint AS jsonb) IS NULL THEN attempts ELSE 1 END,"
            " result = coalesce(cast(:result AS jsonb), result)"
            " WHERE tenant_id = :tenant AND id = :job AND runner_id = :runner AND state = 'running'"
            " RETURNING cancel_requested"
        ),
        {
            "done": done,
            "total": total,
            "message": message[:LONGEST_MESSAGE],
            "now": clock.now(),
            "checkpoint": _json(checkpoint),
            "result": _json(result),
            "tenant": current_tenant_id(),
            "job": job_id,
            "runner": runner_id,
        },
    ).first()
    journal().unchanged()
    if row is None:
        raise JobLost(job_id)
    return bool(row.cancel_requested)


@command("job.release")
def release(job_id: UUID, runner_id: UUID) -> None:
    """Let go of a job after an unforeseen failure: the next run takes it over at its checkpoint, or gives it up."""
    row = db.session.execute(
        text(
            "UPDATE jobs SET state = CASE WHEN attempts >= :most THEN 'failed' ELSE 'queued' END, runner_id = NULL,"
            " heartbeat_at = :now, message = CASE WHEN attempts >= :most THEN 'broken' ELSE message END,"
            " finished_at = CASE WHEN attempts >= :most THEN cast(:now AS timestamptz) END"
            " WHERE tenant_id = :tenant AND id = :job AND runner_id = :runner AND state = 'running'"
            " RETURNING kind, state, owner_id, business_id"
        ),
        {"most": TRIES, "now": clock.now(), "tenant": current_tenant_id(), "job": job_id, "runner": runner_id},
    ).first()
    if row is None or row.state == "queued":
        journal().unchanged()
        return
    journal().note("jobs", job_id, {"state": ["running", row.state]})
    emit(_finished(job_id, row, "failed"))


@command("job.finish", emits=(JobFinished,))
def finish(job_id: UUID, runner_id: UUID, result: Mapping[str, Any], *, result_file_id: UUID | None = None) -> None:
    """The work is done. Raises `JobLost`."""
    _end(job_id, runner_id, "done", "", result, result_file_id)


@command("job.fail", emits=(JobFinished,))
def fail(
    job_id: UUID,
    runner_id: UUID,
    message: str,
    *,
    result: Mapping[str, Any] | None = None,
    result_file_id: UUID | None = None,
) -> None:
    """The work cannot be done; `message` says to its owner why. Raises `JobLost`."""
    _end(job_id, runner_id, "failed", message, result, result_file_id)


@command("job.stop", emits=(JobFinished,))
def stop(
    job_id: UUID, runner_id: UUID, *, result: Mapping[str, Any] | None = None, result_file_id: UUID | None = None
) -> None:
    """The work ends where it is, because somebody asked; what is done stays done. Raises `JobLost`."""
    _end(job_id, runner_id, "cancelled", "", result, result_file_id)


@command("job.cancel")
def cancel(job_id: UUID) -> None:
    """Ask for the end; a job that waits ends now, one that runs at its next step. One that is over stays as it is."""
    row = db.session.execute(
        text(
            "UPDATE jobs SET cancel_requested = true, state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,"
            " finished_at = CASE state WHEN 'queued' THEN cast(:now AS timestamptz) END"
            " WHERE tenant_id = :tenant AND id = :job AND state IN ('queued','running')"
            " RETURNING kind, state, owner_id, business_id"
        ),
        {"now": clock.now(), "tenant": current_tenant_id(), "job": job_id},
    ).first()
    if row is None:
        journal().unchanged()
        return
    journal().note("jobs", job_id, {"cancel_requested": [False, True]})
    journal().about("job", job_id)
    if row.state == "cancelled":
        emit(_finished(job_id, row, "cancelled"))


@command("job.revive")
def revive_lost() -> int:
    """Queue again what a dead run held, and end what only its own process could run; returns how many."""
    now = clock.now()
    lost = db.session.execute(
        text(
            "UPDATE jobs SET state = CASE WHEN params ? 'here' THEN 'failed' ELSE 'queued' END, runner_id = NULL,"
            " message = CASE WHEN params ? 'here' THEN 'interrupted' ELSE message END, heartbeat_at = :now,"
            " finished_at = CASE WHEN params ? 'here' THEN cast(:now AS timestamptz) END"
            " WHERE tenant_id = :tenant AND state IN ('queued','running')"
            " AND coalesce(heartbeat_at, created_at) < :stale"
            " RETURNING id, kind, state, owner_id, business_id"
        ),
        {"now": now, "stale": now - 2 * LEASE, "tenant": current_tenant_id()},
    ).all()
    for row in lost:
        journal().note("jobs", row.id, {"state": [None, row.state]})
        emit(JobQueued(job_id=row.id, kind=row.kind) if row.state == "queued" else _finished(row.id, row, "failed"))
    return len(lost)


def _add(kind: str, business_id: UUID | None, params: Mapping[str, Any], source_file_id: UUID | None) -> UUID:
    job_id = new_id()
    db.session.add(
        Job(
            id=job_id,
            kind=kind,
            owner_id=g.get("actor_id") if g.get("actor_kind") == "member" else None,
            business_id=business_id,
            params=dict(params),
            source_file_id=source_file_id,
        )
    )
    journal().about("job", job_id)
    return job_id


def _end(
    job_id: UUID, runner_id: UUID, state: str, message: str, result: Mapping[str, Any] | None, file_id: UUID | None
) -> None:
    row = db.session.execute(
        text(
            "UPDATE jobs SET state = :state, message = :message, finished_at = :now, heartbeat_at = :now,"
            " result = coalesce(cast(:result AS jsonb), result), result_file_id = coalesce(:file, result_file_id),"
            " done = CASE WHEN :state = 'done' THEN greatest(done, total) ELSE done END"
            " WHERE tenant_id = :tenant AND id = :job AND runner_id = :runner AND state = 'running'"
            " RETURNING kind, owner_id, business_id"
        ),
        {
            "state": state,
            "message": message[:LONGEST_MESSAGE],
            "now": clock.now(),
            "result": _json(result),
            "file": file_id,
            "tenant": current_tenant_id(),
            "job": job_id,
            "runner": runner_id,
        },
    ).first()
    if row is None:
        raise JobLost(job_id)
    journal().note("jobs", job_id, {"state": ["running", state]})
    journal().about("job", job_id)
    emit(_finished(job_id, row, state))


def _finished(job_id: UUID, row: Any, state: str) -> JobFinished:
    return JobFinished(job_id=job_id, kind=row.kind, state=state, owner_id=row.owner_id, business_id=row.business_id)


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(dict(value), default=plain)
