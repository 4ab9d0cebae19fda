"""Starts the periodic tasks of `schedule.py` by RQ's own cron: `python -m workers.cron`.

Any number may run: each period of a task belongs to the first that asks Redis for it. Without Redis there are no queues
either, so that is waited for.
"""

import logging
import time
from contextlib import suppress
from functools import partial
from typing import Any

from redis.exceptions import RedisError
from rq import cron
from rq.serializers import JSONSerializer

from portal.kernel.beat import EVERY_S, beat
from portal.kernel.redis import key, redis
from portal.settings import settings
from portal.web.observe import configure_logs
from workers.jobs import load_tasks, run
from workers.schedule import SCHEDULE
from workers.tasks import REGISTRY

REST_S = 2.0
SLACK_MS = 500  # clocks of two crons tick a little apart
log = logging.getLogger("workers.cron")


class SharedScheduler(cron.CronScheduler):
    """One of several: it starts what nobody else has started in this period, and survives Redis."""

    def enqueue_jobs(self) -> list[Any]:
        """Start what is due."""
        beat("cron")
        begun = cron.now()
        try:
            due = [job for job in self._cron_jobs if job.should_run()]
            for job in due:
                if self._is_mine(job):
                    job.enqueue(self.connection)
                job.set_enqueue_time(begun)
        except RedisError as error:
            log.warning("Redis does not answer: %s", error)
            time.sleep(REST_S)
            return []
        return due

    def calculate_sleep_interval(self) -> float:
        """Often enough for the signs of life."""
        return min(super().calculate_sleep_interval(), EVERY_S)

    def _is_mine(self, job: Any) -> bool:
        lease = job.interval * 1000 - SLACK_MS
        return bool(self.connection.set(key("cron", *job.args), self.name, nx=True, px=lease))

    def save(self, pipeline: Any = None) -> None:
        """For RQ's monitoring only."""
        with suppress(RedisError):
            super().save(pipeline)

    def heartbeat(self) -> None:
        """For RQ's monitoring only."""
        with suppress(RedisError):
            super().heartbeat()

    def register_birth(self) -> None:
        """For RQ's monitoring only."""
        with suppress(RedisError):
            super().register_birth()

    def register_death(self, pipeline: Any = None) -> None:
        """For RQ's monitoring only."""
        with suppress(RedisError):
            super().register_death(pipeline)


def scheduler() -> SharedScheduler:
    """The schedule, registered; jobs are JSON like all others (D35)."""
    load_tasks()
    cron.Queue = partial(cron.Queue, serializer=JSONSerializer)  # type: ignore[misc, assignment]
    made = SharedScheduler(connection=redis())
    for name, seconds in SCHEDULE.items():
        chosen = REGISTRY[name]
        made.register(
            run,
            f"{settings().REDIS_PREFIX}-{chosen.queue}",
            args=(name,),
            interval=seconds,
            job_timeout=chosen.timeout,
            result_ttl=0,
            failure_ttl=86_400,
        )
    return made


if __name__ == "__main__":
    configure_logs()
    scheduler().start()  # type: ignore[no-untyped-call]
