"""A file that breaks off while it is sent is not taken for a whole one: its connection is cut, not ended (REP-3)."""

import http.client
from contextlib import ExitStack, closing

import pytest

from tests import cast
from tests.load.world import World, acting, signed_in
from tests.reports.test_purchases import sold

pytestmark = pytest.mark.commits
MANY = 60_000  # more than lies in the buffers between gunicorn and the reader


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_reader_sees_that_the_file_is_not_whole(app, kind):
    """The database ends the file's connection half way."""
    from portal.extensions import db

    with acting(app, tenant=cast.CIRCLE):
        from flask import g

        g.seeding = True
        db.session.add(sold(1))
        db.session.commit()
        g.seeding = False
    with World.here(app, members=1) as world, world.admin() as admin, ExitStack() as seen:
        columns = "tenant_id, business_id, member_id, request_hash, amount, earn_base, refunded_total, currency, rate_num, rate_den, receipt_number, source, occurred_at, bonus_accrued, paid_with_bonus"
        admin.execute(
            f"INSERT INTO purchases (id, external_id, {columns}) SELECT gen_random_uuid(), 'many-' || n, {columns}"
            f" FROM purchases, generate_series(1, {MANY}) n WHERE external_id = 'x-1'"
        )
        world.web(workers=1)
        cookie, _ = signed_in(app, cast.CAROL)
        connection = seen.enter_context(closing(http.client.HTTPConnection("127.0.0.1", world.port, timeout=60)))
        headers = {"Host": cast.CIRCLE.host, "Cookie": f"sid={cookie}"}
        connection.request("GET", f"/desk/cafe/reports/purchases.{kind}?period=all", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read(100)
        cut = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'portal_app' AND query LIKE 'COPY %'"
            " AND backend_type = 'client backend'"  # its parallel workers go with it
        )
        assert admin.execute(cut).fetchone() == (1,)
        with pytest.raises(http.client.IncompleteRead):
            while answer.read(1 << 16):
                pass
