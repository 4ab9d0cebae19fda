"""F1: gunicorn's workers are killed under writes. A till that got an answer finds it in the books, one that got none repeats.

Seen red with an undo that stood in the audit log without its sale (I10).
"""

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import psutil

from tests.load.driver import Driver
from tests.load.proof import Row
from tests.load.world import World

NAMES = ("F1",)


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own() as world:
        yield web_killed(world, kills=300 if full else 5, writes=20_000 if full else 150)


def web_killed(world: World, *, kills: int, writes: int, workers: int = 3) -> Row:
    """F1: `kill -9` to a random gunicorn worker every 0.3 to 2 s while tills write."""
    web = world.web(workers=workers, threads=8)
    world.relay()
    world.pool("fast", 1)
    chance, ended, killed = random.Random(1), threading.Event(), 0
    with Driver(world, processes=2, threads=6) as driver:

        def kill() -> None:
            nonlocal killed
            while not ended.wait(chance.uniform(0.3, 2.0)) and killed < kills:
                workers = world.children(web)
                if workers:
                    with suppress(psutil.NoSuchProcess, ProcessLookupError):
                        os.kill(chance.choice(workers).pid, signal.SIGKILL)
                        killed += 1

        killer = threading.Thread(target=kill)
        killer.start()
        driver.wait(writes)
        killer.join()
        ended.set()
    world.drain()
    answers, wrong = driver.answers, driver.compare()
    for difference in wrong[:20]:
        print(difference, flush=True)
    return world.checked(
        Row(
            "F1",
            f"kill -9 to a random web worker, {killed} times, under writes",
            answers.writes,
            len(wrong) + len(answers.unresolved),
            f"{answers.unanswered} sendings unanswered and repeated, {sum(answers.errors.values())} answers of 5xx"
            f" {dict(answers.errors)}, {len(answers.refused)} refused",
        )
    )
