"""Two things run in turn in one script, and the ratio of them: absolute rates of a shared machine say nothing.

A module of this package has `NAMES`, the benches it can run, and `run(names)`, which yields a `Figure` for each of them.
"""

import gc
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """Ratios of measured to reference, one a round; `bar` is the least allowed median, or the most where `at_most`."""

    name: str
    ratios: tuple[float, ...]
    bar: float
    at_most: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def holds(self) -> bool:
        return self.median <= self.bar if self.at_most else self.median >= self.bar

    def __str__(self) -> str:
        low, high = min(self.ratios), max(self.ratios)
        bar = f"{'≤' if self.at_most else '≥'} {self.bar:g}"
        line = f"{self.name} {self.median:.3g} [{low:.3g}..{high:.3g}] {bar} {'ok' if self.holds else 'short'}"
        return f"{line} ({self.note})" if self.note else line


def compare(
    name: str,
    measured: Callable[[], float],
    reference: Callable[[], float],
    *,
    bar: float,
    at_most: bool = False,
    rounds: int = 4,
    warm: int = 1,
) -> Figure:
    """Runs both in turn, the first of a round alternating; each returns its figure: a rate, or seconds where `at_most`."""
    ratios, floors = [], []
    for turn in range(warm + rounds):
        gc.collect()
        pair = {}
        for which in (reference, measured) if turn % 2 else (measured, reference):
            pair[which] = which()
        if turn >= warm:
            ratios.append(pair[measured] / pair[reference])
            floors.append(pair[reference])
    return Figure(name, tuple(ratios), bar, at_most, f"reference {statistics.median(floors):.4g}")


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@contextmanager
def engines(*, durable: bool = True) -> Iterator[Path]:
    """PostgreSQL, Valkey and ClickHouse in a directory of their own, migrated; the process's environment names them."""
    from portal import embedded

    var = Path(tempfile.mkdtemp(prefix="krug-bench-"))
    os.environ.update(SECRET_KEY="bench-" * 8, LOG_LEVEL="ERROR", VAR_DIR=str(var))
    running = embedded.start(var, durable=durable, given={})
    try:
        os.environ.update(
            DATABASE_URL=running.engines.database_url,
            REDIS_URL=running.engines.redis_url,
            CLICKHOUSE_URL=running.engines.clickhouse_url,
        )
        from portal.analytics.migrate import upgrade
        from portal.cli import database

        database.upgrade()
        upgrade()
        yield var
    finally:
        running.stop()
        shutil.rmtree(var, ignore_errors=True)
