"""From a commit to its subscribers: the relay alone, the whole way with two workers, and the wait of a single message.

The reference is the least that a queue in PostgreSQL does: take five hundred rows with SKIP LOCKED and delete them. The
subscriber does nothing but keep a record of each message, so that a second delivery would show. The relay and the workers
are those of production, in processes of their own: `python -m bench.outbox relay`, `python -m bench.outbox worker`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from bench.harness import Figure, compare, engines, seconds

NAMES = ("outbox.relay", "outbox.drain", "outbox.latency")
MESSAGES, BATCH, SINGLE, TICKS, ROUNDS = 20_000, 500, 300, 60, 6
HEARD = "bench:heard"
PATIENCE_S = 120.0
_TABLES = """
CREATE TABLE bench_queue (id uuid PRIMARY KEY, subscriber text, available_at timestamptz, data jsonb);
CREATE INDEX ON bench_queue (subscriber, available_at);
CREATE TABLE bench_seen (tenant_id uuid, message_id uuid, PRIMARY KEY (tenant_id, message_id));
GRANT SELECT, INSERT ON bench_seen TO portal_app"""
_FILL_QUEUE = """
INSERT INTO bench_queue SELECT uuidv7(), 'bench.keep', clock_timestamp(), '{"amount": 1200, "currency": "RUB"}'
  FROM generate_series(1, %s)"""
_TAKE = """
DELETE FROM bench_queue WHERE id IN (SELECT id FROM bench_queue WHERE subscriber = 'bench.keep' AND available_at <= clock_timestamp()
 ORDER BY available_at LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id, data"""
_FILL_OUTBOX = """
WITH message AS (
    INSERT INTO outbox_messages (tenant_id, id, type, schema_version, aggregate_type, aggregate_id, occurred_at, historical, data)
    SELECT %s, uuidv7(), 'bench.ticked', 1, 'clock', uuidv7(), clock_timestamp(), false, '{"amount": 1200, "currency": "RUB"}'
      FROM generate_series(1, %s) RETURNING tenant_id, id, seq, aggregate_type, aggregate_id)
INSERT INTO outbox_deliveries (tenant_id, id, message_id, seq, subscriber, aggregate_type, aggregate_id)
SELECT tenant_id, uuidv7(), id, seq, 'bench.keep', aggregate_type, aggregate_id FROM message"""


def run(names: list[str]) -> Iterator[Figure]:
    with engines():
        queue = Messages()
        if "outbox.relay" in names:
            yield from _relay(queue)
        if "outbox.drain" in names or "outbox.latency" in names:
            with queue.processes():
                if "outbox.drain" in names:
                    yield compare("outbox.drain", queue.drained, queue.taken, bar=0.25, rounds=4)
                if "outbox.latency" in names:
                    yield compare("outbox.latency", queue.waited, queue.started, bar=2, at_most=True, rounds=ROUNDS)


def _relay(queue: "Messages") -> Iterator[Figure]:
    figure = compare("outbox.relay", queue.relayed, queue.taken, bar=0.5, rounds=ROUNDS)
    yield figure
    yield compare("outbox.relay one by one", queue.relayed, queue.enqueued, bar=50, rounds=4)


class Messages:
    """A tenant whose messages are counted."""

    def __init__(self) -> None:
        import psycopg

        from bench.world import World
        from portal import nouns
        from portal.settings import settings
        from workers import jobs

        jobs.load_tasks()
        listen()
        self.world = World(0)
        nouns.load_handlers()
        self.admin = psycopg.connect(settings().DATABASE_URL, autocommit=True)
        self.admin.execute(_TABLES)

    def taken(self) -> float:
        """Rows a second out of the bare queue."""
        self.admin.execute("TRUNCATE bench_queue")
        self.admin.execute(_FILL_QUEUE, (MESSAGES,))
        self.admin.execute("ANALYZE bench_queue")

        def work() -> None:
            while self.admin.execute(_TAKE, (BATCH,)).fetchall():
                pass

        return MESSAGES / seconds(work)

    def relayed(self) -> float:
        """Due deliveries a second that become jobs."""
        import psycopg

        from portal.kernel.redis import redis
        from portal.settings import settings
        from workers.outbox import relay_once

        self._clear()
        redis().flushdb()
        self.admin.execute(_FILL_OUTBOX, (self.world.tenant_id, MESSAGES))
        self.admin.execute("ANALYZE outbox_deliveries")
        moved = 0
        with psycopg.connect(settings().database_url("portal_relay"), autocommit=True) as connection:

            def work() -> None:
                nonlocal moved
                moved = relay_once(connection)

            took = seconds(work)
        if moved != MESSAGES:
            raise SystemExit(f"outbox.relay: {moved} of {MESSAGES} deliveries became jobs")
        redis().flushdb()
        return MESSAGES / took

    def enqueued(self) -> float:
        """Messages a second where each is a job of its own."""
        from portal.kernel.redis import redis
        from workers.tasks import REGISTRY, enqueue

        def work() -> None:
            for n in range(SINGLE):
                enqueue(REGISTRY["bench.hear"], n, job_id=f"one-{n}")

        took = seconds(work)
        redis().flushdb()
        return SINGLE / took

    def drained(self) -> float:
        """Messages a second from their commit to the last mark "delivered", with a record of each."""
        from portal.kernel.outbox import wake_relay

        self._clear()
        self.admin.execute(_FILL_OUTBOX, (self.world.tenant_id, MESSAGES))
        wake_relay()  # as a replay does after its commit
        took = seconds(lambda: _until(self._all_delivered, 0.02))
        kept = self.admin.execute("SELECT count(*) FROM bench_seen").fetchone()
        if kept != (MESSAGES,):
            raise SystemExit(f"outbox.drain: {kept} records of {MESSAGES} messages")
        return MESSAGES / took

    def waited(self) -> float:
        """Seconds from a commit to the start of its handler, the slowest but the last five in a hundred."""
        return self._slow(lambda: self.world.request(tick))

    def started(self) -> float:
        """Seconds from an enqueue to the start of its job, the slowest but the last five in a hundred."""
        from workers.tasks import REGISTRY, enqueue

        def one() -> float:
            began = time.monotonic()
            enqueue(REGISTRY["bench.hear"], 0, job_id=f"hear-{round(began * 1e9)}")
            return began

        return self._slow(one)

    def _slow(self, act: Callable[[], float]) -> float:
        from portal.kernel.redis import redis

        redis().delete(HEARD)
        found = []
        for _ in range(TICKS):
            began = act()
            heard = redis().blpop([HEARD], timeout=5)
            if heard is None:
                raise SystemExit("outbox.latency: nobody heard of it")
            found.append(float(heard[1]) - began)
            time.sleep(0.02)  # idle again
        return sorted(found)[round(TICKS * 0.95) - 1]

    def _all_delivered(self) -> bool:
        return self.admin.execute("SELECT FROM outbox_deliveries WHERE open LIMIT 1").fetchall() == []

    def _clear(self) -> None:
        self.admin.execute("TRUNCATE outbox_messages, outbox_deliveries, bench_seen")

    @contextmanager
    def processes(self) -> Iterator[None]:
        """The relay and a pool of two workers, as `portal relay` and `portal worker --processes 2` start them."""
        running = [subprocess.Popen([sys.executable, "-m", "bench.outbox", role]) for role in ("relay", "worker")]
        try:
            self.world.request(tick)
            self.heard()
            yield
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(timeout=30)

    def heard(self) -> None:
        from portal.kernel.redis import redis

        _until(lambda: redis().llen(HEARD) == 1, 0.05)


def tick() -> float:
    """Commit a message; returns when that was."""
    from sqlalchemy import event

    from portal.extensions import db
    from portal.kernel.commands import command, emit
    from portal.kernel.model import new_id

    moments: list[float] = []

    @command("bench.tick")
    def commit() -> None:
        event.listen(db.session(), "after_commit", lambda _: moments.append(time.monotonic()), once=True)
        emit(_ticked()(clock_id=new_id()))

    commit()
    return moments[0]


def listen() -> None:
    """Register the subscribers and the job in this process."""
    from sqlalchemy import text

    from portal.extensions import db
    from portal.kernel.outbox import Message, subscriber
    from portal.kernel.redis import redis
    from workers.tasks import Queue, task

    @subscriber("bench.keep", events=())
    def keep(messages: Sequence[Message]) -> None:
        db.session.execute(
            text("INSERT INTO bench_seen SELECT :tenant, unnest(cast(:ids AS uuid[]))"),
            {"tenant": messages[0].tenant_id, "ids": [message.id for message in messages]},
        )

    @subscriber("bench.hear", events=(_ticked(),))
    def hear(_: Sequence[Message]) -> None:
        redis().rpush(HEARD, time.monotonic())

    @task(Queue.FAST, name="bench.hear", timeout=60)
    def hear_job(_: int) -> None:
        redis().rpush(HEARD, time.monotonic())


_TICKED: list[Any] = []


def _ticked() -> Any:
    """The event, made when the portal can be imported."""
    if not _TICKED:
        from portal.kernel.commands import Event

        @dataclass(frozen=True, slots=True, kw_only=True)
        class Ticked(Event):
            TYPE: ClassVar[str] = "bench.ticked"
            AGGREGATE: ClassVar[str] = "clock"
            clock_id: UUID

        _TICKED.append(Ticked)
    return _TICKED[0]


def _until(condition: Callable[[], bool], every: float) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("outbox: it did not come to an end")
        time.sleep(every)


def _become(role: str) -> None:
    """One of production's processes, which knows the subscribers of this bench as well."""
    from workers import pool, relay

    listen()
    if role == "relay":
        relay.main()
    else:
        sys.argv = ["workers.pool", "fast", os.environ.get("BENCH_WORKERS", "2")]
        pool.main()


if __name__ == "__main__":
    _become(sys.argv[1])
