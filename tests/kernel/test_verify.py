"""Every invariant, broken on purpose as superuser with triggers and constraints off, is counted by `portal verify`."""

import json
import subprocess
import sys
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from portal import nouns
from portal.analytics.clickhouse import client
from portal.analytics.verify import off_days
from portal.cli.verify import differences
from portal.kernel import clock, verify
from portal.purchases.batch import record_history
from portal.purchases.refunds import refund_purchase
from portal.purchases.wanted import Sale
from portal.settings import ROOT, settings
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE, GLOBEX, MALLORY, TRENT
from tests.purchases.shop import buy

pytestmark = pytest.mark.commits

# Takes away what would refuse the damage: checks and unique keys; triggers and foreign keys are off anyway.
LOOSEN = """
DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT conrelid::regclass AS of, conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'u') LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.of, c.conname);
    END LOOP;
END $$"""
ONE_ENTRY = (
    "id = (SELECT id FROM ledger_entries WHERE tenant_id = %(t)s AND account_version IS NOT NULL ORDER BY seq LIMIT 1)"
)
ONE_SALE = "id = (SELECT id FROM purchases WHERE tenant_id = %(t)s ORDER BY recorded_at LIMIT 1)"

DAMAGE = {
    "I1 a posting does not sum to zero": f"UPDATE ledger_entries SET amount = amount + 1 WHERE {ONE_ENTRY}",
    "I2 all entries together do not sum to zero": f"UPDATE ledger_entries SET amount = amount + 1 WHERE {ONE_ENTRY}",
    "I3 a balance is not the sum of its entries": "UPDATE wallet_accounts SET posted = posted + 1 WHERE tenant_id = %(t)s AND NOT lazy",
    "I3 a member who was merged has a balance": "UPDATE users SET merged_into = %(t)s WHERE tenant_id = %(t)s",
    "I10 a member was merged without a merge": "UPDATE users SET merged_into = %(t)s WHERE tenant_id = %(t)s",
    "I11 a merge leads to somebody who was merged, or in a circle": "UPDATE users SET merged_into = id WHERE tenant_id = %(t)s",
    "I4 an account is under its floor": "UPDATE wallet_accounts SET posted = floor + held - 1 WHERE tenant_id = %(t)s AND NOT lazy",
    "I5 a key was posted twice": "UPDATE ledger_transactions SET source = 's', external_id = 'x' WHERE tenant_id = %(t)s",
    "lots do not make up the balance": "UPDATE lots SET remaining = remaining + 1 WHERE tenant_id = %(t)s",
    "a lot's rest is not its amount less what was taken": "UPDATE lots SET remaining = remaining + 1 WHERE tenant_id = %(t)s",
    "a debit is not what was drawn from lots": "DELETE FROM lot_allocations WHERE tenant_id = %(t)s AND amount > 0",
    "a lot's state is not what is left of it": "UPDATE lots SET state = 'exhausted' WHERE tenant_id = %(t)s AND remaining > 0",
    "an entry is in another currency than its account": f"UPDATE ledger_entries SET currency = 'USD' WHERE {ONE_ENTRY}",
    "versions of an account have gaps": "UPDATE wallet_accounts SET version = version + 1 WHERE tenant_id = %(t)s AND NOT lazy",
    "a balance does not follow from the one before": f"UPDATE ledger_entries SET balance_before = balance_before + 1 WHERE {ONE_ENTRY}",
    "a posting has no entries or an entry no account": "DELETE FROM ledger_entries WHERE tenant_id = %(t)s AND amount > 0",
    "I5 a sale's number was recorded twice": "UPDATE purchases SET external_id = 'same' WHERE tenant_id = %(t)s",
    "I5 a refund's number was recorded twice": "UPDATE purchase_refunds SET external_id = 'same' WHERE tenant_id = %(t)s",
    "I5 a sale says otherwise than the ledger": f"UPDATE purchases SET bonus_accrued = bonus_accrued + 1 WHERE {ONE_SALE}",
    "I5 a sale says otherwise than its refunds": f"UPDATE purchases SET refunded_total = refunded_total + 1 WHERE {ONE_SALE}",
    "I9 a message goes to one subscriber twice": "UPDATE outbox_deliveries SET subscriber = 'same' WHERE tenant_id = %(t)s",
    "I9 a delivery is neither delivered nor dead": "UPDATE outbox_deliveries SET status = 'leased' WHERE tenant_id = %(t)s",
    "I9 a sale has not one message": "DELETE FROM outbox_messages WHERE tenant_id = %(t)s AND type = 'purchase.recorded'",
    "I9 a message speaks of more imported sales than there are": "DELETE FROM purchases WHERE tenant_id = %(t)s AND external_id = 'old-1'",
    "I9 a refund has not one message": "DELETE FROM outbox_messages WHERE tenant_id = %(t)s AND type = 'purchase.refunded'",
    "I9 a message speaks of a sale or refund that is not there": "DELETE FROM purchase_refunds WHERE tenant_id = %(t)s",
    "I9 a member's steps between tiers are not their messages": "DELETE FROM tier_changes WHERE tenant_id = %(t)s",
    "I10 a posting is in the audit log twice": """
        UPDATE audit_entries SET changes = changes || (SELECT jsonb_agg(jsonb_build_object('table', 'ledger_transactions', 'key', x.id, 'fields',
            jsonb_build_object('amount', 1))) FROM ledger_transactions x WHERE x.tenant_id = %(t)s) WHERE tenant_id = %(t)s""",
    "I10 more or fewer postings than the audit log says": "DELETE FROM audit_entries WHERE tenant_id = %(t)s AND action = 'purchase.record'",
    "I10 a sale or refund is not in the audit log once": "DELETE FROM audit_entries WHERE tenant_id = %(t)s AND action = 'purchase.refund'",
    "I14 an open session is not of its user's epoch": "UPDATE users SET auth_epoch = auth_epoch + 1 WHERE tenant_id = %(t)s",
}  # fmt: skip


def an_old_sale(n):
    return Sale(
        business_id=CAFE.id, member_id=EVE.id, amount=50_000, external_id=f"old-{n}", source="import", historical=True,
        occurred_at=clock.now() - timedelta(days=30 + n), bonus_to_spend=0, currency=None, category=None, location_id=None,
        till="", receipt_number=None, lines=(),
    )  # fmt: skip


@pytest.fixture
def business(acting, sign_in, deliver):
    """Both tenants have sold, given back and paid with bonus; somebody rose; somebody is signed in; all is delivered."""
    client().command("TRUNCATE TABLE transaction_facts")  # what tests before this one shipped
    with acting(CIRCLE, BOB):
        first = buy(1_500_000, member=ALICE)
        buy(200_000, member=EVE)
        buy(100_000, member=ALICE, bonus_to_spend=10_000)
        refund_purchase(first.purchase_id, amount=100, external_id="r-1")
        refund_purchase(first.purchase_id, amount=100, external_id="r-2")
        record_history(CAFE.id, [an_old_sale(n) for n in range(3)])
    with acting(GLOBEX, MALLORY):
        buy(100_000, member=TRENT, shop=GLOBEX.shops["cafe"])
    sign_in(ALICE)
    deliver()
    with psycopg.connect(settings().DATABASE_URL, autocommit=True) as admin:  # nobody takes mail here
        admin.execute("UPDATE outbox_deliveries SET status = 'dead' WHERE open AND subscriber LIKE 'messages.email%'")


@pytest.fixture
def damaged():
    """A superuser's connection with triggers off, in a transaction that is rolled back."""
    with psycopg.connect(settings().DATABASE_URL) as admin:
        admin.execute("SET LOCAL session_replication_role = replica")
        admin.execute(LOOSEN)
        yield admin
        admin.rollback()


def every_check():
    checks = {**verify.CHECKS, **verify.DRAINED}
    for module in nouns.load("verify"):
        checks |= module.CHECKS
    return checks


def asked(connection, check):
    statement = str(text(check).bindparams(t=CIRCLE.id).compile(dialect=postgresql.dialect(paramstyle="pyformat")))
    return connection.execute(statement, {"t": CIRCLE.id}).fetchall()


def test_each_damage_is_counted_and_none_is_seen_without(business, damaged):
    """Every check that is SQL has its damage here, and finds nothing in good books."""
    checks = {name: check for name, check in every_check().items() if isinstance(check, str)}
    assert set(checks) == set(DAMAGE)
    assert {name: found for name, check in checks.items() if (found := asked(damaged, check))} == {}
    unseen = []
    for name, damage in DAMAGE.items():
        with damaged.transaction(force_rollback=True):
            assert damaged.execute(damage, {"t": CIRCLE.id}).rowcount, f"{name}: nothing was damaged"
            if not asked(damaged, checks[name]):
                unseen.append(name)
    assert unseen == []


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        ("UPDATE purchases SET cashier_id = %(foreign)s WHERE tenant_id = %(t)s", verify.ACROSS[0]),
        ("UPDATE purchases SET tenant_id = %(other)s WHERE tenant_id = %(t)s", verify.ACROSS[0]),
        ("UPDATE ledger_entries SET account_id = (SELECT id FROM wallet_accounts WHERE tenant_id = %(other)s LIMIT 1) WHERE tenant_id = %(t)s", verify.ACROSS[0]),
        ("UPDATE purchases SET member_id = %(foreign)s WHERE tenant_id = %(t)s", verify.ACROSS[1]),
        ("DELETE FROM businesses WHERE tenant_id = %(t)s", verify.ACROSS[1]),
        ("UPDATE outbox_messages SET data = data || jsonb_build_object('about', ARRAY[%(foreign)s::text]) WHERE tenant_id = %(t)s", verify.ACROSS[2]),
        ("UPDATE audit_entries SET changes = jsonb_build_array(%(other)s::text) WHERE tenant_id = %(t)s", verify.ACROSS[2]),
    ],
)  # fmt: skip
def test_a_row_of_two_tenants_is_counted(business, damaged, damage, name):
    """I11 and I15, with a foreign key (`member_id`) and without one (`cashier_id`, `account_id`)."""
    assert {what: found for what, found in verify.across(damaged) if found} == {}
    values = {"t": CIRCLE.id, "other": GLOBEX.id, "foreign": TRENT.id}
    assert damaged.execute(damage, values).rowcount
    assert dict(verify.across(damaged))[name]


def test_facts_that_differ_are_counted(app, acting, business):
    """I12: a sale that ClickHouse was told twice as dear."""
    with acting(CIRCLE):
        assert off_days() == []
    client().command(
        "ALTER TABLE transaction_facts UPDATE amount_minor = amount_minor * 2 WHERE 1 SETTINGS mutations_sync = 1"
    )
    with acting(CIRCLE):
        assert len(off_days()) == 4  # today, and three days of history


def told():
    start = [sys.executable, "-c", "from portal.cli import main; main()", "verify", "--json", "--drained"]
    ended = subprocess.run(start, check=False, capture_output=True, text=True, cwd=ROOT)
    return ended.returncode, {name: n for name, n in json.loads(ended.stdout).items() if n}, ended.stderr


def test_the_command_counts_in_every_tenant_and_says_so_by_its_exit_code(app, business):
    assert not any(differences(app, drained=True).values())
    with psycopg.connect(settings().DATABASE_URL, autocommit=True) as admin:
        admin.execute("UPDATE users SET auth_epoch = 7 WHERE id = %s", (ALICE.id,))
        admin.execute("UPDATE outbox_deliveries SET status = 'pending' WHERE tenant_id = %s", (GLOBEX.id,))
    code, counts, said = told()
    assert code == 1
    assert counts["I14 an open session is not of its user's epoch"] == 1
    assert counts["I9 a delivery is neither delivered nor dead"] > 0
    assert "globex: " in said
