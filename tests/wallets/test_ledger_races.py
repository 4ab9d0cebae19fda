"""R5, R6, R7 in short: threads, real commits, one PostgreSQL. The long form runs with `make prove`.

Seen red: without the account lock R5 overdraws or fails on the CHECK; without the id order R6 deadlocks past the retries.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from portal.extensions import db
from portal.wallets import queries
from portal.wallets.errors import InsufficientFunds
from portal.wallets.service import Account, Posting
from portal.wallets.verify import verify
from tests.cast import ALICE, BOB, CIRCLE, EVE
from tests.wallets.test_ledger import given, post, spent

pytestmark = pytest.mark.commits


@pytest.fixture
def at_once(acting):
    """Run the jobs in threads that start together; their results or refusals."""

    def at_once(jobs):
        barrier = Barrier(len(jobs))

        def run(job):
            with acting(CIRCLE, BOB):
                barrier.wait()
                try:
                    return post(job)[0]
                except InsufficientFunds as refused:
                    return refused
                finally:
                    db.session.remove()

        with ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(run, jobs))

    return at_once


def balance(acting, member):
    with acting(CIRCLE):
        assert verify() == []
        return queries.balance_of(member.id, "RUB")


def test_r5_a_wallet_of_100_pays_ten_exactly_ten_times(acting, at_once):
    with acting(CIRCLE, BOB):
        post(given(ALICE, 100, "start"))
    results = at_once([spent(ALICE, 10, f"s{n}") for n in range(14)])
    assert sum(isinstance(r, InsufficientFunds) for r in results) == 4
    assert balance(acting, ALICE) == 0


def test_r6_crossed_transfers_end_without_a_deadlock(acting, at_once):
    with acting(CIRCLE, BOB):
        post(given(ALICE, 1000, "a"), given(EVE, 1000, "e"))

    def transfer(n, giver, taker):
        return Posting(type="transfer", source="test", external_id=f"t{n}", currency="RUB", amount=7, payer=Account.member(giver.id),
                       payee=Account.member(taker.id))

    results = at_once([transfer(n, *((ALICE, EVE) if n % 2 else (EVE, ALICE))) for n in range(14)])
    assert all(not isinstance(r, Exception) for r in results)
    assert (balance(acting, ALICE), balance(acting, EVE)) == (1000, 1000)


def test_r7_one_key_sent_by_everybody_at_once_is_one_movement(acting, at_once):
    results = at_once([given(ALICE, 40, "same") for _ in range(14)])
    assert sum(not r.replayed for r in results) == 1
    assert len({r.transaction_id for r in results}) == 1
    assert balance(acting, ALICE) == 40
