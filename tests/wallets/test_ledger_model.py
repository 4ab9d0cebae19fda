"""Properties 1 to 3 of the ledger against a small model: any interleaving of earn, spend, expire, take back, give back.

Seen red: `remaining` not reduced for expired lots; replays posting again; take-back drawing below zero.
"""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from sqlalchemy import text

from portal.extensions import db
from portal.kernel.commands import command, journal
from portal.wallets import queries, service
from portal.wallets.errors import InsufficientFunds
from portal.wallets.service import Account, Posting
from portal.wallets.verify import verify
from tests.cast import ALICE, BOB, CAFE, CIRCLE

DAY = timedelta(days=1)


@command("model.post")
def post(posting):
    done = service.post(posting)[0]
    if done.replayed or done.transaction_id is None:
        journal().unchanged()
    return done


class Books(RuleBasedStateMachine):
    """The model: lots as [left, expiry], spendings as {lot: amount}."""

    acting = None

    @initialize()
    def open(self):
        self.context = self.acting(CIRCLE, BOB)
        self.context.__enter__()
        self.now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self.lots, self.spendings, self.sent, self.n = {}, [], {}, 0
        # each example starts from nothing: a savepoint of the test's connection
        self.savepoint = db.engine.begin_nested()
        self._tick(0)

    def teardown(self):
        if hasattr(self, "savepoint"):
            db.session.rollback()
            self.savepoint.rollback()
            self.context.__exit__(None, None, None)

    def _tick(self, days):
        self.now += days * DAY
        db.session.rollback()
        db.session.connection()
        db.session.info["now"] = self.now

    def _key(self):
        self.n += 1
        return f"k{self.n}"

    def _free(self):
        return {k: v for k, v in self.lots.items() if v[0] > 0 and (v[1] is None or v[1] > self.now)}

    def _post(self, posting):
        self._tick(0)
        done = post(posting)
        self._tick(0)
        return done

    @rule(amount=st.integers(1, 500), days=st.one_of(st.none(), st.integers(1, 20)))
    def earn(self, amount, days):
        key, ends = self._key(), None if days is None else self.now + days * DAY
        posting = Posting(type="accrual", source="m", external_id=key, currency="RUB", amount=amount, payer=Account.issuance(CAFE.id),
                          payee=Account.member(ALICE.id), member_id=ALICE.id, expires_at=ends)
        done = self._post(posting)
        self.lots[key] = [amount, ends, done.transaction_id]
        self.sent[key] = (posting, done)

    @rule(amount=st.integers(1, 800))
    def spend(self, amount):
        key = self._key()
        posting = Posting(type="redemption", source="m", external_id=key, currency="RUB", amount=amount, payer=Account.member(ALICE.id),
                          payee=Account.payable(CAFE.id), member_id=ALICE.id)
        free = self._free()
        if sum(v[0] for v in free.values()) < amount:
            self._tick(0)
            with pytest.raises(InsufficientFunds):
                post(posting)
            self._tick(0)
            return
        done = self._post(posting)
        self._draw(amount, sorted(free, key=lambda k: (free[k][1] is None, free[k][1] or self.now, int(k[1:]))))
        self.spendings.append(done)
        self.sent[key] = (posting, done)

    def _draw(self, amount, order):
        for k in order:
            part = min(amount, self.lots[k][0])
            self.lots[k][0] -= part
            amount -= part

    @precondition(lambda self: self.spendings)
    @rule(data=st.data())
    def give_back(self, data):
        done = self.spendings.pop(data.draw(st.integers(0, len(self.spendings) - 1)))
        rows = {r.id: r for r in db.session.execute(text("SELECT l.id, x.external_id, l.expires_at FROM lots l JOIN ledger_transactions x ON x.id = l.source_transaction_id"))}
        restores = []
        for a in done.allocations:
            row = next(r for i, r in rows.items() if str(i) == a["lot"])
            late = row.expires_at is not None and row.expires_at <= self.now
            ends = self.now + 14 * DAY if late else row.expires_at
            restores.append({"lot": a["lot"], "amount": a["amount"], "expires_at": ends if late else None})
            self.lots[row.external_id][0] += a["amount"]
            self.lots[row.external_id][1] = ends
        self._post(Posting(type="refund_restore", source="m", external_id=self._key(), currency="RUB", amount=done.amount,
                           payer=Account.payable(CAFE.id), payee=Account.member(ALICE.id), member_id=ALICE.id, restores=restores))

    @precondition(lambda self: self.lots)
    @rule(data=st.data(), amount=st.integers(1, 600))
    def take_back(self, data, amount):
        own = data.draw(st.sampled_from(sorted(self.lots)))
        free = self._free()
        order = sorted(free, key=lambda k: (k != own, free[k][1] is None, free[k][1] or self.now, int(k[1:])))
        expected = min(amount, sum(v[0] for v in free.values()))
        done = self._post(Posting(type="refund_reversal", source="m", external_id=self._key(), currency="RUB", amount=amount,
                                  payer=Account.member(ALICE.id), payee=Account.issuance(CAFE.id), member_id=ALICE.id,
                                  first=self.lots[own][2], partial=True))
        assert done.amount == expected
        self._draw(expected, order)

    @rule(days=st.integers(0, 12))
    def time_passes_and_lots_expire(self, days):
        self._tick(days)
        service.expire_due()
        self._tick(0)
        for lot in self.lots.values():
            if lot[1] is not None and lot[1] <= self.now:
                lot[0] = 0

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data):
        posting, done = self.sent[data.draw(st.sampled_from(sorted(self.sent)))]
        again = self._post(posting)
        assert (again.transaction_id, again.replayed, again.amount) == (done.transaction_id, True, done.amount)

    @invariant()
    def the_books_agree_with_the_model(self):
        if not hasattr(self, "savepoint"):
            return
        assert queries.balance_of(ALICE.id, "RUB") == sum(v[0] for v in self.lots.values())
        assert queries.spendable(ALICE.id, "RUB") == sum(v[0] for v in self._free().values())
        assert verify() == []


def test_any_interleaving_keeps_the_books(acting):
    Books.acting = staticmethod(acting)
    run_state_machine_as_test(
        Books,
        settings=settings(max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True),
    )
