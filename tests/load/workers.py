"""F2: workers that are killed at the worst moments; what they had begun is done by another, and stands there once.

Seen red with lost leases looked for only while few jobs waited: under a steady load they were never found.
"""

import time
from collections import Counter as Tally
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path
from uuid import uuid4

from tests.load.driver import Driver
from tests.load.proof import Row
from tests.load.world import World, until

NAMES = ("F2",)
POINTS = {
    "before_work": "with the job in hand",
    "before_commit": "with everything written",
    "after_commit": "with the job not acknowledged",
    "after_send": "with the mail accepted and not noted",
    "after_send_before_mark": "with everything sent and not marked",
}
LEASE_S = 5


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=12, mail=True, OUTBOX_LEASE_S=str(LEASE_S)) as world:
        yield killed(world, kills=100 if full else 4, at_once=4)


def killed(world: World, *, kills: int, at_once: int) -> Row:
    """F2: `kills` deaths at each point while tills write; after each one its work is done within twice the lease."""
    world.web(workers=1)
    world.relay()
    slowest, late = 0.0, 0
    with Driver(world, processes=1, threads=1, pause=0.2) as driver:
        for point in POINTS:
            tokens = world.var / f"tokens-{point}"
            tokens.mkdir()
            pool = world.pool("fast", at_once, FAILPOINT=point, FAILPOINT_TOKENS=str(tokens))
            for _ in range(kills // at_once):
                took = _deaths(world, tokens, at_once)
                slowest, late = max(slowest, took), late + (took > 2 * LEASE_S)
            world.end(pool)
    world.pool("fast", 2)
    world.drain()
    wrong = driver.compare() + _effects(world)
    for difference in wrong[:20]:
        print(difference, flush=True)
    places = "; ".join(POINTS.values())
    return world.checked(
        Row(
            "F2",
            f"kill -9 to a delivering worker, {kills} times at each of {len(POINTS)} points: {places}",
            kills * len(POINTS),
            len(wrong) + late,
            f"{driver.answers.writes} writes; slowest redelivery {slowest:.1f} s with a lease of {LEASE_S} s, {late} later than twice it",
        )
    )


def _deaths(world: World, tokens: Path, at_once: int) -> float:
    """So many workers die; seconds until everything that was on lease when the last one did is delivered."""
    given = [tokens / uuid4().hex for _ in range(at_once)]
    for token in given:
        token.touch()
    until(lambda: not any(token.exists() for token in given), within=120, every=0.005)
    began = time.monotonic()
    with world.admin() as connection:
        held = [row[0] for row in connection.execute("SELECT id FROM outbox_deliveries WHERE status = 'leased'")]
        left = "SELECT count(*) FROM outbox_deliveries WHERE id = ANY(%s) AND open"
        until(lambda: connection.execute(left, [held]).fetchone()[0] == 0, within=120)
    return time.monotonic() - began


def _effects(world: World) -> list[str]:
    """One notice and one mail for each message that has one, and none beside them."""
    with world.admin() as connection:
        due = connection.execute(
            "SELECT m.id::text, u.email IS NOT NULL FROM outbox_messages m JOIN users u ON u.id = (m.data ->> 'member_id')::uuid"
            " WHERE m.type IN ('purchase.recorded', 'purchase.refunded', 'tier.changed') AND NOT m.historical"
        ).fetchall()
        notices = Tally(row[0] for row in connection.execute("SELECT dedupe_key FROM notifications"))
        twice = connection.execute("SELECT count(*) FROM outbox_deliveries WHERE status = 'dead'").fetchone()[0]
    mails = Tally(message_from_string(mail)["Message-ID"].strip("<>").partition(".")[0] for mail in world.mails())
    found = [f"{twice} deliveries are dead"] if twice else []
    found += [f"{notices[key]} notices of message {key}" for key, _ in due if notices[key] != 1]
    found += [f"{mails[key]} mails of message {key}" for key, mail in due if mails[key] != int(mail)]
    found += [f"a mail of message {key}, which speaks to nobody" for key in set(mails) - {key for key, _ in due}]
    return found
