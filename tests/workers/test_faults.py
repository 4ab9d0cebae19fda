"""Processes that die, a Redis that forgets, relays side by side: effects once, nothing lost (F2, F3, D32)."""

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta

import psycopg
import pytest
from redis.exceptions import ConnectionError as RedisGone
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import text

from portal.analytics.clickhouse import client
from portal.extensions import db
from portal.kernel import outbox as kernel
from portal.kernel.model import new_id
from portal.kernel.redis import redis
from portal.settings import ROOT, settings
from tests.cast import BOB, CIRCLE
from tests.purchases.shop import buy
from tests.workers.test_delivery import heard, ring  # noqa: F401  a fixture
from workers import jobs, outbox
from workers.delivery import deliver
from workers.tasks import Queue, rq_queue

SOON = 30.0
NOTICES, FACTS = "messages.notify_purchase", "analytics.purchase_facts"
pytestmark = pytest.mark.commits


def until(condition, within=SOON):
    """Ask until it holds."""
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


@pytest.fixture
def relay(app):
    jobs.load_tasks()
    with psycopg.connect(settings().database_url("portal_relay"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def work(app, monkeypatch):
    """A worker's own code in this process, until the queue is empty."""
    monkeypatch.setattr(jobs, "app", lambda: app)
    return lambda: SimpleWorker([rq_queue(Queue.FAST)], connection=redis(), serializer=JSONSerializer).work(
        burst=True, logging_level="ERROR"
    )


def a_purchase_for(acting, subscriber):
    """One purchase, on its way to this subscriber alone."""
    with acting(CIRCLE, BOB):
        bought = buy(100_000)
    with psycopg.connect(settings().DATABASE_URL, autocommit=True) as admin:
        admin.execute("UPDATE outbox_deliveries SET status = 'delivered' WHERE subscriber <> %s", (subscriber,))
    return bought


def state(acting):
    with acting(CIRCLE):
        rows = db.session.execute(text("SELECT status, attempts FROM outbox_deliveries ORDER BY seq, subscriber")).all()
        db.session.rollback()
    return [tuple(row) for row in rows]


def effects(acting, subscriber, bought):
    with acting(CIRCLE):
        if subscriber == NOTICES:
            return db.session.execute(text("SELECT count(*) FROM notifications")).scalar()
    rows = client().query("SELECT count() FROM v_facts(tenant = {t:UUID})", parameters={"t": CIRCLE.id})
    return rows.result_rows[0][0]


@pytest.mark.parametrize(
    ("subscriber", "point", "before", "after"),
    [
        (NOTICES, "before_work", ("leased", 0), ("delivered", 2)),
        (NOTICES, "before_commit", ("leased", 0), ("delivered", 2)),
        (NOTICES, "after_commit", ("delivered", 1), ("delivered", 1)),
        (FACTS, "after_send_before_mark", ("leased", 1), ("delivered", 2)),
    ],
)
def test_a_worker_killed_at_the_worst_moment(acting, relay, work, monkeypatch, subscriber, point, before, after):
    """F2: killed by SIGKILL; the lease runs out, another worker does it, and what it does stands there once."""
    client().command("TRUNCATE TABLE transaction_facts")
    monkeypatch.setattr(outbox, "LEASE", timedelta(seconds=1))
    bought = a_purchase_for(acting, subscriber)
    until(lambda: outbox.relay_once(relay))
    dying = subprocess.Popen(
        [sys.executable, "-m", "workers.pool", "fast", "1"],
        cwd=ROOT,
        env={**os.environ, "TESTING": "1", "FAILPOINT": point},
    )
    assert dying.wait(timeout=60) == -9
    mine = [row for row in state(acting) if row[1]]
    assert mine == [(before[0], 1)]
    assert effects(acting, subscriber, bought) == before[1]

    if before[0] == "leased":
        until(lambda: outbox.relay_once(relay))
    work()
    assert [row for row in state(acting) if row[1]] == [after]
    assert effects(acting, subscriber, bought) == 1
    assert outbox.relay_once(relay) == 0


def test_redis_forgets_everything_between_claim_and_work(acting, relay, work, monkeypatch):
    """F3: the job is gone with all of Redis; the lease runs out and the relay makes it anew."""
    monkeypatch.setattr(outbox, "LEASE", timedelta(seconds=1))
    a_purchase_for(acting, NOTICES)
    assert outbox.relay_once(relay) == 1
    redis().flushdb()
    work()
    assert ("leased", 1) in state(acting)
    until(lambda: outbox.relay_once(relay))
    work()
    assert ("delivered", 2) in state(acting)


def test_a_redis_that_refuses_costs_no_try(acting, relay, work, monkeypatch):
    """F3: the job could not be made, so the lease is given back at once and the try does not count."""
    a_purchase_for(acting, NOTICES)

    def refused(*_, **__):
        raise RedisGone("refused")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "enqueue", refused)
        for _ in range(30):
            with pytest.raises(RedisGone):
                outbox.relay_once(relay)
    assert ("pending", 0) in state(acting)
    assert outbox.relay_once(relay) == 1
    work()
    assert ("delivered", 1) in state(acting)


def test_workers_that_are_away_for_long_cost_no_message(acting, relay, work, monkeypatch):
    """Leases run out again and again while their jobs wait: they are not lost, and no try is used up.

    Seen red with every lease that ran out taken for lost: each look made one more job.
    """
    monkeypatch.setattr(outbox, "LEASE", timedelta(0))
    a_purchase_for(acting, NOTICES)
    for _ in range(50):
        outbox.relay_once(relay)
    assert rq_queue(Queue.FAST).count == 1
    assert ("leased", 1) in state(acting)
    work()
    assert ("delivered", 1) in state(acting)
    assert effects(acting, NOTICES, None) == 1


def test_a_lost_job_is_made_anew_though_others_wait(acting, relay, work, monkeypatch):
    """F2: its worker died; the queue never runs empty, but what waits there came later.

    F2 found it: lost leases were looked for only while few jobs waited, and under a steady load stayed lost.
    """
    a_purchase_for(acting, NOTICES)
    assert outbox.relay_once(relay) == 1
    rq_queue(Queue.FAST).empty()  # the dead worker had it
    with psycopg.connect(settings().DATABASE_URL, autocommit=True) as admin:
        admin.execute(
            "UPDATE outbox_deliveries SET leased_until = clock_timestamp() - interval '10 s' WHERE status = 'leased'"
        )
    for n in range(20):
        rq_queue(Queue.FAST).enqueue("builtins.str", n)
    assert outbox.relay_once(relay) == 1
    work()
    assert ("delivered", 2) in state(acting)


def test_a_message_that_kills_its_worker_goes_alone_and_dies_alone(acting, relay, heard, monkeypatch):  # noqa: F811
    """A worker that never answers: the first tries go together, later ones one by one, the twelfth is the last."""
    monkeypatch.setattr(outbox, "LEASE", timedelta(0))
    sent = []  # and their jobs are with their workers, so that none waits
    monkeypatch.setattr(
        outbox,
        "enqueue",
        lambda _task, name, batch, **_: sent.append((name, sum(len(one.deliveries) for one in batch))),
    )
    with acting(CIRCLE, BOB):
        ring(new_id(), *range(5))
    kernel._subscribers.pop("test.poisoned"), kernel._subscribers.pop("test.ordered")
    for _ in range(14):
        outbox.relay_once(relay)
    sizes = [size for name, size in sent if name == "test.ear"]
    assert sizes == [5] * 3 + [1] * 5 * 9
    assert sorted(state(acting)) == [("dead", 12)] * 5 + [("pending", 0)] * 10


def claimed_by_four(subscriber):
    """What four relays, started together, take until nothing is due."""
    taken, barrier = [], threading.Barrier(4)

    def claiming():
        with psycopg.connect(settings().database_url("portal_relay"), autocommit=True) as own:
            barrier.wait()
            while found := outbox.claim(own, subscriber, 70):
                taken.append(found)

    threads = [threading.Thread(target=claiming) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    return taken


def test_four_relays_share_the_work_and_each_message_goes_once(app, acting, heard):  # noqa: F811
    """Side by side, unordered and ordered: no delivery is leased twice, none is forgotten; order holds."""
    bells = [new_id() for _ in range(20)]
    with acting(CIRCLE, BOB):
        for n in range(30):
            for bell in bells:
                ring(bell, n)
    for name in ("test.ear", "test.ordered"):
        subscriber = kernel.subscribers()[name]
        seen = []
        while batches := claimed_by_four(subscriber):
            seen += [delivery for batch in batches for one in batch for delivery in one.deliveries]
            with app.app_context():
                for batch in batches:
                    for tenant_id, deliveries in outbox.by_tenant(batch).items():
                        deliver(subscriber, tenant_id, deliveries)
        assert len(seen) == len(set(seen)) == 600
    assert len(heard["ear"]) == 600
    for bell in bells:
        assert [n for found, n in heard["ordered"] if found == bell] == list(range(30))


def test_a_periodic_task_twice_is_harmless_and_one_runs_from_the_schedule(app, acting, work):
    """D35: the schedule's own jobs, JSON and all, through a real worker; each task done twice changes nothing more."""
    from workers import cron
    from workers.schedule import SCHEDULE

    with acting(CIRCLE, BOB):
        buy(100_000)
    jobs.load_tasks()
    for name in SCHEDULE:
        jobs.run(name)
    count = "SELECT (SELECT count(*) FROM ledger_entries), (SELECT count(*) FROM audit_entries), (SELECT count(*) FROM task_runs)"
    with acting(CIRCLE):
        before = tuple(db.session.execute(text(count)).one())
        db.session.rollback()
    for name in SCHEDULE:
        jobs.run(name)
    with acting(CIRCLE):
        assert tuple(db.session.execute(text(count)).one()) == before
        db.session.rollback()
    made = cron.scheduler()
    fast = [job for job in made.get_jobs() if job.queue_name.endswith("-fast")]
    for job in fast:
        job.enqueue(redis())
    assert rq_queue(Queue.FAST).count == len(fast) > 0
    work()
    assert rq_queue(Queue.FAST).count == 0
    assert rq_queue(Queue.FAST).failed_job_registry.count == 0


def test_relay_and_worker_as_processes_carry_and_stop_when_told(acting):
    """`workers.relay` and `workers.pool` as `portal up` starts them: a commit is delivered; TERM ends both cleanly."""
    started = [
        subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, env={**os.environ, "LOG_LEVEL": "ERROR"})
        for module in (("workers.relay",), ("workers.pool", "fast", "2"))
    ]
    try:
        a_purchase_for(acting, NOTICES)
        until(lambda: ("delivered", 1) in state(acting), within=60)
    finally:
        for process in started:
            process.terminate()
        codes = [process.wait(timeout=30) for process in started]
    assert codes == [0, 0]
