"""What a program finds that knows the API's description only; in full under `make prove`."""

import pytest

from tests.load.world import World


@pytest.mark.commits
def test_examples_run_and_schemathesis_finds_nothing(app):
    from tests.load import api

    with World.here(app, members=1) as world:
        for row in api.proved(world, list(api.NAMES), full=False):
            assert row.cases > (100 if row.name == "api.schemathesis" else 5), row
            assert not row.wrong, f"{row.what}: {row.note}"
