"""Rules of the ledger that are seldom needed and dear when wrong: waiting bonus, debts, transfers, restored lots."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command
from portal.wallets import queries, service
from portal.wallets.errors import AlreadyReversed, InsufficientFunds, InvalidAmount, WalletLocked
from portal.wallets.service import Account, Accrual, Posting
from portal.wallets.verify import verify
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE
from tests.wallets.test_ledger import DAY, balance, given, post, spent

UNLIMITED = 1000


@pytest.fixture(autouse=True)
def books_are_right(app, acting):
    yield
    with acting(CIRCLE):
        assert verify() == []


def waiting(member, amount, key, at, ends=None):
    return Posting(
        type="accrual", source="test", external_id=key, currency="RUB", amount=amount, payer=Account.issuance(CAFE.id),
        payee=Account.member(member.id, "locked"), member_id=member.id, activates_at=at, expires_at=ends,
    )  # fmt: skip


def taken_back(member, amount, key, own, kind="bonus", **more):
    return Posting(
        type="refund_reversal", source="test", external_id=key, currency="RUB", amount=amount, payer=Account.member(member.id, kind),
        payee=Account.issuance(CAFE.id), member_id=member.id, first=own, **{"partial": True, **more},
    )  # fmt: skip


def restored(member, amount, key, lots):
    return Posting(
        type="refund_restore", source="test", external_id=key, currency="RUB", amount=amount, payer=Account.payable(CAFE.id),
        payee=Account.member(member.id), member_id=member.id, restores=lots,
    )  # fmt: skip


def moved(giver, taker, amount, key):
    return Posting(
        type="transfer", source="test", external_id=key, currency="RUB", amount=amount, payer=Account.member(giver.id),
        payee=Account.member(taker.id),
    )  # fmt: skip


def lots(member):
    own = {b.type: b for b in queries.balances(member.id)}
    return {kind: [(r.remaining, r.expires_at) for r in queries.lots_of(b.account_id)] for kind, b in own.items()}


def later(days):
    """The clock of the acting session, moved."""
    db.session.rollback()
    at = clock.now() + days * DAY
    db.session.info["now"] = at
    return at


def test_bonus_that_waits_is_neither_spent_nor_counted_before_its_day(acting):
    """WAL-6. Red when the payer's type is not looked at: a bill is then paid from `locked`."""
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(waiting(ALICE, 80, "w", at + DAY))
        with pytest.raises(WalletLocked):
            post(
                Posting(
                    type="redemption", source="test", external_id="s", currency="RUB", amount=5,
                    payer=Account.member(ALICE.id, "locked"), payee=Account.payable(CAFE.id),
                )
            )  # fmt: skip
        with pytest.raises(InsufficientFunds):
            post(spent(ALICE, 5, "s2"))


def test_bonus_cannot_be_withdrawn(acting):
    with acting(CIRCLE, BOB):
        post(given(ALICE, 80, "g"))
        with pytest.raises(WalletLocked):
            post(
                Posting(
                    type="withdrawal", source="test", external_id="w", currency="RUB", amount=5,
                    payer=Account.member(ALICE.id), payee=Account.system("clearing:bank"),
                )
            )  # fmt: skip


def test_what_a_refunded_purchase_would_have_given_never_comes(acting):
    """LOY-2 pending → voided; other waiting lots stay. Red when `locked` is drawn by LOY-3 instead of by purchase."""
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(waiting(ALICE, 30, "other", at + DAY))
        own = post(waiting(ALICE, 50, "own", at + 2 * DAY))[0]
        back = post(taken_back(ALICE, 500, "r", own.transaction_id, "locked"))[0]
        assert back.amount == 50
        states = db.session.execute(text("SELECT remaining, state FROM lots ORDER BY seq")).all()
        assert [tuple(r) for r in states] == [(30, "pending"), (0, "voided")]
        later(3)
        assert service.activate_due() == 1
        assert balance(ALICE) == 30


def test_an_activated_lot_is_still_its_purchases_own(acting):
    """LOY-6. Red when `first` is compared with the lot's source alone: activation makes a new lot."""
    with acting(CIRCLE, BOB):
        at = clock.now()
        own = post(waiting(ALICE, 50, "own", at + DAY, at + 90 * DAY))[0]
        post(given(ALICE, 40, "soon", expires_at=at + 9 * DAY))
        later(2)
        assert service.activate_due() == 1
        later(2)
        assert post(taken_back(ALICE, 20, "r", own.transaction_id))[0].amount == 20
        assert lots(ALICE)["bonus"] == [(40, at + 9 * DAY), (30, at + 90 * DAY)]


def test_a_gift_keeps_the_dates_of_its_lots(acting):
    """Nobody makes bonus younger by sending it to a friend and back. Red when the payee's lot is made anew."""
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(given(ALICE, 40, "a", expires_at=at + DAY), given(ALICE, 40, "b", expires_at=at + 2 * DAY))
        post(moved(ALICE, EVE, 60, "t1"))
        assert lots(EVE)["bonus"] == [(40, at + DAY), (20, at + 2 * DAY)]
        post(moved(EVE, ALICE, 60, "t2"))
        assert lots(ALICE)["bonus"] == [(40, at + DAY), (20, at + 2 * DAY), (20, at + 2 * DAY)]


def test_a_debt_is_paid_by_whatever_comes_first(acting):
    """D15: take-back under `unlimited`, then a credit, a bulk accrual and a restored lot. Red when a credit goes to lots whole."""

    @command("test.batch")
    def batch(*amounts):
        rows = [
            Accrual(external_id=f"b{n}", member_id=ALICE.id, amount=a, occurred_at=clock.now())
            for n, a in enumerate(amounts)
        ]
        return service.post_batch(rows, currency="RUB", business_id=CAFE.id, source="batch").posted

    with acting(CIRCLE, BOB):
        own = post(given(ALICE, 100, "g"))[0]
        used = post(spent(ALICE, 90, "s"))[0]
        assert post(taken_back(ALICE, 100, "r", own.transaction_id, debt_limit=UNLIMITED))[0].payer_balance == -90
        with pytest.raises(InsufficientFunds):
            post(spent(ALICE, 1, "s2"))
        assert post(given(ALICE, 20, "g2"))[0].payee_balance == -70
        assert batch(30, 25) == 2
        assert (balance(ALICE), lots(ALICE)["bonus"]) == (-15, [])
        post(restored(ALICE, 90, "back", used.allocations))
        assert (balance(ALICE), lots(ALICE)["bonus"]) == (75, [(75, None)])


def test_a_debt_ends_at_its_limit(acting):
    with acting(CIRCLE, BOB):
        post(given(ALICE, 10, "g"))
        assert post(taken_back(ALICE, 500, "r", None, debt_limit=50))[0].amount == 60
        assert post(taken_back(ALICE, 500, "r2", None, debt_limit=50))[0].amount == 0
        with pytest.raises(InsufficientFunds):
            post(taken_back(ALICE, 1, "r3", None, debt_limit=50, partial=False))
        assert balance(ALICE) == -50


@pytest.mark.parametrize("wrong", ["more than was in it", "another member's", "not the sum"])
def test_lots_take_back_only_what_was_theirs(acting, wrong):
    """Red when the restored amounts are not compared: lots and balance part."""
    with acting(CIRCLE, BOB):
        post(given(ALICE, 40, "a"), given(EVE, 90, "e"))
        used, other = post(spent(ALICE, 40, "s"), spent(EVE, 40, "x"))
        lot, foreign = used.allocations[0]["lot"], other.allocations[0]["lot"]
        sent = {
            "more than was in it": (41, [{"lot": lot, "amount": 41}]),
            "another member's": (40, [{"lot": foreign, "amount": 40}]),
            "not the sum": (40, [{"lot": lot, "amount": 30}]),
        }[wrong]
        with pytest.raises(DBAPIError, match="cannot take back"):
            post(restored(ALICE, sent[0], "back", sent[1]))
        assert balance(ALICE) == 0


def test_a_restored_lot_can_expire_again(acting):
    """LOY-5: each expiry of a lot has a number of its own."""
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(given(ALICE, 40, "a", expires_at=at + DAY))
        used = post(spent(ALICE, 30, "s"))[0]
        later(2)
        assert service.expire_due() == 1
        lot = {**used.allocations[0], "expires_at": later(2) + 14 * DAY}
        post(restored(ALICE, 30, "back", [lot]))
        assert balance(ALICE) == 30
        later(20)
        assert service.expire_due() == 1
        keys = db.session.scalars(
            text("SELECT external_id FROM ledger_transactions WHERE type = 'expiry' ORDER BY seq")
        ).all()
        assert [k.rpartition(":")[2] for k in keys] == ["1", "2"]
        assert balance(ALICE) == 0


def test_a_posting_is_reversed_once(acting):
    """WAL-4."""
    with acting(CIRCLE, BOB):
        first = post(given(ALICE, 40, "a"))[0]
        post(spent(ALICE, 10, "r1", reverses_id=first.transaction_id))
        with pytest.raises(AlreadyReversed):
            post(spent(ALICE, 10, "r2", reverses_id=first.transaction_id))


@pytest.mark.parametrize("amount", [2**63, 2**64, 10**30, 2**63 - 1])
def test_amounts_that_no_account_can_hold_are_refused(acting, amount):
    """B1: the last is a number by itself, and too much on top of what is there."""
    with acting(CIRCLE, BOB):
        post(given(ALICE, 1, "g"))
        with pytest.raises(InvalidAmount):
            post(given(ALICE, amount, "g2"))
        assert balance(ALICE) == 1


def test_a_bulk_accrual_tells_what_it_left_alone(acting):
    """One key twice in a batch is one movement; another amount under a known key is told."""

    @command("test.batch")
    def batch(*rows):
        made = [
            Accrual(external_id=k, member_id=ALICE.id, amount=a, occurred_at=clock.now() - timedelta(days=1))
            for k, a in rows
        ]
        return service.post_batch(made, currency="RUB", business_id=CAFE.id, source="batch")

    with acting(CIRCLE, BOB):
        assert batch(("a", 10), ("b", 20), ("a", 10)).posted == 2
        again = batch(("a", 10), ("b", 21), ("c", 5))
        assert (again.posted, again.skipped, again.differing) == (1, ["a", "b"], ["b"])
        assert balance(ALICE) == 35
        with pytest.raises(InvalidAmount):
            batch(("d", 0))


def test_an_account_of_an_unknown_kind_is_not_made(acting):
    with acting(CIRCLE, BOB), pytest.raises(DBAPIError, match="no account of this kind"):
        post(
            Posting(
                type="accrual",
                source="test",
                external_id="x",
                currency="RUB",
                amount=5,
                payer=Account.issuance(),
                payee=Account.member(ALICE.id, "bonsu"),
            )
        )
