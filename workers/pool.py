"""Workers of one queue: `python -m workers.pool fast 2`. Short jobs run without a fork, long ones in a process each (D35)."""

import os
import signal
import sys
from contextlib import suppress
from typing import Any

from rq import SimpleWorker, Worker
from rq.serializers import JSONSerializer
from rq.worker_pool import WorkerPool

from portal.jobs.running import stop_soon
from portal.kernel.beat import beat
from portal.kernel.redis import redis
from portal.web.observe import configure_logs
from workers.jobs import app, load_tasks
from workers.tasks import Queue, rq_queue

IDLE_S = 20


class ShortWorker(SimpleWorker):
    """One job after the other, in this process."""

    @property
    def dequeue_timeout(self) -> int:
        """An idle worker gives a sign of life so often, in seconds."""
        return IDLE_S

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        super().heartbeat(*args, **kwargs)
        beat("worker fast")


class ForkingWorker(Worker):
    """Forks for each job; the child drops the parent's connections without closing them, and opens its own.

    Asked to stop, it asks the child too: long work then hands itself back between two steps, and another worker goes on.
    """

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        super().heartbeat(*args, **kwargs)
        beat("worker long")

    @property
    def dequeue_timeout(self) -> int:
        """As above."""
        return IDLE_S

    def handle_warm_shutdown_request(self) -> None:
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            with suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)

    def setup_work_horse_signals(self) -> None:
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGTERM, lambda *_: stop_soon())

    def main_work_horse(self, *args: Any, **kwargs: Any) -> None:
        forget_connections()
        super().main_work_horse(*args, **kwargs)


class Pool(WorkerPool):
    """Keeps so many workers alive; a new one in a dead one's place is as quiet as the first."""

    def start_worker(self, *args: Any, **kwargs: Any) -> None:
        super().start_worker(*args, **{**kwargs, "logging_level": "WARNING"})


def forget_connections() -> None:
    """After a fork: what the parent has open is the parent's."""
    from portal.analytics import clickhouse
    from portal.kernel import primaries

    with app().app_context():
        primaries.dispose(close=False)
    clickhouse.forget_clients()


def main() -> None:
    """Serve one queue with the given number of processes."""
    queue = Queue(sys.argv[1]) if len(sys.argv) > 1 else Queue.FAST
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1  # noqa: PLR2004
    configure_logs()
    load_tasks()
    app()  # made once, before the forks
    kind = ShortWorker if queue is Queue.FAST else ForkingWorker
    if count == 1:
        kind([rq_queue(queue)], connection=redis(), serializer=JSONSerializer).work(logging_level="WARNING")
        return
    Pool([rq_queue(queue)], connection=redis(), num_workers=count, worker_class=kind, serializer=JSONSerializer).start(
        logging_level="WARNING"
    )


if __name__ == "__main__":
    main()
