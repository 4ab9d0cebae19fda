"""Sixteen processes that do the same thing at once, started once and run round by round."""

import multiprocessing
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROCESSES = 16
SECONDS = 6.0
PATIENCE = 300  # seconds in which the slowest has started
spawned = multiprocessing.get_context("forkserver")  # the modules are imported once, not sixteen times
spawned.set_forkserver_preload(["bench.imported"])


class Crowd:
    """Processes that wait to be let go; `rate()` is how often a second all of them together did it."""

    def __init__(self, make: Callable[..., Callable[[], object]], given: dict[str, object], size: int) -> None:
        self.start, self.end = spawned.Barrier(size + 1), spawned.Barrier(size + 1)
        self.stop, self.done = spawned.Event(), spawned.Array("q", size)
        shared = (self.start, self.end, self.stop, self.done)
        self.processes = [spawned.Process(target=_one, args=(make, given, n, shared), daemon=True) for n in range(size)]
        for process in self.processes:
            process.start()

    def rate(self) -> float:
        self.start.wait(PATIENCE)
        began = time.perf_counter()
        self.end.wait(PATIENCE)
        return sum(self.done) / (time.perf_counter() - began)

    def close(self) -> None:
        self.stop.set()
        self.start.wait(PATIENCE)
        for process in self.processes:
            process.join(30)


def _one(make: Callable[..., Callable[[], object]], given: dict[str, object], n: int, shared) -> None:
    start, end, stop, done = shared
    try:
        act = make(n, **given)
        for _ in range(20):
            act()
    except BaseException:
        start.abort()
        raise
    while True:
        start.wait()
        if stop.is_set():
            return
        until, times = time.perf_counter() + SECONDS, 0
        while time.perf_counter() < until:
            act()
            times += 1
        done[n] = times
        end.wait()


@contextmanager
def crowd(make: Callable[..., Callable[[], object]], size: int = PROCESSES, **given: object) -> Iterator[Crowd]:
    """`make(n, **given)` runs in process n and gives what it does again and again."""
    made = Crowd(make, given, size)
    try:
        yield made
        made.close()
    finally:
        for process in made.processes:
            process.kill()


def pgbench(database_url: str, script: Path, clients: int = PROCESSES) -> float:
    """Transactions a second of a pgbench script, its statements prepared."""
    from portal.embedded.postgres import BINARIES

    command = [
        str(BINARIES / "pgbench"),
        "-n",
        "-M",
        "prepared",
        "-c",
        str(clients),
        "-j",
        "2",
        "-T",
        str(int(SECONDS)),
    ]
    answer = subprocess.run([*command, "-f", str(script), database_url], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(answer.stderr)
    return float(answer.stdout.split("tps = ")[1].split()[0])


def written(folder: Path, name: str, script: str) -> Path:
    """The script as a file that pgbench reads."""
    file = folder / name
    file.write_text(script)
    return file
