"""The front door and the member's home."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from portal.home.hello import greeting
from tests.cast import ALICE, BOB, BOOKS, CAFE, CAROL, CIRCLE, EVE, FRANK, IRINA, MALLORY, OLGA
from tests.purchases.shop import buy, seeded


def test_strangers_see_what_this_is_and_where_it_works(visitor):
    page = visitor().get("/")
    assert page.status_code == 200
    for words in (CIRCLE.name, CAFE.name, BOOKS.name, "/join", "/login"):
        assert words in page.text


@pytest.mark.parametrize(
    ("person", "room"),
    [
        (ALICE, "/me"),
        (BOB, "/till/cafe"),
        (CAROL, "/desk/cafe"),
        (IRINA, "/desk/cafe"),
        (OLGA, "/admin"),
        (FRANK, "/admin"),
    ],
)
def test_the_front_door_leads_everybody_to_their_room(sign_in, person, room):
    answer = sign_in(person).get("/")
    assert (answer.status_code, answer.location) == (303, room)


def test_on_the_operators_host_the_front_door_is_the_operators(visitor):
    assert visitor("ops.localhost").get("/").location.endswith(("/tenants", "/login"))


def test_a_new_members_home_says_what_to_do_first(sign_in):
    page = sign_in(ALICE).get("/me")
    assert page.status_code == 200
    assert "No purchases yet" in page.text
    assert "/me/card" in page.text


def test_home_shows_balance_tier_purchases_and_their_reasons(acting, sign_in):
    with acting(CIRCLE, BOB):
        bought = buy(124_000)
        buy(50_000, shop=BOOKS)
        bonus = account()
    page = sign_in(ALICE).get("/me").text
    assert "52<small>.20</small>" in page  # 3 % of 1 240 and of 500
    for words in ("₽1,240.00", "+37.20", "Polka Books", "Bronze", "₽8,260.00 more by"):
        assert words in page
    for reason in (f"/me/wallet/{bonus}/balance", f"/me/purchases/{bought.purchase_id}/why", "/me/why/tier"):
        assert reason in page
        assert sign_in(ALICE).get(reason).status_code == 200


def account(kind="bonus"):
    from portal.extensions import db

    return db.session.scalar(
        text("SELECT id FROM wallet_accounts WHERE owner_kind = 'member' AND type = :kind"), {"kind": kind}
    )


def test_what_waits_and_what_burns_next_stand_under_the_balance(acting, sign_in):
    from portal.kernel import clock
    from portal.kernel.commands import command
    from portal.wallets.service import Account, Posting, post

    with acting(CIRCLE, OLGA):
        soon, later = clock.now() + timedelta(days=9), clock.now() + timedelta(days=30)

        @command("test.give")
        def give():
            for key, kind, amount, starts, ends in (
                ("a", "bonus", 32_000, None, soon),
                ("b", "bonus", 100_000, None, later),
                ("c", "locked", 12_000, soon, None),
            ):
                post(
                    Posting(
                        type="reward", source="test", external_id=key, currency="RUB", amount=amount, member_id=ALICE.id,
                        payer=Account.issuance(), payee=Account.member(ALICE.id, kind), activates_at=starts, expires_at=ends,
                    )
                )  # fmt: skip

        give()
    page = sign_in(ALICE).get("/me").text
    assert "1,320<small>.00</small>" in page
    assert "320.00 burn on" in page
    assert "+120.00 from" in page
    assert "Other balances" not in page
    with acting(CIRCLE, OLGA):
        waiting = account("locked")
    why = sign_in(ALICE).get(f"/me/wallet/{waiting}/balance").text
    assert f"/me/wallet/{waiting}/balance" in page
    assert "can be spent from" in why
    assert ">120.00<" in why.split("Waiting together")[1]


def test_a_refund_lowers_what_a_purchase_shows(acting, sign_in):
    from portal.purchases.refunds import refund_purchase

    with acting(CIRCLE, CAROL):
        refund_purchase(buy(100_000).purchase_id, amount=40_000, external_id="r-1")
    page = sign_in(ALICE).get("/me").text
    assert "₽600.00" in page
    assert "refunded in part" in page
    assert "+18.00" in page


def test_home_takes_twelve_statements_at_most_however_much_was_bought(acting, sign_in, statements):
    client = sign_in(ALICE)
    client.get("/me")  # the tenant is known from here on
    counts = []
    for purchases in (1, 8):
        with acting(CIRCLE, BOB):
            for _ in range(purchases):
                buy(10_000)
        with statements() as seen:
            assert client.get("/me").status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 12


@pytest.mark.parametrize(
    ("hour", "words"), [(4, "Good evening"), (5, "Good morning"), (12, "Good afternoon"), (18, "Good evening")]
)
def test_the_greeting_goes_by_the_members_own_clock(acting, monkeypatch, hour, words):
    from datetime import UTC, datetime
    from types import SimpleNamespace

    moment = datetime(2026, 11, 21, (hour - 9) % 24, 0, tzinfo=UTC)  # Tokyo is nine hours ahead
    monkeypatch.setattr("portal.home.hello.clock.now", lambda: moment)
    with acting(CIRCLE):
        assert greeting(SimpleNamespace(name="Alice Morozova", timezone="Asia/Tokyo")) == f"{words}, Alice"


def test_a_member_of_another_tenant_is_a_stranger_here(sign_in):
    assert sign_in(MALLORY, at=CIRCLE).get("/me").status_code == 303
    assert CAFE.name in sign_in(MALLORY, at=CIRCLE).get("/").text


def test_home_speaks_the_members_language(acting, sign_in):
    page = sign_in(EVE).get("/me")
    assert '<html lang="ru"' in page.text


def test_where_there_is_no_programme_home_says_nothing_of_tiers(acting, sign_in):
    with acting(CIRCLE, BOB):
        seeded("DELETE FROM status_tiers WHERE tenant_id = :t")
        seeded("DELETE FROM tier_programs WHERE tenant_id = :t")
    page = sign_in(ALICE).get("/me")
    assert page.status_code == 200
    assert "/me/why/tier" not in page.text
    assert "no tier programme" in sign_in(ALICE).get("/me/why/tier").text
