"""The chain over the ledger (WAL-9, D20): whatever is changed behind the portal's back is found.

Each fault is made as superuser with triggers off, in a way that leaves every sum right: `portal ledger verify` finds it by
the chain alone. Seen red: without the entries in the leaf the changed account passes, without the allocations the lot.
"""

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from portal.audit import seals as audit
from portal.audit.verify import broken as log_broken
from portal.cli import main
from portal.cli.verify import differences
from portal.extensions import db
from portal.kernel import chain as chains
from portal.wallets import seals
from portal.wallets.models import LedgerSeal
from portal.wallets.verify import verify
from tests.audit.test_chain import others_end, superuser
from tests.cast import ALICE, CIRCLE, EVE, GLOBEX, MALLORY
from tests.wallets.test_ledger import given, post, spent


def sealed(acting, tenant=CIRCLE):
    others_end()
    with acting(tenant):
        taken = []
        while count := seals.seal():
            taken.append(count)
        return taken


def found(acting, tenant=CIRCLE):
    with acting(tenant):
        return seals.broken()


@pytest.fixture
def chain(acting, monkeypatch):
    """Two seals of four and three postings of one circle, and one of another."""
    monkeypatch.setattr(chains, "MOST", 4)
    for n in range(5):
        with acting(CIRCLE):
            post(given(ALICE, 100, f"g{n}"))
    with acting(CIRCLE):
        post(spent(ALICE, 150, "s"))
    with acting(CIRCLE):
        post(given(EVE, 70, "e"))
    with acting(GLOBEX):
        from portal.wallets.service import adjust

        adjust(MALLORY.id, 100, currency=GLOBEX.currency, reason="test", key="m")
    assert sealed(acting) == [4, 3]
    assert sealed(acting, GLOBEX) == [1]
    assert found(acting) == found(acting, GLOBEX) == []


@pytest.mark.commits
def test_postings_are_sealed_once_and_each_seal_holds_the_one_before(acting, chain):
    with acting(CIRCLE):
        post(given(EVE, 30, "later"))
    assert sealed(acting) == [1]
    assert sealed(acting) == []
    with acting(CIRCLE):
        rows = db.session.scalars(select(LedgerSeal).order_by(LedgerSeal.n)).all()
        assert [(row.n, row.count, row.entries) for row in rows] == [(1, 4, 4), (2, 3, 7), (3, 1, 8)]
        assert [row.prev_hash for row in rows] == [chains.NOTHING, rows[0].hash, rows[1].hash]
        assert verify() == []


_COPIED = "type, module, action, source, external_id || '-2', request_hash, currency, amount, member_id, metadata, occurred_at"
FAULTS = {
    "edit": (
        "UPDATE ledger_transactions SET occurred_at = occurred_at - interval '1 day' WHERE id = %(x)s",
        "seal 1: postings",
    ),
    "edit of what it was for": (
        'UPDATE ledger_transactions SET metadata = \'{"reason": "none"}\' WHERE id = %(x)s',
        "seal 1: postings",
    ),
    "edit of an entry": (
        "UPDATE ledger_entries SET member_id = NULL WHERE transaction_id = %(x)s AND amount > 0",
        "seal 1: postings",
    ),
    "edit of what was drawn": (
        "UPDATE lot_allocations SET amount = amount + CASE WHEN seq = (SELECT min(seq) FROM lot_allocations) THEN -1 ELSE 1 END",
        "seal 2: postings",
    ),
    "delete": (
        "DELETE FROM ledger_entries WHERE transaction_id = %(x)s; DELETE FROM ledger_transactions WHERE id = %(x)s",
        "seal 1: 1 postings are missing",
    ),
    "delete an entry": ("DELETE FROM ledger_entries WHERE transaction_id = %(x)s AND amount < 0", "seal 1: postings"),
    "reorder": (
        (
            "UPDATE ledger_transactions x SET occurred_at = o.occurred_at, recorded_at = o.recorded_at FROM ledger_transactions o"
            " WHERE x.id IN (%(x)s, %(y)s) AND o.id IN (%(x)s, %(y)s) AND o.id <> x.id"
        ),
        "seal 1: postings",
    ),
    "reorder in the seal": (
        "UPDATE ledger_seals SET seqs = seqs[2:2] || seqs[1:1] || seqs[3:] WHERE tenant_id = %(t)s AND n = 2",
        "seal 2: postings",
    ),
    "insert among the sealed": (
        (
            "INSERT INTO ledger_transactions (tenant_id, id, type, module, action, source, external_id, request_hash, currency, amount,"
            " member_id, metadata, occurred_at, xact_id)"
            f" SELECT tenant_id, gen_random_uuid(), {_COPIED}, xact_id FROM ledger_transactions WHERE id = %(x)s"
        ),
        "was put among sealed ones",
    ),
    "insert an entry into a sealed posting": (
        (
            "INSERT INTO ledger_entries (tenant_id, id, transaction_id, account_id, currency, amount, occurred_at)"
            " SELECT tenant_id, gen_random_uuid(), transaction_id, account_id, currency, amount, occurred_at FROM ledger_entries"
            " WHERE transaction_id = %(x)s"
        ),
        "seal 1: postings",
    ),
    "truncate the tail": (
        (
            "DELETE FROM ledger_entries WHERE tenant_id = %(t)s AND transaction_id <> %(x)s;"
            "DELETE FROM ledger_transactions WHERE tenant_id = %(t)s AND id <> %(x)s"
        ),
        "postings are missing",
    ),
    "a seal taken out": ("DELETE FROM ledger_seals WHERE tenant_id = %(t)s AND n = 1", "seals 1 to 1 are missing"),
    "another root": ("UPDATE ledger_seals SET leaf_root = prev_hash WHERE tenant_id = %(t)s AND n = 2", "seal 2"),
}


@pytest.mark.commits
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(acting, chain, fault):
    statement, said = FAULTS[fault]
    with superuser() as connection:
        x, y = (
            connection.execute(
                "SELECT id FROM ledger_transactions WHERE tenant_id = %s AND external_id = %s", (CIRCLE.id, key)
            ).fetchone()[0]
            for key in ("g1", "g2")
        )
        for one in statement.split(";"):
            connection.execute(one, {"t": CIRCLE.id, "x": x, "y": y})
    assert any(said in line for line in found(acting)), found(acting)
    assert found(acting, GLOBEX) == []
    told = CliRunner().invoke(main, ["ledger", "verify", "--tenant", "circle"])
    assert told.exit_code == 1
    assert "I10 the ledger is not what was sealed" in told.output


@pytest.mark.commits
def test_a_ledger_rewritten_with_its_seals_is_found_by_the_audit_log(acting, chain):
    """Postings and chain are cut back and sealed anew, so that they agree; what the audit log noted of them does not."""
    with acting(CIRCLE):
        audit.seal()
    with acting(CIRCLE):
        assert audit.sign()
    assert found(acting) == []
    with superuser() as connection:
        for statement in (
            "DELETE FROM ledger_seals WHERE tenant_id = %s",
            'UPDATE ledger_transactions SET metadata = \'{"reason": "none"}\' WHERE tenant_id = %s',
        ):
            connection.execute(statement, (CIRCLE.id,))
    assert sealed(acting) == [4, 3]
    assert any("of the audit log notes" in line for line in found(acting)), found(acting)
    with acting(CIRCLE):
        assert log_broken() == []


@pytest.mark.commits
def test_the_operator_is_told_how_the_chain_stands(app, acting, chain):
    told = CliRunner().invoke(main, ["ledger", "verify", "--tenant", "circle"])
    assert (told.exit_code, told.output) == (0, "circle: 7 postings in 2 seals, clean\n")
    rule = "I10 the ledger is not what was sealed"
    assert differences(app, drained=False)[rule] == []
    with superuser() as connection:
        connection.execute("UPDATE ledger_transactions SET metadata = '{\"x\": 1}' WHERE tenant_id = %s", (CIRCLE.id,))
    assert [line[:23] for line in differences(app, drained=False)[rule]] == [
        "circle: seal 1: posting",
        "circle: seal 2: posting",
    ]
