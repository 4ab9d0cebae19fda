"""The ledger as members feel it: LOY-1 to LOY-6, WAL-2 to WAL-4, WAL-7, D14 to D19.

Seen red, each by taking one guard out of `migrations/sql/ledger.sql`: the comparison of the request hash, the dates of a
lot in what may be spent, the shortfall after drawing lots, the cap of a partial take-back, the conflict clause of a batch.
"""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command, journal
from portal.kernel.journal import WriteOutsideCommand
from portal.wallets import queries, service
from portal.wallets.errors import IdempotencyMismatch, InsufficientFunds, InvalidAmount
from portal.wallets.service import Account, Accrual, Posting
from portal.wallets.verify import verify
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE

DAY = timedelta(days=1)


def given(member, amount, key, **more):
    return Posting(
        type="accrual",
        source="test",
        external_id=key,
        currency="RUB",
        amount=amount,
        payer=Account.issuance(CAFE.id),
        payee=Account.member(member.id),
        member_id=member.id,
        business_id=CAFE.id,
        **more,
    )


def spent(member, amount, key, **more):
    return Posting(
        type="redemption",
        source="test",
        external_id=key,
        currency="RUB",
        amount=amount,
        payer=Account.member(member.id),
        payee=Account.payable(CAFE.id),
        member_id=member.id,
        business_id=CAFE.id,
        **more,
    )


@command("test.post")
def post(*postings):
    done = service.post(*postings)
    if all(d.replayed for d in done):
        journal().unchanged()
    return done


@pytest.fixture(autouse=True)
def books_are_right(app, acting):
    yield
    with acting(CIRCLE):
        assert verify() == []


def balance(member):
    return queries.balance_of(member.id, "RUB")


def test_bonus_given_can_be_spent_and_both_sides_are_booked(acting):
    with acting(CIRCLE, BOB):
        done = post(given(ALICE, 1000, "g1"), spent(ALICE, 300, "s1"))
        assert (done[0].payee_balance, done[1].payer_balance) == (1000, 700)
        assert balance(ALICE) == 700
        assert queries.business_balance(CAFE.id, "RUB", "issuance") == -1000
        assert queries.business_balance(CAFE.id, "RUB", "payable") == 300


def test_nobody_spends_what_is_not_there(acting):
    """Red when the sum of the allocation is not compared with the amount."""
    with acting(CIRCLE, BOB):
        post(given(ALICE, 100, "g1"))
        with pytest.raises(InsufficientFunds):
            post(spent(ALICE, 101, "s1"))
        assert balance(ALICE) == 100


def test_the_same_key_and_content_is_one_movement_and_other_content_is_refused(acting):
    with acting(CIRCLE, BOB):
        first = post(given(ALICE, 500, "g1"))[0]
        again = post(given(ALICE, 500, "g1"))[0]
        assert (again.transaction_id, again.replayed, balance(ALICE)) == (first.transaction_id, True, 500)
        with pytest.raises(IdempotencyMismatch) as refused:
            post(given(ALICE, 501, "g1"))
        assert refused.value.extra["fields"] == ["amount"]
        assert balance(ALICE) == 500


@pytest.mark.parametrize("amount", [0, -5])
def test_an_amount_must_be_above_zero(acting, amount):
    with acting(CIRCLE, BOB), pytest.raises(InvalidAmount):
        post(given(ALICE, amount, "g1"))


def test_what_burns_first_is_spent_first(acting):
    """LOY-3: priority, granted before bought, earliest expiry, NULLS LAST, age."""
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(
            given(ALICE, 10, "forever"),
            given(ALICE, 10, "late", expires_at=at + 9 * DAY),
            given(ALICE, 10, "soon", expires_at=at + DAY),
            given(ALICE, 10, "first", priority=1),
            given(ALICE, 10, "bought", priority=1, granted=False),
        )
        names = {}
        for row in queries.lots_of(queries.balances(ALICE.id)[0].account_id):
            names[str(row.id)] = db.session.execute(
                text("SELECT external_id FROM ledger_transactions WHERE id = :i"), {"i": row.transaction_id}
            ).scalar()
        taken = post(spent(ALICE, 45, "s1"))[0].allocations
        assert [(names[a["lot"]], a["amount"]) for a in sorted(taken, key=lambda a: -a["amount"])][-1] == ("forever", 5)
        assert {names[a["lot"]] for a in taken} == {"first", "bought", "soon", "late", "forever"}
        assert [names[str(r.id)] for r in queries.lots_of(queries.balances(ALICE.id)[0].account_id)] == ["forever"]


def test_bonus_past_its_date_or_not_yet_active_cannot_be_spent(acting):
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(
            given(ALICE, 50, "old", occurred_at=at - 9 * DAY, expires_at=at - DAY),
            given(ALICE, 70, "soon", activates_at=at + DAY),
        )
        with pytest.raises(InsufficientFunds):
            post(spent(ALICE, 1, "s1"))
        own = queries.balances(ALICE.id)[0]
        assert (own.posted, own.spendable, own.pending) == (120, 0, 70)


def test_expired_bonus_goes_to_breakage_once(acting):
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(given(ALICE, 50, "old", occurred_at=at - 9 * DAY, expires_at=at - DAY), given(ALICE, 30, "fresh"))
        assert service.expire_due() == 1
        assert service.expire_due() == 0
        assert balance(ALICE) == 30


def test_waiting_bonus_becomes_spendable_and_keeps_its_expiry(acting, seed):
    """D14: locked → bonus by the activation run, once."""
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(
            Posting(
                type="accrual",
                source="test",
                external_id="p",
                currency="RUB",
                amount=80,
                payer=Account.issuance(CAFE.id),
                payee=Account.member(ALICE.id, "locked"),
                member_id=ALICE.id,
                activates_at=at + DAY,
                expires_at=at + 5 * DAY,
            )
        )
        assert service.activate_due() == 0
    with acting(CIRCLE, BOB):
        db.session.connection()
        db.session.info["now"] = at + 2 * DAY
        assert service.activate_due() == 1
    with acting(CIRCLE, BOB):
        own = {b.type: b for b in queries.balances(ALICE.id)}
        assert (own["locked"].posted, own["bonus"].posted, own["bonus"].next_expiry) == (0, 80, at + 5 * DAY)


def test_spent_bonus_goes_back_into_its_lots(acting):
    """LOY-6: the same lots with their own expiry."""
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(given(ALICE, 40, "a", expires_at=at + DAY), given(ALICE, 40, "b", expires_at=at + 2 * DAY))
        used = post(spent(ALICE, 60, "s"))[0]
        post(
            Posting(
                type="refund_restore",
                source="test",
                external_id="back",
                currency="RUB",
                amount=60,
                payer=Account.payable(CAFE.id),
                payee=Account.member(ALICE.id),
                member_id=ALICE.id,
                restores=used.allocations,
            )
        )
        own = queries.balances(ALICE.id)[0]
        assert (own.posted, own.spendable, own.expiring) == (80, 80, 40)


def test_take_back_starts_with_the_purchases_own_lot_and_stops_at_nothing(acting):
    """LOY-6 within_balance: never below zero, what is missing is told."""
    with acting(CIRCLE, BOB):
        at = clock.now()
        post(given(ALICE, 30, "other", expires_at=at + DAY))
        own = post(given(ALICE, 50, "own", expires_at=at + 9 * DAY))[0]
        back = Posting(
            type="refund_reversal",
            source="test",
            external_id="r1",
            currency="RUB",
            amount=20,
            payer=Account.member(ALICE.id),
            payee=Account.issuance(CAFE.id),
            member_id=ALICE.id,
            first=own.transaction_id,
            partial=True,
        )
        taken = post(back)[0]
        left = {r.transaction_id: r.remaining for r in queries.lots_of(queries.balances(ALICE.id)[0].account_id)}
        assert (taken.amount, left[own.transaction_id]) == (20, 30)
        more = post(
            Posting(
                type="refund_reversal",
                source="test",
                external_id="r2",
                currency="RUB",
                amount=500,
                payer=Account.member(ALICE.id),
                payee=Account.issuance(CAFE.id),
                member_id=ALICE.id,
                first=own.transaction_id,
                partial=True,
            )
        )[0]
        assert (more.amount, balance(ALICE)) == (60, 0)


def test_history_comes_in_bulk_with_its_expired_part_written_off(acting):
    """D27: lots past their date are expired with the breakage pair in the same batch; a second run changes nothing."""

    @command("test.batch")
    def batch(rows):
        return service.post_batch(rows, currency="RUB", business_id=CAFE.id, source="purchase")

    with acting(CIRCLE, BOB):
        at = clock.now()
        rows = [
            Accrual(
                external_id=f"p{n}",
                member_id=who.id,
                amount=10 + n,
                occurred_at=at - 400 * DAY,
                expires_at=at - DAY if n == 1 else None,
            )
            for n, who in enumerate([ALICE, ALICE, EVE, ALICE])
        ]
        assert batch(rows).posted == 4
        assert (batch(rows).posted, batch(rows).skipped) == (0, ["p0", "p1", "p2", "p3"])
        assert (balance(ALICE), balance(EVE)) == (10 + 13, 12)
        assert service.fold_lazy() >= 0
        assert queries.business_balance(CAFE.id, "RUB", "issuance") == -46


def test_an_admins_adjustment_needs_a_reason_and_happens_once(acting):
    with acting(CIRCLE, BOB):
        service.adjust(ALICE.id, 250, currency="RUB", reason="Goodwill", key="k1")
        service.adjust(ALICE.id, 250, currency="RUB", reason="Goodwill", key="k1")
        service.adjust(ALICE.id, -50, currency="RUB", reason="Typo", key="k2")
        assert balance(ALICE) == 200


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET amount = 1",
        "DELETE FROM ledger_entries",
        "UPDATE wallet_accounts SET posted = 9",
        "DELETE FROM lots",
        "INSERT INTO lot_allocations (tenant_id) SELECT tenant_id FROM lot_allocations",
        "UPDATE ledger_transactions SET amount = 1",
        "SELECT ledger.post_one(NULL, '{}', NULL, NULL, clock_timestamp())",
    ],
)
def test_the_application_cannot_write_the_books_itself(acting, statement):
    @command("test.forge")
    def forge():
        db.session.execute(text(statement))

    with acting(CIRCLE, BOB):
        post(given(ALICE, 10, "g"))
        with pytest.raises(DBAPIError, match="permission denied"):
            forge()


def test_postings_outside_a_command_are_refused(acting):
    with acting(CIRCLE, BOB), pytest.raises(WriteOutsideCommand):
        service.post(given(ALICE, 10, "g"))
