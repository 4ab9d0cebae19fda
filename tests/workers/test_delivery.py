"""From commit to subscriber: at least once, nothing lost, a failing one holds up nobody (F2, F3, F16, D32 to D34)."""

import time
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, text

from portal.delivery import service
from portal.extensions import db
from portal.kernel import outbox
from portal.kernel.commands import Event, command, emit, journal
from portal.kernel.model import new_id
from portal.kernel.outbox import OutboxDelivery, OutboxMessage
from portal.kernel.redis import channel, redis
from portal.settings import settings
from tests.cast import BOB, CIRCLE, GLOBEX, MALLORY
from workers import relay
from workers.delivery import deliver
from workers.outbox import FULL, by_tenant, claim, relay_once
from workers.relay import called


@dataclass(frozen=True, slots=True, kw_only=True)
class Rang(Event):
    TYPE: ClassVar[str] = "bell.rang"
    AGGREGATE: ClassVar[str] = "bell"

    bell_id: UUID
    n: int


@pytest.fixture
def heard():
    """Subscribers of this test alone: what they heard."""
    kept = dict(outbox._subscribers)
    outbox._subscribers.clear()
    heard = {"ear": [], "poisoned": [], "ordered": []}

    @outbox.subscriber("test.ear", events=(Rang,))
    def ear(messages):
        heard["ear"] += [m.data["n"] for m in messages]

    @outbox.subscriber("test.poisoned", events=(Rang,))
    def poisoned(messages):
        if any(m.data["n"] == 13 for m in messages):
            raise RuntimeError("thirteen")
        heard["poisoned"] += [m.data["n"] for m in messages]

    @outbox.subscriber("test.ordered", events=(Rang,), ordered=True)
    def in_order(messages):
        stopped, failures = set(), {}
        for m in messages:
            if m.aggregate_id in stopped:
                continue
            if m.data["n"] in heard.get("refused", ()):
                stopped.add(m.aggregate_id)
                failures[m.id] = RuntimeError(f"not {m.data['n']}")
            else:
                heard["ordered"].append((m.aggregate_id, m.data["n"]))
        return failures

    yield heard
    outbox._subscribers.clear()
    outbox._subscribers.update(kept)


@command("bell.ring", emits=(Rang,))
def ring(bell_id, *numbers):
    journal().note("bells", bell_id)
    for n in numbers:
        emit(Rang(bell_id=bell_id, n=n))


def test_every_subscriber_hears_every_event_once(acting, heard, deliver):
    with acting(CIRCLE, BOB):
        ring(new_id(), 1, 2, 3)
    deliver()
    deliver()
    assert sorted(heard["ear"]) == sorted(heard["poisoned"]) == [1, 2, 3]
    with acting(CIRCLE):
        assert set(db.session.scalars(select(OutboxDelivery.status))) == {"delivered"}


def due_now():
    """Every open delivery is due, whatever its lease or wait says."""
    from flask import g

    g.seeding = True
    db.session.execute(text("UPDATE outbox_deliveries SET available_at = clock_timestamp() WHERE open"))
    db.session.commit()
    g.seeding = False


def test_one_poisoned_message_stays_behind_alone(acting, heard, deliver):
    """F16: among a hundred it fails, the others arrive once; after twelve tries it is dead, and can be sent again."""
    with acting(CIRCLE, BOB):
        ring(new_id(), *range(100))
    deliver()
    assert sorted(heard["poisoned"]) == [n for n in range(100) if n != 13]
    assert sorted(heard["ear"]) == list(range(100))
    for _ in range(12):
        with acting(CIRCLE):
            due_now()
        deliver()
    with acting(CIRCLE):
        row = db.session.scalars(select(OutboxDelivery).where(OutboxDelivery.status == "dead")).one()
        assert (row.subscriber, row.attempts) == ("test.poisoned", 12)
        assert "thirteen" in row.last_error
        assert service.replay_dead("test.poisoned") == 1
    heard["poisoned"].clear()
    deliver()
    with acting(CIRCLE):
        again = db.session.scalars(select(OutboxDelivery).where(OutboxDelivery.id == row.id)).one()
        assert (again.status, again.attempts) == ("dead", 12)  # one more try (OUT-4)


def test_an_ordered_subscriber_hears_each_aggregate_in_order_and_waits_at_a_failure(acting, heard, deliver):
    """D34: the third of one bell fails; its later ones wait untried, the other bell's arrive. Then all in order."""
    first, second = new_id(), new_id()
    heard["refused"] = {3}
    with acting(CIRCLE, BOB):
        ring(first, 1, 2)
        ring(second, 11, 12)
        ring(first, 3, 4, 5)
        ring(second, 13)
    deliver()
    assert [n for bell, n in heard["ordered"] if bell == first] == [1, 2]
    assert [n for bell, n in heard["ordered"] if bell == second] == [11, 12, 13]
    with acting(CIRCLE):
        waiting = db.session.execute(
            select(OutboxDelivery.seq, OutboxDelivery.attempts)
            .where(OutboxDelivery.subscriber == "test.ordered", OutboxDelivery.open)
            .order_by(OutboxDelivery.seq)
        ).all()
        assert [attempts > 0 for _, attempts in waiting] == [True, False, False]
        due_now()
    heard["refused"] = set()
    deliver()
    assert [n for bell, n in heard["ordered"] if bell == first] == [1, 2, 3, 4, 5]


def test_a_receiver_that_is_down_is_not_asked_for_every_message(acting, heard, deliver):
    """Nothing arrives and three fail alone: the rest is put off without asking."""
    asked = []

    @outbox.subscriber("test.down", events=(Rang,), transactional=False)
    def down(messages):
        asked.append(len(messages))
        raise ConnectionError("nobody there")

    with acting(CIRCLE, BOB):
        ring(new_id(), *range(400))
    deliver()
    assert len(asked) < 40
    with acting(CIRCLE):
        rows = db.session.scalars(select(OutboxDelivery).where(OutboxDelivery.subscriber == "test.down")).all()
        assert {(r.status, r.attempts) for r in rows} == {("pending", 1)}


def test_an_event_of_one_tenant_reaches_nobody_elses_rows(acting, heard, deliver):
    with acting(GLOBEX, MALLORY):
        ring(new_id(), 7)
    with acting(CIRCLE):
        assert db.session.scalars(select(OutboxMessage)).all() == []
    deliver()
    assert heard["ear"] == [7]


def ids(claimed):
    """The deliveries of a claim."""
    return {d for deliveries in by_tenant(claimed).values() for d in deliveries}


@pytest.mark.commits
def test_two_relays_share_the_work_and_a_lost_job_comes_again(app, acting, heard):
    """F3 in short: the first claim's job is lost with Redis; when its lease runs out the relay makes it anew."""
    with acting(CIRCLE, BOB):
        ring(new_id(), *range(40))
    subscriber = outbox.subscribers()["test.ear"]
    address = settings().database_url("portal_relay")
    with psycopg.connect(address) as one, psycopg.connect(address) as other:
        first, second = claim(one, subscriber, 25), claim(other, subscriber, 25)
        assert (len(ids(first)), len(ids(second))) == (25, 15)
        assert not ids(first) & ids(second)
    with app.app_context():
        for tenant_id, deliveries in by_tenant(second).items():
            deliver(subscriber, tenant_id, deliveries)
    assert len(heard["ear"]) == 15
    with psycopg.connect(settings().DATABASE_URL, autocommit=True) as admin:
        admin.execute("UPDATE outbox_deliveries SET leased_until = clock_timestamp() - interval '1 s' WHERE open")
    with psycopg.connect(address, autocommit=True) as relay:
        again = claim(relay, subscriber, 500)
    assert ids(again) == ids(first)
    with app.app_context():
        for tenant_id, deliveries in by_tenant(first).items():
            deliver(subscriber, tenant_id, deliveries)
        assert len(heard["ear"]) == 15, "the lost job turned up; its messages are another's now"
        for tenant_id, deliveries in by_tenant(again).items():
            deliver(subscriber, tenant_id, deliveries)
            deliver(subscriber, tenant_id, deliveries)
    assert sorted(heard["ear"]) == list(range(40))


@pytest.mark.commits
def test_a_commit_says_to_the_relay_for_whom_it_has_something(app, acting, heard, monkeypatch):
    """It goes straight to them; who gathers is not named, and an empty word leads to all.

    Seen red with those who gather named, and with the empty word taken for a name.
    """
    monkeypatch.setattr(outbox, "WAKE_CHANNEL", f"wake-{new_id()}")  # other tests ring the same server
    outbox.subscriber("test.company", events=(Rang,), gather=60)(lambda _: None)
    ears = redis().pubsub()
    ears.subscribe(channel(outbox.WAKE_CHANNEL))
    assert ears.get_message(timeout=10)["type"] == "subscribe"
    with acting(CIRCLE, BOB):
        ring(new_id(), 1, 2)
    named = called(ears, 10)
    assert named == {"test.ear", "test.poisoned", "test.ordered"}
    with psycopg.connect(settings().database_url("portal_relay"), autocommit=True) as relay:
        assert relay_once(relay, {"test.ear", "test.gone"}) == 2
        assert relay_once(relay, named) == 4
        assert relay_once(relay) == 0
    with acting(CIRCLE):
        assert set(db.session.execute(select(OutboxDelivery.subscriber, OutboxDelivery.status))) == {
            ("test.ear", "leased"),
            ("test.poisoned", "leased"),
            ("test.ordered", "leased"),
            ("test.company", "pending"),
        }
    outbox.wake_relay()
    assert ears.get_message(timeout=10)["data"] == b""
    for said in ("", "test.ear"):
        redis().publish(channel(outbox.WAKE_CHANNEL), said)
    assert called(ears, 10) is None
    ears.close()


def test_everybody_is_looked_at_four_times_a_second_whoever_is_named(monkeypatch):
    """Seen red without the second look: who is never named waited as long as others were."""
    seen = []
    monkeypatch.setattr(relay, "relay_once", lambda _, named=None: seen.append(named))
    just_now = time.monotonic() + 60
    assert relay.look(None, {"test.ear"}, just_now) == just_now
    assert relay.look(None, {"test.ear"}, just_now - 120) < just_now
    relay.look(None, None, just_now)
    assert seen == [{"test.ear"}, {"test.ear"}, None, None]


@pytest.mark.commits
def test_who_is_named_leaves_room_for_who_is_not(app, acting, heard, monkeypatch):
    """A queue that is half full takes nothing more for them; the look at everybody fills it. Seen red with one measure for both."""
    monkeypatch.setattr("workers.outbox.crowd", lambda _: (FULL // 2, None))
    with acting(CIRCLE, BOB):
        ring(new_id(), 1, 2)
    with psycopg.connect(settings().database_url("portal_relay"), autocommit=True) as connection:
        assert relay_once(connection, {"test.ear"}) == 0
        assert relay_once(connection) == 6


@pytest.mark.commits
def test_the_relays_jobs_run_in_a_real_worker(app, acting, monkeypatch):
    """Relay → RQ in Valkey → a worker's own code, JSON all the way."""
    from rq import SimpleWorker
    from rq.serializers import JSONSerializer

    from portal.identity.events import MemberRegistered
    from workers import jobs
    from workers.tasks import Queue, rq_queue

    @command("test.join", emits=(MemberRegistered,))
    def join():
        journal().note("users", BOB.id)
        emit(MemberRegistered(member_id=BOB.id, joined_via="test"))

    with acting(CIRCLE, BOB):
        join()
    jobs.load_tasks()
    with psycopg.connect(settings().database_url("portal_relay"), autocommit=True) as relay:
        assert relay_once(relay) >= 1
    monkeypatch.setattr(jobs, "app", lambda: app)
    SimpleWorker([rq_queue(Queue.FAST)], connection=redis(), serializer=JSONSerializer).work(
        burst=True, logging_level="ERROR"
    )
    with acting(CIRCLE):
        left = db.session.execute(
            text(
                "SELECT subscriber, last_error FROM outbox_deliveries WHERE open AND last_error IS NOT NULL AND subscriber NOT LIKE 'messages.email%'"
            )
        ).all()
        assert left == []
        assert (
            db.session.execute(text("SELECT count(*) FROM outbox_deliveries WHERE status = 'delivered'")).scalar() >= 1
        )


def test_the_schedule_names_only_known_tasks():
    from workers import jobs
    from workers.schedule import SCHEDULE
    from workers.tasks import REGISTRY

    jobs.load_tasks()
    assert set(SCHEDULE) <= set(REGISTRY)
    assert {t.queue for t in REGISTRY.values()} == {"fast", "long"}


def test_the_queues_served_are_the_queues_named():
    """What `portal up` starts against what the tasks name (style.md 21)."""
    from pathlib import Path

    from workers.tasks import Queue

    started = Path(__file__).parents[2].joinpath("portal/cli/up.py").read_text()
    assert all(f'"workers.pool", "{queue}"' in started for queue in Queue)
