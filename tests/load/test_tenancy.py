"""T2 and T5, their short forms; `make prove ONLY=T` runs them at their full numbers."""

import pytest

from tests.load import pooled, spoofed
from tests.load.world import World

pytestmark = pytest.mark.commits


def test_a_small_pool_serves_each_tenant_its_own_rows(app):
    with World.here(app) as world:
        assert pooled.alternating(world, requests=150).wrong == 0


def test_the_host_alone_says_whose_house_it_is(app):
    with World.here(app, mail=True) as world:
        row = spoofed.spoofed(world, full=False)
    assert (row.wrong, row.cases > 100) == (0, True)
