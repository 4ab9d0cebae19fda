"""The short forms of the long proofs (`make prove`), on the engines of the tests. F2, F15 and F16 in short: tests/workers."""

import os
import subprocess

import pytest

from tests.load import exhausted, forgetful, killed, races
from tests.load.world import World, disk

pytestmark = [pytest.mark.commits, pytest.mark.xdist_group("load")]


def test_the_races_in_short(app):
    """R5, R6, R7 and the races of refunds, with 12 callers of 2 processes."""
    with World.here(app) as world, races.Callers(world, processes=2, threads=6) as callers:
        rows = list(races.rows(world, callers, races.NAMES, rounds=2, races=races.RACES))
    assert [(row.name, row.wrong, row.note) for row in rows if row.wrong] == []


def test_the_web_killed_in_short(app):
    """F1: every answer is durable, every non-answer is made good by its repeat."""
    with World.here(app) as world:
        row = killed.web_killed(world, kills=2, writes=40, workers=2)
    assert row.wrong == 0, row.note


def test_redis_forgets_in_short(app):
    """F3: emptied under writes and guesses; nobody guesses more often, and everything arrives."""
    with World.here(app, OUTBOX_LEASE_S="3") as world:
        row = forgetful.forgotten(world, restarts=1, absences=0, away_s=0)
    assert row.wrong == 0, row.note


def test_nothing_left_to_work_with_in_short(app):
    """F13: the database's connections run out (file descriptors and memory: `make prove`)."""
    with World.here(app, OUTBOX_LEASE_S=exhausted.LEASE_S) as world:
        row = exhausted.exhausted(world, times=1, writes=10, of=("connections",))
    assert row.wrong == 0, row.note


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a disk of its own")
def test_a_full_disk_in_short(app, tmp_path):
    """F8: an upload onto it is refused in words, leaves nothing, and is taken when there is room."""
    disk(tmp_path / "small", "16m")
    try:
        with World.here(app, FILES_URL=(tmp_path / "small").as_uri()) as world:
            world.web(workers=1)
            assert exhausted.uploads_refused(world, tmp_path / "small") == []
    finally:
        subprocess.run(["umount", "-l", tmp_path / "small"], check=True)
