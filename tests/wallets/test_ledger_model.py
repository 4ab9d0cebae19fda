"""Properties 1 to 3 of the ledger against a small model: any interleaving of earn, wait, spend, expire, take back, give back.

Seen red: lots past their date left spendable; the content of a repeated key not compared; a take-back that is not capped
by what is there; a waiting lot drawn for another purchase.
"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from portal.extensions import db
from portal.kernel.commands import command, journal
from portal.wallets import queries, service
from portal.wallets.errors import IdempotencyMismatch, InsufficientFunds
from portal.wallets.service import Account, Posting
from portal.wallets.verify import verify
from tests.cast import ALICE, BOB, CAFE, CIRCLE

DAY = timedelta(days=1)
GRACE = 14 * DAY
BONUS, LOCKED = Account.member(ALICE.id), Account.member(ALICE.id, "locked")
ISSUANCE, PAYABLE = Account.issuance(CAFE.id), Account.payable(CAFE.id)
_LOTS = text(
    "SELECT l.id::text, coalesce(y.external_id, x.external_id) FROM lots l JOIN ledger_transactions x ON x.id = l.source_transaction_id"
    " LEFT JOIN ledger_transactions y ON y.id = x.caused_by AND x.type = 'activation'"
)


@command("model.post")
def post(posting):
    done = service.post(posting)[0]
    if done.replayed or done.transaction_id is None:
        journal().unchanged()
    return done


class Lot:
    """A credit in the model, known by the key of the posting that gave it."""

    def __init__(self, key, left, starts, ends, transaction_id):
        self.key, self.left, self.starts, self.ends, self.transaction_id = key, left, starts, ends, transaction_id
        self.born, self.waits = int(key[1:]), starts is not None


class Books(RuleBasedStateMachine):
    """One member's bonus; time only moves forward."""

    acting = None

    @initialize()
    def open(self):
        self.context = self.acting(CIRCLE, BOB)
        self.context.__enter__()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.lots, self.spendings, self.sent, self.n = {}, [], {}, 0
        self.savepoint = db.engine.begin_nested()  # of the test's connection: each example starts from nothing

    def teardown(self):
        if hasattr(self, "savepoint"):
            db.session.rollback()
            self.savepoint.rollback()
            self.context.__exit__(None, None, None)

    def _at(self):
        """A session whose clock shows the model's time."""
        db.session.rollback()
        db.session.connection()
        db.session.info["now"] = self.now

    def _post(self, kind, amount, payer, payee, **more):
        self.n += 1
        posting = Posting(type=kind, source="m", external_id=f"k{self.n}", currency="RUB", amount=amount, payer=payer, payee=payee, member_id=ALICE.id, **more)  # fmt: skip
        self._at()
        done = post(posting)
        if done.transaction_id:
            self.sent[posting.external_id] = (posting, done)
        return posting.external_id, done

    def _free(self):
        return [
            lot
            for lot in self.lots.values()
            if lot.left and not lot.waits and (lot.ends is None or lot.ends > self.now)
        ]

    def _in_order(self, lots, own=None):
        return sorted(lots, key=lambda lot: (lot.key != own, lot.ends is None, lot.ends or self.now, lot.born))

    @staticmethod
    def _draw(amount, lots):
        for lot in lots:
            part = min(amount, lot.left)
            lot.left -= part
            amount -= part

    @rule(amount=st.integers(1, 500), days=st.one_of(st.none(), st.integers(1, 20)))
    def earn(self, amount, days):
        ends = None if days is None else self.now + days * DAY
        key, done = self._post("accrual", amount, ISSUANCE, BONUS, expires_at=ends)
        self.lots[key] = Lot(key, amount, None, ends, done.transaction_id)

    @rule(amount=st.integers(1, 500), wait=st.integers(1, 8), days=st.one_of(st.none(), st.integers(1, 20)))
    def earn_for_later(self, amount, wait, days):
        starts = self.now + wait * DAY
        ends = None if days is None else starts + days * DAY
        key, done = self._post("accrual", amount, ISSUANCE, LOCKED, activates_at=starts, expires_at=ends)
        self.lots[key] = Lot(key, amount, starts, ends, done.transaction_id)

    @rule(amount=st.integers(1, 800))
    def spend(self, amount):
        free = self._free()
        if sum(lot.left for lot in free) < amount:
            with pytest.raises(InsufficientFunds):
                self._post("redemption", amount, BONUS, PAYABLE)
            return
        _, done = self._post("redemption", amount, BONUS, PAYABLE)
        self._draw(amount, self._in_order(free))
        self.spendings.append(done)

    @precondition(lambda self: self.spendings)
    @rule(data=st.data())
    def give_back(self, data):
        """A spending goes back into its lots; those that have burnt since get a grace."""
        done = self.spendings.pop(data.draw(st.integers(0, len(self.spendings) - 1)))
        self._at()
        names = dict(db.session.execute(_LOTS).all())
        restores = []
        for a in done.allocations:
            lot = self.lots[names[a["lot"]]]
            late = lot.ends is not None and lot.ends <= self.now
            lot.left, lot.ends = lot.left + a["amount"], self.now + GRACE if late else lot.ends
            restores.append({**a, "expires_at": lot.ends if late else None})
        self._post("refund_restore", done.amount, PAYABLE, BONUS, restores=restores)

    @precondition(lambda self: self.lots)
    @rule(data=st.data(), amount=st.integers(1, 600))
    def take_back(self, data, amount):
        """The purchase's own lot first, waiting or not, then LOY-3; never below zero (LOY-6)."""
        own = self.lots[data.draw(st.sampled_from(sorted(self.lots)))]
        waiting, free = [lot for lot in [own] if lot.waits], self._free()
        for payer, lots in ((LOCKED, waiting), (BONUS, self._in_order(free, own.key))):
            expected = min(amount, sum(lot.left for lot in lots))
            _, done = self._post("refund_reversal", amount, payer, ISSUANCE, first=own.transaction_id, partial=True)
            assert done.amount == expected
            self._draw(expected, lots)
            amount -= expected
            if not amount:
                return

    @rule(days=st.integers(0, 12))
    def time_passes(self, days):
        """The sweep: waiting lots whose day has come move to bonus, then what is past its date burns."""
        self.now += days * DAY
        for sweep in (service.activate_due, service.expire_due, service.activate_due, service.expire_due):
            self._at()
            sweep()
        for lot in self.lots.values():
            lot.waits = lot.waits and lot.starts > self.now
            if lot.ends is not None and lot.ends <= self.now:
                lot.left = 0

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), other=st.booleans())
    def send_again(self, data, other):
        posting, done = self.sent[data.draw(st.sampled_from(sorted(self.sent)))]
        self._at()
        if other:
            with pytest.raises(IdempotencyMismatch):
                post(Posting(**{**{f: getattr(posting, f) for f in posting.__slots__}, "amount": posting.amount + 1}))
            return
        again = post(posting)
        assert (again.transaction_id, again.replayed, again.amount, again.allocations) == (
            done.transaction_id,
            True,
            done.amount,
            done.allocations,
        )

    @invariant()
    def the_books_agree_with_the_model(self):
        if not hasattr(self, "savepoint"):
            return
        self._at()
        own = {b.type: b for b in queries.balances(ALICE.id)}
        found = tuple(own[kind].posted if kind in own else 0 for kind in ("bonus", "locked"))
        assert found == tuple(
            sum(lot.left for lot in self.lots.values() if lot.waits is waits) for waits in (False, True)
        )
        assert (own["bonus"].spendable if "bonus" in own else 0) == sum(lot.left for lot in self._free())
        assert verify() == []


def test_any_interleaving_keeps_the_books(acting):
    Books.acting = staticmethod(acting)
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
