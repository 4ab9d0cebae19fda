"""Two accounts that were merged are one buyer (D28, ANA-1)."""

from sqlalchemy import select

from portal.analytics.clickhouse import client
from portal.extensions import db
from portal.merging import service as merging
from portal.messages.models import Notification
from tests.cast import ALICE, CIRCLE, EVE, OLGA
from tests.purchases.shop import buy


def test_facts_and_notices_are_the_survivors(acting, deliver):
    """ClickHouse counts one buyer; parted, two again. The survivor hears of it, the one that went has no inbox."""
    buyers = "SELECT uniqExact(member_id), count() FROM v_facts(tenant = {tenant:UUID})"
    with acting(CIRCLE, OLGA):
        buy(10_000, member=EVE)
        buy(10_000, member=ALICE)
        made = merging.merge(EVE.id, ALICE.id, reason="one person", key="k")
    deliver()
    assert client().query(buyers, parameters={"tenant": CIRCLE.id}).result_rows == [(1, 2)]
    with acting(CIRCLE, OLGA):
        told = select(Notification.member_id).where(Notification.kind == "member.merged")
        assert list(db.session.scalars(told)) == [ALICE.id]
        merging.undo(made, reason="two people")
    deliver()
    assert client().query(buyers, parameters={"tenant": CIRCLE.id}).result_rows == [(2, 2)]
