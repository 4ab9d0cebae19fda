"""Committed jobs are run by a worker; their owners hear of the end."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import text

from portal.extensions import db
from portal.jobs import labels, running
from portal.jobs.events import JobFinished, JobQueued
from portal.kernel.outbox import Message, subscriber
from portal.web.locale import locale_of

log = logging.getLogger(__name__)
_STARTED_BY = text("""
SELECT u.locale FROM jobs j JOIN users u ON u.tenant_id = j.tenant_id AND u.id = j.owner_id
 WHERE j.tenant_id = :tenant AND j.id = :job""")
_NOBODY = SimpleNamespace(locale=None)
_OWNERS = text("SELECT id, locale FROM users WHERE tenant_id = :tenant AND id = ANY (:owners)")


@subscriber("jobs.run", events=(JobQueued,), transactional=False, long=True)
def run_jobs(messages: Sequence[Message]) -> Mapping[UUID, Exception] | None:
    """Run each job to its end. A message that comes again finds the job over or held, and changes nothing.

    After an unforeseen failure the job is let go, and the repeated delivery goes on at its checkpoint.
    """
    failures: dict[UUID, Exception] = {}
    for message in messages:
        try:
            with _spoken(UUID(message.data["job_id"])):
                state = running.run(UUID(message.data["job_id"]))
        except Exception as error:
            log.exception("job %s %s broke off", message.data["kind"], message.data["job_id"])
            failures[message.id] = error
        else:
            log.info("job %s %s: %s", message.data["kind"], message.data["job_id"], state)
    return failures


def _spoken(job_id: UUID) -> AbstractContextManager[str]:
    """The language of who started the job: reasons and messages are kept in it (G15)."""
    owner = db.session.execute(_STARTED_BY, {"tenant": g.tenant_id, "job": job_id}).one_or_none()
    db.session.rollback()
    return locale_of(owner or _NOBODY, g.tenant)


@subscriber("jobs.notify_owner", events=(JobFinished,))
def notify_owner(messages: Sequence[Message]) -> None:
    """A line in the inbox of who started it."""
    from portal.messages.service import tell

    ended = [message for message in messages if message.data["owner_id"]]
    owners = {UUID(message.data["owner_id"]) for message in ended}
    if not owners:
        return
    people = {row.id: row for row in db.session.execute(_OWNERS, {"tenant": g.tenant_id, "owners": list(owners)})}
    tell([_notice(message, people[owner]) for message in ended if (owner := UUID(message.data["owner_id"])) in people])


def _notice(message: Message, owner: Any) -> dict[str, Any]:
    with locale_of(owner, g.tenant):
        title = f"{labels.kind(message.data['kind'])}: {labels.state(message.data['state'])}"
    return {
        "member_id": owner.id,
        "kind": "job.done",
        "dedupe_key": str(message.id),
        "data": {"title": title, "path": f"/jobs/{message.data['job_id']}", "state": message.data["state"]},
        "created_at": message.occurred_at,
    }
