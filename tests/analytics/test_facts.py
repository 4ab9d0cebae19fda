"""PostgreSQL's purchases as ClickHouse's facts: each once, in their last version, whatever the road (ANA-1, ANA-2, I12)."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from portal.analytics import facts, reconcile
from portal.analytics.clickhouse import client
from portal.extensions import db
from portal.kernel.model import new_id
from portal.kernel.outbox import Message
from portal.purchases.refunds import refund_purchase
from tests.cast import ALICE, BOB, CIRCLE, EVE, FOREIGN_CAFE, GLOBEX, MALLORY, TRENT
from tests.purchases.shop import buy


def shown(tenant=CIRCLE):
    rows = client().query(
        "SELECT transaction_id, net_minor, version, location FROM v_facts(tenant = {tenant:UUID}) ORDER BY ts, transaction_id",
        parameters={"tenant": tenant.id},
    )
    return {row[0]: row[1:] for row in rows.result_rows}


def plant(**values):
    """A fact that no purchase stands behind."""
    row = {
        "tenant_id": CIRCLE.id,
        "ts": datetime(2026, 1, 5, 12, tzinfo=UTC),
        "ingested_at": datetime(2026, 1, 6),
        **values,
    }
    token = {"insert_deduplication_token": str(new_id())}
    client().insert("transaction_facts", [list(row.values())], column_names=list(row), settings=token)


def test_purchases_and_refunds_are_facts_in_their_last_version(acting, deliver):
    with acting(CIRCLE, BOB):
        bought, other = buy(100_000), buy(50_000, member=EVE)
        refund_purchase(bought.purchase_id, amount=30_000, external_id="r1")
    with acting(GLOBEX, MALLORY):
        buy(9_900, member=TRENT, shop=FOREIGN_CAFE)
    deliver()
    found = shown()
    assert {k: v[0] for k, v in found.items()} == {bought.purchase_id: 70_000, other.purchase_id: 50_000}
    assert len(shown(GLOBEX)) == 1
    with acting(CIRCLE):
        assert reconcile.differences() == []


def test_doubled_and_shuffled_deliveries_change_nothing(app, acting, deliver):
    """C2, I12: messages in any order, twice and three times, in batches of any size."""
    from portal.analytics.handlers import purchase_facts

    with acting(CIRCLE, BOB):
        bought = [buy(1_000 * n) for n in range(1, 21)]
        for one in bought[::3]:
            refund_purchase(one.purchase_id, amount=500, external_id="r1")
    deliver()
    before = shown()
    with acting(CIRCLE):
        rows = db.session.execute(text("SELECT * FROM outbox_messages WHERE type LIKE 'purchase.%'")).mappings().all()
        messages = [Message(**{k: row[k] for k in Message.__slots__}) for row in rows] * 3
        random.Random(7).shuffle(messages)
        for n in range(0, len(messages), 13):
            assert purchase_facts(messages[n : n + 13]) is None
        assert reconcile.differences() == []
    assert shown() == before
    assert len(before) == 20


def test_a_block_sent_twice_is_taken_once(acting, deliver):
    with acting(CIRCLE, BOB):
        bought = buy(100_000)
    deliver()
    with acting(CIRCLE):
        facts.ship([bought.purchase_id])
    count = client().query(
        "SELECT count() FROM transaction_facts WHERE tenant_id = {tenant:UUID}", parameters={"tenant": CIRCLE.id}
    )
    assert count.result_rows == [(1,)]


def test_reconcile_finds_what_is_missing_wrong_and_too_much_and_repairs_it(acting, deliver):
    """ANA-7: a lost fact, an old version, a fact of nobody; seen red, day by day, then mended."""
    with acting(CIRCLE, BOB):
        lost, stale = buy(10_000), buy(20_000, occurred_at=datetime.now(UTC) - timedelta(days=2))
    deliver()
    with acting(CIRCLE, BOB):
        refund_purchase(stale.purchase_id, amount=5_000, external_id="r1")
    client().command(
        "DELETE FROM transaction_facts WHERE transaction_id = {id:UUID}", parameters={"id": lost.purchase_id}
    )
    plant(transaction_id=BOB.id, amount_minor=1, version=1)
    with acting(CIRCLE):
        off = reconcile.differences()
        assert len(off) == 3
        assert "amount 0 against 1" in str(off[0])
        assert "refunded 5000 against 0" in str(off[1])
        assert "purchases 1 against 0" in str(off[2])
        assert len(reconcile.differences(since=(datetime.now(UTC) - timedelta(days=30)).date())) == 2
        assert reconcile.repair() == 3
        assert reconcile.differences() == []


def test_a_rebuild_brings_everything_back_and_leaves_nothing_foreign(acting, deliver):
    """D46: from COPY's CSV, quotes and line ends in the texts included; the other tenant's facts stay."""
    with acting(CIRCLE, BOB):
        for n in range(30):
            day = datetime.now(UTC) - timedelta(days=13 * n, hours=1)
            buy(
                1_000 + n, member=(ALICE, EVE)[n % 2], occurred_at=day, till='the "big", one\nleft \\N', historical=True
            )
        buy(77, till="\\N")
    with acting(GLOBEX, MALLORY):
        buy(9_900, member=TRENT, shop=FOREIGN_CAFE)
    deliver()
    before, foreign = shown(), shown(GLOBEX)
    client().command("DELETE FROM transaction_facts WHERE tenant_id = {t:UUID}", parameters={"t": CIRCLE.id})
    plant(transaction_id=BOB.id, amount_minor=1, version=9)
    with acting(CIRCLE):
        assert reconcile.rebuild() == 31
        assert reconcile.differences() == []
        assert reconcile.rebuild() == 31
    assert shown() == before
    assert shown(GLOBEX) == foreign
    tills = client().query(
        "SELECT DISTINCT till FROM v_facts(tenant = {t:UUID}) ORDER BY till", parameters={"t": CIRCLE.id}
    )
    assert [row[0] for row in tills.result_rows] == ["\\N", 'the "big", one\nleft \\N']


def test_what_clickhouse_no_longer_keeps_is_no_difference(acting, seed, deliver):
    """D46: PostgreSQL keeps all; a tenant that keeps no month in ClickHouse compares nothing."""
    with acting(CIRCLE, BOB):
        buy(10_000)
    with acting(CIRCLE):
        from dataclasses import replace

        from flask import g

        assert len(reconcile.differences()) == 1
        g.tenant = replace(g.tenant, settings={"facts_months": -1})
        assert reconcile.differences() == []


def test_a_receiver_that_is_down_puts_all_off_at_once(acting, deliver, monkeypatch):
    """F4: ClickHouse gone: the messages wait, the rest of the house goes on; back, nothing is counted twice."""
    with acting(CIRCLE, BOB):
        bought = [buy(1_000 + n) for n in range(5)]

    def gone(*_):
        raise ConnectionRefusedError("gone")

    monkeypatch.setattr(facts, "client", gone)
    deliver()
    with acting(CIRCLE):
        rows = db.session.execute(
            text(
                "SELECT status, attempts, last_error FROM outbox_deliveries WHERE subscriber = 'analytics.purchase_facts'"
            )
        ).all()
        assert {(r.status, r.attempts) for r in rows} == {("pending", 1)}
        assert all("gone" in r.last_error for r in rows)
        assert reconcile.on_their_way() == 5
        from tests.workers.test_delivery import due_now

        due_now()
    monkeypatch.undo()
    deliver()
    assert set(shown()) == {one.purchase_id for one in bought}


@pytest.mark.commits
def test_the_command_line_says_what_differs_and_mends_it(acting, deliver):
    from portal.cli.analytics import analytics

    with acting(CIRCLE, BOB):
        buy(10_000)
    run = CliRunner().invoke
    found = run(analytics, ["reconcile", "--tenant", "circle", "--wait", "0"])
    assert found.exit_code == 1, found.output
    assert "1 on their way" in found.output
    deliver()
    assert run(analytics, ["reconcile"]).exit_code == 0
    plant(transaction_id=BOB.id, amount_minor=1, version=1)
    wrong = run(analytics, ["reconcile", "--tenant", "circle"])
    assert wrong.exit_code == 1
    assert "2026-01-05: PostgreSQL against ClickHouse: purchases 0 against 1" in wrong.output
    assert run(analytics, ["reconcile", "--tenant", "circle", "--repair"]).exit_code == 0
    rebuilt = run(analytics, ["rebuild", "--tenant", "circle"])
    assert rebuilt.exit_code == 0
    assert "circle: 1 purchases" in rebuilt.output
    assert run(analytics, ["reconcile", "--tenant", "nobody"]).exit_code == 2
