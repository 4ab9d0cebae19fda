"""Merges against merges, sales and corrections: threads, real commits, one PostgreSQL (D18, D28).

Seen red: without the lock of both rows, both of two crossed merges move, and 64 callers meet at the unique index instead.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.identity.models import MemberMerge
from portal.identity.service import MemberMerged
from portal.kernel.errors import PortalError
from portal.kernel.verify import found_by
from portal.merging import service as merging
from portal.merging.verify import CHECKS
from portal.purchases.models import Purchase
from portal.wallets import service as wallets
from portal.wallets.verify import verify
from tests.cast import ALICE, CIRCLE, EVE, OLGA
from tests.purchases.shop import balance, buy

pytestmark = pytest.mark.commits


@pytest.fixture
def at_once(acting):
    """Run the jobs in threads that start together; their results or refusals."""

    def at_once(*jobs):
        gate = Barrier(len(jobs))

        def run(job):
            with acting(CIRCLE, OLGA):
                gate.wait(30)
                try:
                    return job()
                except PortalError as refused:
                    return refused
                finally:
                    db.session.remove()

        with ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(run, jobs))

    return at_once


def give(member, amount, key):
    return wallets.adjust(member.id, amount, currency="RUB", reason="a gift", key=key)


def merge(goes, stays, key):
    return lambda: merging.merge(goes.id, stays.id, reason="one person", key=key)


def all_is_right(acting):
    with acting(CIRCLE):
        assert verify() == []
        assert [line for check in CHECKS.values() for line in found_by(check)] == []
        return balance(ALICE), balance(EVE), db.session.scalar(select(func.count()).select_from(MemberMerge))


def test_of_64_callers_one_merges(acting, at_once):
    """Half of them press the same button twice, half come from other pages."""
    with acting(CIRCLE, OLGA):
        give(EVE, 1_000, "g")
    answers = at_once(*(merge(EVE, ALICE, "same" if n % 2 else f"other-{n}") for n in range(64)))
    made = {answer for answer in answers if not isinstance(answer, Exception)}
    assert len(made) == 1
    assert all(isinstance(answer, MemberMerged) for answer in answers if isinstance(answer, Exception))
    assert all_is_right(acting) == (1_000, 0, 1)


@pytest.mark.parametrize("turn", range(3))
def test_of_two_crossed_merges_one_stands(acting, at_once, turn):
    with acting(CIRCLE, OLGA):
        give(EVE, 1_000, "e")
        give(ALICE, 30, "a")
    answers = at_once(merge(EVE, ALICE, "1"), merge(ALICE, EVE, "2"))
    assert sum(isinstance(answer, MemberMerged) for answer in answers) == 1
    first, second, merges = all_is_right(acting)
    assert ({first, second}, merges) == ({1_030, 0}, 1)


def test_sales_and_corrections_finish_or_see_the_merge(acting, at_once):
    """Every sale is recorded, before for the old one or after for the survivor; a correction is told where to go."""
    with acting(CIRCLE, OLGA):
        start = sum(buy(100_000, member=EVE).bonus_accrued for _ in range(2))
    jobs = [lambda n=n: buy(100_000, member=EVE, key=f"s-{n}").bonus_accrued for n in range(8)]
    jobs += [lambda n=n: give(EVE, 10, f"g-{n}").amount for n in range(8)]
    jobs.insert(7, merge(EVE, ALICE, "k"))
    answers = at_once(*jobs)
    merged = answers.pop(7)
    assert not isinstance(merged, Exception)
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert all(isinstance(answer, MemberMerged) for answer in refused)
    assert not any(isinstance(answer, Exception) for answer in answers[:8])
    given = sum(answer for answer in answers if not isinstance(answer, Exception))
    assert all_is_right(acting) == (start + given, 0, 1)
    with acting(CIRCLE):
        assert db.session.scalar(select(func.count()).select_from(Purchase)) == 10


def test_an_undo_and_another_undo_give_back_once(acting, at_once):
    with acting(CIRCLE, OLGA):
        give(EVE, 500, "e")
        made = merge(EVE, ALICE, "k")()
    answers = at_once(*(lambda: merging.undo(made, reason="two people") for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert all_is_right(acting) == (0, 500, 1)
