"""Races on a real database: R7, and what the row locks are for."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.kernel.errors import PortalError
from portal.kernel.outbox import OutboxMessage
from portal.loyalty.models import TierProgress
from portal.purchases.models import Purchase
from portal.purchases.refunds import RefundExceeds, refund_purchase
from portal.wallets.errors import IdempotencyMismatch, InsufficientFunds
from tests.cast import ALICE, BOB, CIRCLE, EVE
from tests.purchases.shop import balance, books_agree, buy, counted

pytestmark = pytest.mark.commits
THREADS = 32


@pytest.fixture
def at_once(acting):
    """Run the jobs in threads, each with a context of its own, all let go together; answers or refusals in order."""

    def at_once(jobs):
        gate = Barrier(len(jobs))

        def run(job):
            with acting(CIRCLE, BOB):
                gate.wait(30)
                try:
                    return job()
                except PortalError as refused:
                    return refused

        with ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(run, jobs))

    return at_once


def test_one_key_from_32_threads_is_one_purchase(acting, at_once):
    """R7. Broken once: without the member's lock those who lost the race got a 409 instead of the stored answer."""
    answers = at_once([lambda: buy(124_000, key="till-1-17")] * THREADS)

    assert sum(not a.replayed for a in answers) == 1
    assert len({(a.purchase_id, a.balances["bonus"], a.receipt_number) for a in answers}) == 1
    with acting(CIRCLE):
        assert counted() == {
            "purchases": 1,
            "purchase_refunds": 0,
            "ledger_transactions": 1,
            "ledger_entries": 2,
            "lots": 1,
            "outbox_messages": 1,
            "audit_entries": 1,
        }
        assert db.session.scalar(select(TierProgress.qualifying)) == 124_000
        books_agree()


def test_one_key_for_two_members_is_one_purchase_and_refusals(acting, at_once):
    """Their locks differ, so the unique key decides. Broken once: without ON CONFLICT the loser saw a 500."""
    answers = at_once([lambda: buy(key="same", member=ALICE), lambda: buy(key="same", member=EVE)] * 8)

    refused = [a for a in answers if isinstance(a, PortalError)]
    assert len(refused) == 8
    assert all(isinstance(a, IdempotencyMismatch) and a.extra["fields"] == ["member_id"] for a in refused)
    with acting(CIRCLE):
        assert db.session.scalar(select(func.count()).select_from(Purchase)) == 1
        books_agree()


def test_parallel_purchases_all_count_and_the_tier_rises_once(acting, at_once):
    """Broken once: without the member's lock nobody saw that the sum of all had reached silver."""
    answers = at_once([lambda n=n: buy(100_000, key=f"p-{n}") for n in range(16)])

    assert not any(isinstance(a, PortalError) for a in answers)
    with acting(CIRCLE):
        assert db.session.scalar(select(TierProgress.qualifying)) == 1_600_000
        assert len(db.session.scalars(select(OutboxMessage.id).where(OutboxMessage.type == "tier.changed")).all()) == 1
        assert balance() == sum(a.bonus_accrued for a in answers)
        books_agree()


def test_the_same_bonus_is_not_spent_twice(acting, at_once):
    with acting(CIRCLE, BOB):
        buy(1_000_000)  # 30 000
    answers = at_once([lambda n=n: buy(20_000, key=f"s-{n}", bonus_to_spend=10_000) for n in range(12)])

    spent = [a for a in answers if not isinstance(a, PortalError)]
    assert all(isinstance(a, InsufficientFunds) for a in answers if isinstance(a, PortalError))
    earned = sum(a.bonus_accrued for a in spent)
    with acting(CIRCLE):
        assert balance() == 30_000 + earned - 10_000 * len(spent) >= 0
        books_agree()


def test_parallel_refunds_give_back_no_more_than_was_paid(acting, at_once):
    """Broken once: without both locks a second refund got as far as the table's CHECK, and its sender saw a 500."""
    with acting(CIRCLE, BOB):
        bought = buy(100_000).purchase_id
    answers = at_once([lambda n=n: refund_purchase(bought, amount=60_000, external_id=f"r-{n}") for n in range(8)])

    assert sum(not isinstance(a, PortalError) for a in answers) == 1
    assert all(isinstance(a, RefundExceeds) for a in answers if isinstance(a, PortalError))
    with acting(CIRCLE):
        row = db.session.scalars(select(Purchase)).one()
        assert (row.refunded_total, row.version) == (60_000, 2)
        books_agree()
