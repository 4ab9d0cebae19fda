"""Prometheus' figures: those that web processes count, and those that are asked of the stores at each scrape.

Relay, workers and cron have no port of their own: what they leave in PostgreSQL and Redis is told by any web process. No
label names a tenant or a person, so the number of series is bounded by subscribers, queues and tasks.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from redis.exceptions import RedisError

from portal.kernel import primaries
from portal.kernel.beat import counted, living
from portal.kernel.redis import redis
from portal.settings import settings

QUEUES = ("fast", "long")
_OUTBOX = """
SELECT subscriber, count(*) FILTER (WHERE open), count(*) FILTER (WHERE status = 'dead'),
       coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at) FILTER (WHERE open)), 0)::float8
  FROM outbox_deliveries WHERE open OR status = 'dead' GROUP BY 1 ORDER BY 1
"""


def metrics() -> bytes:
    """All of them in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Stores())
    asked = generate_latest(registry)
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest() + asked
    own = CollectorRegistry()
    MultiProcessCollector(own)  # type: ignore[no-untyped-call]
    return generate_latest(own) + asked


def bury(directory: Path, pid: int) -> None:
    """Add a dead process's counters to those of the dead before it, so that files do not pile up with each restart."""
    for kind in ("counter", "histogram"):
        own, all_ = directory / f"{kind}_{pid}.db", directory / f"{kind}_0.db"
        if not own.exists():
            continue
        kept = MmapedDict(str(all_))  # type: ignore[no-untyped-call]
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(own)):  # type: ignore[no-untyped-call]
            kept.write_value(key, kept.read_value(key)[0] + value, 0.0)  # type: ignore[no-untyped-call]
        kept.close()  # type: ignore[no-untyped-call]
        own.unlink()
    for rest in directory.glob(f"gauge_*_{pid}.db"):
        rest.unlink()


class _Stores:
    """What waits, what died, who lives; a store that does not answer is told as down, and the rest as it is."""

    def collect(self) -> Iterator[Any]:
        up = GaugeMetricFamily("krug_store_up", "Whether a store answers", labels=["store"])
        yield from self._outbox(up)
        yield from self._redis(up)
        yield up

    def _outbox(self, up: GaugeMetricFamily) -> Iterator[Any]:
        labels = ["primary", "subscriber"]
        pending = GaugeMetricFamily("krug_outbox_pending", "Deliveries on their way", labels=labels)
        dead = GaugeMetricFamily("krug_outbox_dead", "Deliveries given up", labels=labels)
        lag = GaugeMetricFamily("krug_outbox_lag_seconds", "Age of the oldest delivery on its way", labels=labels)
        for primary in primaries.names():
            try:
                with primaries.connect("portal_relay", primary, connect_timeout=2) as connection:
                    rows = connection.execute(_OUTBOX).fetchall()
            except psycopg.Error:
                up.add_metric([f"postgresql {primary}"], 0)
                continue
            up.add_metric([f"postgresql {primary}"], 1)
            for subscriber, waiting, died, oldest in rows:
                for family, value in ((pending, waiting), (dead, died), (lag, oldest)):
                    family.add_metric([primary, subscriber], value)
        yield from (pending, dead, lag)

    def _redis(self, up: GaugeMetricFamily) -> Iterator[Any]:
        waiting = GaugeMetricFamily("krug_queue_jobs", "Jobs by state", labels=["queue", "state"])
        alive = GaugeMetricFamily("krug_processes", "Processes that were alive a moment ago", labels=["kind"])
        tasks = CounterMetricFamily("krug_tasks", "Tasks that ended", labels=["task", "result"])
        seconds = CounterMetricFamily("krug_task_seconds", "Time spent in tasks", labels=["task"])
        try:
            for queue in QUEUES:
                name = f"{settings().REDIS_PREFIX}-{queue}"
                waiting.add_metric([queue, "waiting"], redis().llen(f"rq:queue:{name}"))
                waiting.add_metric([queue, "running"], redis().zcard(f"rq:wip:{name}"))
                waiting.add_metric([queue, "failed"], redis().zcard(f"rq:failed:{name}"))
            for kind, count in living().items():
                alive.add_metric([kind], count)
            for name, (done, failed, spent) in counted().items():
                tasks.add_metric([name, "done"], done)
                tasks.add_metric([name, "failed"], failed)
                seconds.add_metric([name], spent)
        except RedisError:
            up.add_metric(["redis"], 0)
            return
        up.add_metric(["redis"], 1)
        yield from (waiting, alive, tasks, seconds)
