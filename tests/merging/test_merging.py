"""D28: two accounts of one person made one, and parted again."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.identity import queries
from portal.identity import service as people
from portal.identity.models import MemberMerge, User
from portal.identity.service import MemberMerged, OwnAccount, ReasonMissing
from portal.kernel import clock
from portal.kernel.commands import command
from portal.kernel.errors import Conflict, NotFound
from portal.loyalty import service as loyalty
from portal.loyalty.progress import progress
from portal.merging import service as merging
from portal.purchases.models import Purchase
from portal.purchases.refunds import refund_purchase
from portal.wallets import service as wallets
from portal.wallets.models import Lot, WalletAccount
from portal.wallets.queries import balances
from portal.wallets.verify import verify
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE, GLOBEX, MALLORY, OLGA
from tests.purchases.shop import balance, buy, seeded, set_shop


@pytest.fixture(autouse=True)
def books_are_right(app, acting):
    yield
    with acting(CIRCLE):
        assert verify() == []


def merged(goes=EVE, stays=ALICE, key="k", reason="the same passport"):
    return merging.merge(goes.id, stays.id, reason=reason, key=key)


def give(member, amount, key, kind="bonus"):
    wallets.adjust(member.id, amount, currency="RUB", reason="a gift", key=key, kind=kind)


@command("test.lot")
def lot(member, amount, key, until=None, *, waits_until=None):
    """Bonus with dates; one that waits is locked until then."""
    wallets.post(
        wallets.Posting(
            type="accrual",
            source="test",
            external_id=key,
            currency="RUB",
            amount=amount,
            payer=wallets.Account.issuance(CAFE.id),
            payee=wallets.Account.member(member.id, "locked" if waits_until else "bonus"),
            member_id=member.id,
            business_id=CAFE.id,
            expires_at=until,
            activates_at=waits_until,
        )
    )


def lots(member):
    """What each lot of a member has left, where it lies, and its dates."""
    statement = (
        select(WalletAccount.type, Lot.remaining, Lot.expires_at, Lot.activates_at, Lot.state)
        .join(Lot, (Lot.account_id == WalletAccount.id) & (Lot.tenant_id == WalletAccount.tenant_id))
        .where(WalletAccount.owner_id == member.id, Lot.remaining > 0)
        .order_by(Lot.remaining)
    )
    return [tuple(row) for row in db.session.execute(statement)]


def tier(member):
    return progress(member.id).tier.code


def leads(member):
    return db.session.scalar(select(User.merged_into).where(User.id == member.id))


def someone(name, **contacts):
    return SimpleNamespace(id=people.register_member(name=name, joined_via="desk", **contacts))


def test_everything_comes_along(acting):
    """Balances are the sums, and every lot is there with its dates."""
    with acting(CIRCLE, OLGA):
        buy(100_000, member=EVE)
        lot(EVE, 5_000, "e", clock.now() + timedelta(days=30))
        give(ALICE, 700, "a")
        had, together = sorted(lots(EVE) + lots(ALICE), key=lambda each: each[1]), balance(EVE) + balance(ALICE)
        merged()
        assert (balance(ALICE), balance(EVE)) == (together, 0)
        assert lots(ALICE) == had
        assert lots(EVE) == []


def test_an_undo_gives_everything_back(acting):
    """Of the very lots, not of those that would be spent first. Red without `first` in the posting."""
    with acting(CIRCLE, OLGA):
        lot(EVE, 5_000, "e", clock.now() + timedelta(days=30))
        lot(ALICE, 700, "a", clock.now() + timedelta(days=2))
        theirs, own = lots(EVE), lots(ALICE)
        made = merged()
        back = merging.undo(made, reason="two sisters")
        assert (lots(EVE), lots(ALICE)) == (theirs, own)
        assert [(part.moved, part.back, part.gone) for part in back] == [(5_000, 5_000, 0)]
        assert merging.undo(made, reason="again") == back


def test_waiting_and_overdue_bonus_keep_their_dates(acting):
    """Lots move whatever their dates: what waits goes on waiting, what burns tonight burns tonight, at the survivor's."""
    with acting(CIRCLE, OLGA):
        now = clock.now()
        lot(EVE, 300, "w", waits_until=now + timedelta(days=3))
        lot(EVE, 900, "soon", now + timedelta(days=2))
        lot(EVE, 400, "late", now - timedelta(hours=1))
        before = lots(EVE)
        merged()
        assert lots(ALICE) == before
        assert lots(EVE) == []
        assert wallets.expire_due() == 1
        assert balance(ALICE) == 900


def test_what_became_spendable_meanwhile_comes_back_too(acting):
    with acting(CIRCLE, OLGA):
        lot(EVE, 300, "w", waits_until=clock.now() - timedelta(hours=1))
        made = merged()
        assert wallets.activate_due() == 1
        assert balance(ALICE) == 300
        merging.undo(made, reason="two sisters")
        assert wallets.activate_due() == 1
        assert (balance(ALICE), balance(EVE)) == (0, 300)


def test_what_was_spent_meanwhile_stays_spent(acting):
    """The survivor pays with bonus that came along: the undo says so and gives back the rest, never the survivor's own."""
    with acting(CIRCLE, OLGA):
        lot(EVE, 5_000, "e", clock.now() + timedelta(days=5))
        lot(ALICE, 2_000, "a", clock.now() + timedelta(days=50))
        made = merged()
        set_shop(max_bonus_share=100, spend_confirmation="none")
        buy(10_000, bonus_to_spend=3_000, lines=[{"name": "gift", "amount": 10_000, "earns": False}])
        row = db.session.get(MemberMerge, (CIRCLE.id, made))
        assert [(part.moved, part.back, part.gone) for part in merging.parts(row)] == [(5_000, 2_000, 3_000)]
        back = merging.undo(made, reason="two sisters")
        assert [part.gone for part in back] == [3_000]
        assert (balance(ALICE), balance(EVE)) == (2_000, 2_000)


def test_every_kind_of_account_moves(acting):
    """`main` too, which has no lots: it comes back as far as the balance reaches."""
    with acting(CIRCLE, OLGA):
        give(EVE, 4_000, "m", "main")
        give(EVE, 50, "p", "points")
        made = merged()
        assert {(b.type, b.posted) for b in balances(ALICE.id) if b.posted} == {("main", 4_000), ("points", 50)}
        give(ALICE, -1_000, "out", "main")
        merging.undo(made, reason="two sisters")
        assert {(b.type, b.posted) for b in balances(EVE.id)} == {("main", 3_000), ("points", 50)}
        assert not any(b.posted for b in balances(ALICE.id))


def test_tiers_are_looked_at_together(acting):
    """What both spent counts as one person's spending; parted, each has their own again."""
    with acting(CIRCLE, OLGA):
        buy(600_000, member=EVE)
        buy(600_000, member=ALICE)
        assert tier(ALICE) == "bronze"
        made = merged()
        assert tier(ALICE) == "silver"
        assert progress(ALICE.id).qualifying == 1_200_000
        merging.undo(made, reason="two sisters")
        assert (tier(ALICE), tier(EVE)) == ("bronze", "bronze")
        assert [progress(one.id).qualifying for one in (ALICE, EVE)] == [600_000, 600_000]


def test_the_better_tier_stays(acting):
    with acting(CIRCLE, OLGA):
        loyalty.set_tier(EVE.id, "gold", reason="founder")
        made = merged()
        assert tier(ALICE) == "gold"
        merging.undo(made, reason="two sisters")
        assert (tier(ALICE), tier(EVE)) == ("bronze", "gold")


def test_contacts_come_where_there_are_none_and_lead_where_there_are(acting):
    """The old card, phone and e-mail name the survivor; signing in by any of them is signing in as the survivor."""
    with acting(CIRCLE, OLGA):
        goes = someone("Alyce Frost", phone="+79990001122", email="alyce@x.example").id
        stays = someone("Alice Frost", email="alice2@x.example").id
        card = db.session.scalar(select(User.card_number).where(User.id == goes))
        made = merging.merge(goes, stays, reason="one person", key="c")
        assert db.session.execute(select(User.email, User.phone).where(User.id == stays)).one() == (
            "alice2@x.example",
            "+79990001122",
        )
        for named in (card, "+79990001122", "alyce@x.example"):
            assert queries.find_member(named).id == stays
        assert queries.account("alyce@x.example").id == stays
        assert queries.member(goes).id == stays
        merging.undo(made, reason="two people")
        assert queries.find_member("+79990001122").id == goes
        assert queries.find_member("alyce@x.example").id == goes
        assert queries.find_member(card).id == goes


def test_a_sale_to_the_old_account_is_the_survivors(acting):
    """The till had the old one on its screen, or comes back from a day offline; the key is replayed all the same."""
    with acting(CIRCLE, OLGA):
        first = buy(50_000, member=EVE, key="once")
        merged()
        again = buy(50_000, member=ALICE, key="once")
        assert again.replayed
        assert again.purchase_id == first.purchase_id
        assert buy(50_000, member=EVE, key="once").replayed
        buy(10_000, member=EVE, key="after")
        assert db.session.scalar(select(Purchase.member_id).where(Purchase.external_id == "after")) == ALICE.id


def test_a_refund_of_the_old_ones_purchase_is_the_survivors(acting):
    """Bonus comes back as a lot alike to the survivor, since the lots that paid are another account's."""
    with acting(CIRCLE, OLGA):
        set_shop(max_bonus_share=100, spend_confirmation="none")
        until = clock.now() + timedelta(days=9)
        lot(EVE, 5_000, "e", until)
        sold = buy(10_000, member=EVE, bonus_to_spend=3_000)
        had = balance(EVE)
        merged()
        done = refund_purchase(sold.purchase_id, external_id="r1")
        assert done.bonus_given_back == 3_000
        assert balance(ALICE) == had + 3_000 - done.bonus_taken_back
        assert balance(EVE) == 0
        assert (3_000, until) in [(left, day) for _, left, day, _, _ in lots(ALICE)]


def test_two_merges_into_one_lead_there_at_once(acting):
    """Nobody follows a chain: who led to the one that goes leads to the survivor; undone in turn, all is as it was."""
    with acting(CIRCLE, OLGA):
        give(EVE, 100, "1")
        give(ALICE, 1, "3")
        between = someone("Evelyn Sokolova")
        first, second = merged(EVE, between, "1"), merged(between, ALICE, "2")
        assert {leads(EVE), leads(between)} == {ALICE.id}
        assert balance(ALICE) == 101
        with pytest.raises(MemberMerged):
            merging.undo(first, reason="no")
        merging.undo(second, reason="no")
        assert (leads(EVE), leads(between)) == (between.id, None)
        merging.undo(first, reason="no")
        assert (balance(EVE), balance(between), balance(ALICE)) == (100, 0, 1)


def test_nothing_reaches_an_account_that_is_gone(acting):
    with acting(CIRCLE, OLGA):
        give(EVE, 100, "1")
        merged()
        with pytest.raises(MemberMerged):
            give(EVE, 100, "2")
        with pytest.raises(MemberMerged):
            people.suspend(EVE.id, reason="why")
        assert balance(EVE) == 0


def test_what_is_refused(acting):
    with acting(CIRCLE, OLGA):
        with pytest.raises(merging.SameMember):
            merged(ALICE, ALICE)
        with pytest.raises(ReasonMissing):
            merged(reason=" ")
        with pytest.raises(OwnAccount):
            merged(ALICE, OLGA)
        with pytest.raises(merging.OnStaff):
            merged(BOB, ALICE)
        with pytest.raises(NotFound):
            merged(MALLORY, ALICE)
        with pytest.raises(NotFound):
            merged(ALICE, MALLORY)
        made, third = merged(key="k"), someone("Third One")
        assert merged(key="k") == made
        with pytest.raises(Conflict):
            merged(third, ALICE)
        with pytest.raises(MemberMerged):
            merged(key="other")
        with pytest.raises(MemberMerged):
            merged(ALICE, EVE, key="back")
        with pytest.raises(MemberMerged):
            merged(third, EVE, key="into one that is gone")


def test_after_seven_days_it_stays(acting):
    with acting(CIRCLE, OLGA):
        made = merged()
        seeded("UPDATE member_merges SET undo_until = :at WHERE tenant_id = :t", at=clock.now())
        with pytest.raises(merging.TooLate):
            merging.undo(made, reason="late")


def test_another_tenant_knows_no_such_merge(acting):
    with acting(CIRCLE, OLGA):
        made = merged()
    with acting(GLOBEX, MALLORY), pytest.raises(NotFound):
        merging.undo(made, reason="mine")
