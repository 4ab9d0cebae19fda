"""Two accounts that were merged are one buyer (D28, ANA-1)."""

import csv
import io
from datetime import timedelta

from sqlalchemy import select

from portal.analytics.clickhouse import client
from portal.analytics.today import only_looked, today, totals
from portal.extensions import db
from portal.identity import queries
from portal.kernel import clock
from portal.merging import service as merging
from portal.messages.models import Notification
from portal.tenants.usage import counts
from tests.cast import ALICE, BOOKS, CAFE, CIRCLE, EVE, OLGA
from tests.purchases.shop import buy, seeded


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


def test_todays_figures_count_one_buyer_who_is_not_new(acting):
    """Seen red with each of the two looks at merged accounts taken out of today's statement."""
    with acting(CIRCLE, OLGA):
        before, limits = totals("RUB"), counts()
        buy(10_000, member=EVE, key="then", occurred_at=clock.now() - timedelta(days=2))
        buy(10_000, member=EVE)
        buy(10_000, member=ALICE)
        buy(10_000, member=ALICE, shop=BOOKS)
        assert (today(CAFE.id).members, today(CAFE.id).new_members, today(None, "RUB").new_members) == (2, 1, 1)
        made = merging.merge(EVE.id, ALICE.id, reason="one person", key="k")
        for figures in (today(CAFE.id), today(None, "RUB")):
            assert (figures.members, figures.new_members) == (1, 0)
        assert today(None, "RUB").purchases == 3
        assert totals("RUB").members == before.members - 1
        assert counts()["members"] == limits["members"] - 1 == queries.how_many()
        merging.undo(made, reason="two people")
        assert (today(CAFE.id).members, today(CAFE.id).new_members) == (2, 1)


def test_who_looked_with_one_account_and_bought_with_the_other_is_a_buyer(acting, sign_in):
    """ANA-6: each active member once. Seen red without the merged account's purchases, and without following it."""
    sign_in(EVE), sign_in(ALICE)
    with acting(CIRCLE, OLGA):
        assert only_looked().day == 2
        made = merging.merge(EVE.id, ALICE.id, reason="one person", key="k")
        assert only_looked().day == 1
        merging.undo(made, reason="two people")
        buy(10_000, member=EVE)
        merging.merge(EVE.id, ALICE.id, reason="one person", key="again")
        assert only_looked().day == 0


def test_the_list_of_members_shows_the_last_purchase_of_either_account(acting, sign_in):
    """The page, its order and the download. Seen red with the survivor's own purchases alone."""
    with acting(CIRCLE, OLGA):
        buy(10_000, member=EVE)
        buy(10_000, member=ALICE)
        seeded(
            "UPDATE purchases SET occurred_at = '2026-02-03T09:00Z' WHERE tenant_id = :t AND member_id = :m", m=EVE.id
        )
        seeded(
            "UPDATE purchases SET occurred_at = '2026-01-02T09:00Z' WHERE tenant_id = :t AND member_id = :m", m=ALICE.id
        )
        merging.merge(EVE.id, ALICE.id, reason="one person", key="k")
    olga = sign_in(OLGA)
    shown = olga.get("/admin/members?sort=-last").text.split(ALICE.name)[1].split("</tr>")[0]
    assert 'datetime="2026-02-03' in shown
    table = csv.DictReader(io.StringIO(olga.get("/admin/members/download.csv?sort=-last").data.decode("utf-8-sig")))
    first = next(table)
    assert (first["Name"], first["Last purchase"][:10]) == (ALICE.name, "2026-02-03")
