"""Starts the periodic tasks of `schedule.py` by RQ's own cron: `python -m workers.cron`."""

from functools import partial

from rq import cron
from rq.serializers import JSONSerializer

from portal.kernel.redis import redis
from portal.settings import settings
from portal.web.observe import configure_logs
from workers.jobs import load_tasks, run
from workers.schedule import SCHEDULE
from workers.tasks import REGISTRY


def scheduler() -> cron.CronScheduler:
    """The schedule, registered; jobs are JSON like all others (D35)."""
    load_tasks()
    cron.Queue = partial(cron.Queue, serializer=JSONSerializer)  # type: ignore[misc, assignment]
    made = cron.CronScheduler(connection=redis())
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
