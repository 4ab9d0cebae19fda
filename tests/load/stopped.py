"""F15: a deployment. TERM comes in the middle of requests and of imports; what was begun ends, or another goes on with it."""

import io
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

from tests import cast
from tests.load.driver import Driver, Till
from tests.load.proof import Row
from tests.load.world import World, acting, until

NAMES = ("F15",)
SECONDS = 20  # a process that was told to stop has ended by then


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=8) as world:
        yield deployed(world, times=50 if full else 4)


def deployed(world: World, *, times: int) -> Row:
    """F15: `times` deployments, half of them during a request that waits for a lock, half during an import."""
    chance, wrong, slowest = random.Random(15), [], 0.0
    standing, acts = [world.relay(), world.pool("fast", 1), world.cron()], []
    for n in range(times // 2):
        took, found = _request(world, chance.uniform(0.2, 4.5), acts)
        slowest, wrong = max(slowest, took), wrong + found
    for n in range(times - times // 2):
        took, found = _import(world, rows=6_000)
        slowest, wrong = max(slowest, took), wrong + found
        if n % 10 == 0:
            for process in standing:
                began, name = time.monotonic(), process.name
                code = world.end(process)
                slowest = max(slowest, time.monotonic() - began)
                wrong += [f"{name} ended with {code}"] if code else []
            standing = [world.relay(), world.pool("fast", 1), world.cron()]
    wrong += Driver.remembering(world, acts).compare()
    unanswered = sum(act["unanswered"] > 0 for act in acts)
    world.drain()
    for difference in wrong[:20]:
        print(f"F15: {difference}", flush=True)
    return world.checked(
        Row(
            "F15",
            f"TERM to web, relay, workers and cron: {times // 2} times during a request, {times - times // 2} times during an import",
            times,
            len(wrong),
            f"slowest stop {slowest:.1f} s; {unanswered} requests longer than the grace were sent again",
        )
    )


def _request(world: World, held: float, acts: list) -> tuple[float, list[str]]:
    """TERM while a sale waits for its member's row, for `held` seconds more. The till repeats it at the next web."""
    web = world.web(workers=1)
    counter = world.counters[0]
    till = Till([counter], {"port": world.port, "pause": 0, "patience": 60}, len(acts), threading.Event(), acts.append)
    with world.admin() as admin, admin.transaction():
        admin.execute("SELECT 1 FROM users WHERE tenant_id = %s FOR UPDATE", [counter.tenant_id])
        selling = threading.Thread(target=till.sell, args=(counter,), kwargs={"spend": False})
        selling.start()
        until(lambda: world.one("SELECT count(*) FROM pg_locks WHERE NOT granted"), within=20)
        os.kill(web.pid, signal.SIGTERM)
        began = time.monotonic()
        time.sleep(held)
    until(lambda: web.poll() is not None, within=SECONDS + 10)
    took, code = time.monotonic() - began, web.poll()
    world.processes.remove(web)
    again = world.web(workers=1, port=world.port)
    selling.join()
    world.end(again)
    return took, [f"web ended with {code}"] if code else []


def _import(world: World, *, rows: int) -> tuple[float, list[str]]:
    """TERM to the worker in the middle of an import; another worker ends it."""
    pool, key = world.pool("long", 1), uuid4().hex[:8]
    job = _start_import(world, key, rows)
    until(lambda: world.one("SELECT done FROM jobs WHERE id = %s", job), within=60, every=0.01)
    began = time.monotonic()
    code = world.end(pool)
    took = time.monotonic() - began
    left = world.one("SELECT state FROM jobs WHERE id = %s", job)
    pool = world.pool("long", 1)
    until(
        lambda: world.one("SELECT state FROM jobs WHERE id = %s", job) not in ("queued", "running"), within=SECONDS * 6
    )
    world.end(pool)
    kept = world.one("SELECT count(*) FROM purchases WHERE external_id LIKE %s", f"{key}-%")
    state = world.one("SELECT state FROM jobs WHERE id = %s", job)
    found = [] if code == 0 and took < SECONDS else [f"the worker ended with {code} after {took:.0f} s"]
    found += [] if left in ("queued", "done") else [f"its job was left {left}"]
    return took, found + (
        [] if (state, kept) == ("done", rows) else [f"the import is {state} with {kept} of {rows} rows"]
    )


def _start_import(world: World, key: str, rows: int):
    from portal.files import service as files
    from portal.imports.work import KIND
    from portal.jobs import service as jobs

    head = "external_id,member_ref,purchased_at,amount,currency\n"
    text = head + "".join(f"{key}-{n},C{key}{n % 50},1997-01-{n % 28 + 1:02d},{n}.50,RUB\n" for n in range(1, rows + 1))
    with acting(world.app, cast.CAROL):
        file_id = files.store(io.BytesIO(text.encode()), "history.csv", "import", business_id=cast.CAFE.id)
        return jobs.start(KIND, business_id=cast.CAFE.id, params={"accrue": "as-of"}, source_file_id=file_id)
