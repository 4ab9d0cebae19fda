"""F4: ClickHouse is away for an hour's worth of periods. Pages that need it say so, everything else goes on, nothing is lost."""

import time
from collections.abc import Iterator

from redis import Redis

from tests.load.driver import Driver
from tests.load.proof import Row
from tests.load.world import World, until

NAMES = ("F4",)
SAYS_SO = b"The statistics are not reachable just now"
LEASE_S = 3
PAGE_S = 2.0
MOST_JOBS = 110  # workers.outbox.FULL and one look's batches


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=12, OUTBOX_LEASE_S=str(LEASE_S)) as world:
        yield clickhouse_gone(world, periods=12 if full else 2, writes=100 if full else 20, patient=full)


def clickhouse_gone(world: World, *, periods: int, writes: int, patient: bool) -> Row:
    """F4: away for so many periods under writes. `patient`: pages that need it are timed as well."""
    world.web(workers=2)
    world.relay()
    world.pool("fast", 1)
    own, engine, wrong, slowest, most = world.counters[0], world.engines["clickhouse"], [], 0.0, 0
    cookie = {"Cookie": f"sid={own.cookie}"}
    with Driver(world, processes=1, threads=3) as driver:
        driver.wait(writes)
        for _ in range(8):  # each process of the web has made this page once
            world.get(f"/desk/{own.shop}", headers=cookie)
        engine.kill()
        for _ in range(periods):
            driver.wait(driver.done + writes)
            began = time.monotonic()
            status, body = world.get(f"/desk/{own.shop}", headers=cookie)
            slowest = max(slowest, time.monotonic() - began)
            if SAYS_SO not in body or status not in (200, 503):
                wrong.append(f"the dashboard without ClickHouse: {status}")
            status, _ = world.get("/me", headers=cookie)
            if status != 200:
                wrong.append(f"one's own page without ClickHouse: {status}")
            waiting = Redis.from_url(world.env["REDIS_URL"]).llen("rq:queue:krug-fast")
            most = max(most, waiting)
        engine.start()
    world.drain()
    until(lambda: SAYS_SO not in world.get(f"/desk/{own.shop}", headers=cookie)[1])
    if patient and slowest > PAGE_S:
        wrong.append(f"the dashboard took {slowest:.1f} s")
    if most > MOST_JOBS:
        wrong.append(f"{most} jobs waited")
    answers, different = driver.answers, driver.compare()
    wrong += different
    for line in wrong[:20]:
        print(line, flush=True)
    return world.checked(
        Row(
            "F4",
            f"ClickHouse away for {periods} periods under writes",
            answers.writes,
            len(wrong) + len(answers.unresolved) + sum(answers.errors.values()),
            f"the dashboard said so within {slowest:.2f} s, at most {most} jobs waited; 5xx {dict(answers.errors)}",
        )
    )
