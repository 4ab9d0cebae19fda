"""What a background task is: a named function with a queue, a timeout and JSON arguments (style.md 20, D35)."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from rq import Queue as RqQueue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from portal.kernel.redis import redis
from portal.settings import settings


class Queue(StrEnum):
    """`fast`: jobs of seconds, in one process one after the other. `long`: a process of its own for each."""

    FAST = "fast"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class Task:
    """A registered task; `timeout` in seconds."""

    name: str
    queue: Queue
    timeout: int
    run: Callable[..., None]


REGISTRY: dict[str, Task] = {}


def task(queue: Queue, *, name: str, timeout: int) -> Callable[[Callable[..., None]], Task]:
    """Register a function under a frozen name. It runs at least once: it must be harmless the second time."""

    def register(function: Callable[..., None]) -> Task:
        if name in REGISTRY:
            raise ValueError(f"task {name} is registered twice")
        REGISTRY[name] = Task(name, queue, timeout, function)
        return REGISTRY[name]

    return register


def rq_queue(queue: Queue) -> RqQueue:
    """The queue in Redis; JSON, since a pickle would let whoever writes Redis run code (security.md 3)."""
    return RqQueue(f"{settings().REDIS_PREFIX}-{queue}", connection=redis(), serializer=JSONSerializer)


def crowd(queue: Queue) -> tuple[int, timedelta | None]:
    """How many jobs wait in a queue, and for how long the first of them has; None when none waits."""
    number = int(rq_queue(queue).count)
    first = rq_queue(queue).get_job_ids(0, 1) if number else []
    job = rq_queue(queue).fetch_job(first[0]) if first else None
    return number, None if job is None or job.enqueued_at is None else datetime.now(UTC) - job.enqueued_at


def enqueue(chosen: Task, *args: Any, job_id: str) -> None:
    """Put a job on its task's queue, once a job id."""
    with suppress(DuplicateJobError):
        rq_queue(chosen.queue).enqueue(
            "workers.jobs.run",
            chosen.name,
            *args,
            job_id=job_id,
            unique=True,
            job_timeout=chosen.timeout,
            result_ttl=0,
            failure_ttl=86_400,
        )
