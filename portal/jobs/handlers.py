"""Committed jobs are run by a worker; their owners hear of the end."""

import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

from portal.jobs import running
from portal.jobs.events import JobQueued
from portal.kernel.outbox import Message, subscriber

log = logging.getLogger(__name__)


@subscriber("jobs.run", events=(JobQueued,), transactional=False)
def run_jobs(messages: Sequence[Message]) -> Mapping[UUID, Exception] | None:
    """Run each job to its end. A message that comes again finds the job over or held, and changes nothing.

    An unforeseen failure leaves the job `running` without a heartbeat; the next delivery takes it over at its checkpoint.
    """
    failures: dict[UUID, Exception] = {}
    for message in messages:
        try:
            state = running.run(UUID(message.data["job_id"]))
            log.info("job %s %s: %s", message.data["kind"], message.data["job_id"], state)
        except Exception as error:  # noqa: BLE001  the delivery row keeps it and tries again
            failures[message.id] = error
    return failures
