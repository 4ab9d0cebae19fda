"""Nothing is made and nothing is lost by a merge and its undo, whatever lots there are and whatever is spent between.

Seen red: lots drawn by their dates as in a sale: what waits or is overdue stays behind.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from portal.extensions import db
from portal.kernel.commands import command
from portal.merging import service as merging
from portal.wallets import service as wallets
from portal.wallets.errors import InsufficientFunds
from portal.wallets.service import Account, Posting
from portal.wallets.verify import verify
from tests.cast import ALICE, CAFE, CIRCLE, EVE, OLGA

START, DAY = datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=1)
BOTH = (EVE, ALICE)
_LOTS = text("""
SELECT w.owner_id AS member, w.type, w.currency, l.remaining, l.activates_at, l.expires_at, l.priority, l.granted FROM lots l
  JOIN wallet_accounts w ON w.id = l.account_id WHERE w.owner_kind = 'member' AND l.remaining > 0""")

lot = st.tuples(
    st.sampled_from(BOTH),
    st.sampled_from(["bonus", "locked", "points"]),
    st.sampled_from(["RUB", "USD"]),
    st.integers(1, 300),
    st.integers(-2, 6),  # waits until
    st.none() | st.integers(-2, 9),  # burns on
)
step = st.tuples(st.integers(0, 4), st.integers(0, 500), st.sampled_from(["RUB", "USD"]))  # days go by, a spending


@command("test.post")
def post(*postings):
    wallets.post(*postings)


def at(days):
    db.session.rollback()
    db.session.connection()
    db.session.info["now"] = START + days * DAY


def lots():
    """How many lots alike each member has."""
    return {one: Counter(tuple(row[1:]) for row in db.session.execute(_LOTS) if row.member == one.id) for one in BOTH}


def worth(counted):
    return sum(each[2] * n for each, n in counted.items())


@given(made=st.lists(lot, max_size=8), steps=st.lists(step, max_size=4))
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_merge_and_its_undo_conserve_every_lot(acting, made, steps):
    with acting(CIRCLE, OLGA):
        savepoint = db.engine.begin_nested()
        try:
            _check(made, steps)
        finally:
            db.session.rollback()
            savepoint.rollback()


def _check(made, steps):
    at(0)
    for n, (member, kind, currency, amount, waits, burns) in enumerate(made):
        at(0)
        post(
            Posting(
                type="accrual",
                source="m",
                external_id=f"lot-{n}",
                currency=currency,
                amount=amount,
                payer=Account.issuance(CAFE.id),
                payee=Account.member(member.id, kind),
                activates_at=START + waits * DAY if kind == "locked" else None,
                expires_at=None if burns is None else START + burns * DAY,
            )
        )
    before = lots()
    at(0)
    merge_id = merging.merge(EVE.id, ALICE.id, reason="one person", key="k")
    assert lots() == {EVE: Counter(), ALICE: before[EVE] + before[ALICE]}
    day, gone = 0, 0
    for n, (days, amount, currency) in enumerate(steps):
        day += days
        at(day)
        wallets.expire_due()
        wallets.activate_due()
        held = worth(lots()[ALICE])
        if amount:
            at(day)
            spend = Posting(
                type="redemption",
                source="m",
                external_id=f"spend-{n}",
                currency=currency,
                amount=amount,
                payer=Account.member(ALICE.id),
                payee=Account.payable(CAFE.id),
            )
            try:
                post(spend)
            except InsufficientFunds:
                continue
            gone += amount
            assert worth(lots()[ALICE]) == held - amount
    at(min(day, 6))
    left = worth(lots()[ALICE])
    told = merging.parts(db.session.get(merging.MemberMerge, (CIRCLE.id, merge_id)))
    back = merging.undo(merge_id, reason="two people")
    assert back == told
    after = lots()
    assert worth(after[EVE]) == sum(part.back for part in back)
    assert worth(after[EVE]) + worth(after[ALICE]) == left
    assert sum(part.moved for part in back) == worth(before[EVE])
    assert worth(after[EVE]) <= worth(before[EVE])
    if not steps:
        assert after == before
    assert verify() == []
