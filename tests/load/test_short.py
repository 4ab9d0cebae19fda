"""The short forms of the long proofs (`make prove`), on the engines of the tests. F2, F15 and F16 in short: tests/workers."""

import pytest

from tests.load import killed, races
from tests.load.world import World

pytestmark = [pytest.mark.commits, pytest.mark.xdist_group("load")]


def test_the_races_in_short(app):
    """R5, R6, R7 and the races of refunds, with 12 callers of 2 processes."""
    with World.here(app) as world, races.Callers(world, processes=2, threads=6) as callers:
        rows = list(races.rows(world, callers, races.NAMES, rounds=2))
    assert [(row.name, row.wrong, row.note) for row in rows if row.wrong] == []


def test_the_web_killed_in_short(app):
    """F1: every answer is durable, every non-answer is made good by its repeat."""
    with World.here(app) as world:
        row = killed.web_killed(world, kills=2, writes=40, workers=2)
    assert row.wrong == 0, row.note
