import pytest

from portal.analytics import clickhouse


@pytest.fixture(autouse=True)
def facts_of_this_test(request):
    """ClickHouse knows no rollback: each test begins without facts."""
    if "app" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("app")
    clickhouse.forget_clients()
    clickhouse.client().command("TRUNCATE TABLE transaction_facts")
    yield
    clickhouse.forget_clients()
