"""The member's wallet: accounts, statement, reasons, what burns when."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command
from portal.purchases.refunds import refund_purchase
from portal.wallets import burning
from portal.wallets.service import Account, Posting, adjust, expire_due, post
from tests.cast import ALICE, BOB, BOOKS, CAROL, CIRCLE, EVE, GLOBEX, MALLORY, OLGA, TRENT
from tests.purchases.shop import buy


@command("test.give")
def give(amount, key, *, member=ALICE, kind="bonus", currency="RUB", expires_at=None, activates_at=None):
    """Bonus out of nowhere, with dates."""
    return post(
        Posting(
            type="reward", source="test", external_id=key, currency=currency, amount=amount, member_id=member.id,
            payer=Account.issuance(), payee=Account.member(member.id, kind), expires_at=expires_at, activates_at=activates_at,
        )
    )  # fmt: skip


def entry_of(kind, member=ALICE, nth=0):
    """The id of a member's entry by its posting's type."""
    return db.session.scalars(
        text(
            "SELECT e.id FROM ledger_entries e JOIN ledger_transactions x ON x.id = e.transaction_id"
            " WHERE x.type = :kind AND e.member_id = :member ORDER BY e.seq"
        ),
        {"kind": kind, "member": member.id},
    ).all()[nth]


def account_of(member=ALICE, kind="bonus", currency="RUB"):
    return db.session.scalar(
        text("SELECT id FROM wallet_accounts WHERE owner_id = :member AND type = :kind AND currency = :currency"),
        {"member": member.id, "kind": kind, "currency": currency},
    )


@pytest.fixture
def story(acting):
    """Alice buys twice, spends, gets a part back, is corrected: 37.20 + 15 − 30 + 12 (of 21 spent) … as in the tests."""
    with acting(CIRCLE, CAROL):
        first = buy(124_000, receipt_number="A-1")
        buy(50_000, shop=BOOKS, receipt_number="B-7")
        third = buy(10_000, bonus_to_spend=3_000, receipt_number="A-2")
        adjust(ALICE.id, 1_000, currency="RUB", reason="A birthday", key="adj-1")
    return first, third


def lines(client, query=""):
    """The statement's lines as the CSV of the same address has them."""
    answer = client.get(f"/me/wallet?format=csv{query}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def test_the_sheet_for_paper_adds_up_the_oldest_first(story, sign_in):
    """What was there before, both sums and what is there after; with a filter no balances are claimed."""
    client = sign_in(ALICE)
    page = client.get("/me/wallet?format=paper").text
    sums = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr><td colspan.*?</tr>", page)]
    assert sums == [["Before", "0.00"], ["Received", "64.30"], ["Spent", "and", "burnt", "−30.00"], ["After", "34.30"]]
    assert page.index("37.20") < page.index("A birthday")
    assert 'aria-label="Main"' not in page
    part = client.get("/me/wallet?format=paper&f.direction=in").text
    assert "these are not all movements" in part
    assert ">After<" not in part
    assert sign_in(EVE).get("/me/wallet?format=paper").status_code == 200


def test_a_new_members_wallet_says_where_the_first_bonus_comes_from(sign_in):
    page = sign_in(ALICE).get("/me/wallet")
    assert page.status_code == 200
    assert "No movements yet" in page.text
    assert sign_in(ALICE).get("/me/wallet?format=csv").status_code == 200


def test_the_statement_runs_from_line_to_line(story, sign_in):
    client = sign_in(ALICE)
    found = lines(client)
    assert [(row["Kind"], row["Amount"], row["Balance"]) for row in found] == [
        ("Correction", "10.00", "34.30"),
        ("Bonus earned", "2.10", "24.30"),
        ("Paid with bonus", "-30.00", "22.20"),
        ("Bonus earned", "15.00", "52.20"),
        ("Bonus earned", "37.20", "37.20"),
    ]
    assert found[0]["How it was reckoned"] == "A birthday"
    assert found[2]["How it was reckoned"] == ""  # the formula of the same purchase's bonus is not this line's
    assert found[4]["How it was reckoned"] == "floor(1,240.00 × 3%) = 37.20"
    assert found[4]["Receipt"] == "A-1"
    page = client.get("/me/wallet").text
    for words in ("floor(1,240.00 × 3%) = 37.20", "A birthday", "−30.00", "34<small>.30</small>"):
        assert words in page


@pytest.mark.parametrize(
    ("query", "kinds", "last_balance"),
    [
        ("&f.direction=out", ["Paid with bonus"], "22.20"),
        ("&f.direction=in", ["Correction", "Bonus earned", "Bonus earned", "Bonus earned"], "34.30"),
        ("&f.type=adjustment", ["Correction"], "34.30"),
        ("&f.business=books", ["Bonus earned"], "52.20"),
        ("&f.business=books&f.type=redemption", [], None),
        ("&f.period=month", ["Correction", "Bonus earned", "Paid with bonus", "Bonus earned", "Bonus earned"], "34.30"),
        (
            "&f.period=nonsense&f.direction=nonsense",
            ["Correction", "Bonus earned", "Paid with bonus", "Bonus earned", "Bonus earned"],
            "34.30",
        ),
        ("&f.business=%00&f.type=' OR 1=1 --", [], None),
    ],
)
def test_filters_hide_lines_and_keep_the_balance_true(story, sign_in, query, kinds, last_balance):
    client = sign_in(ALICE)
    found = lines(client, query)
    assert [row["Kind"] for row in found] == kinds
    if found:
        assert found[0]["Balance"] == last_balance
        assert client.get(f"/me/wallet?{query[1:]}").status_code == 200
    else:
        assert "Nothing matches" in client.get(f"/me/wallet?{query[1:]}").text


def test_an_old_line_is_outside_the_period(acting, sign_in):
    with acting(CIRCLE, CAROL):
        buy(100_000, occurred_at=clock.now() - timedelta(days=40), historical=True)
        buy(200_000)
    client = sign_in(ALICE)
    assert [row["Amount"] for row in lines(client, "&f.period=month")] == ["60.00"]
    assert [row["Balance"] for row in lines(client)] == ["90.00", "30.00"]


def test_a_purchase_that_came_late_stands_on_its_day_and_the_balance_follows(acting, sign_in):
    with acting(CIRCLE, CAROL):
        buy(100_000)
        buy(200_000, occurred_at=clock.now() - timedelta(hours=50))
    assert [(row["Amount"], row["Balance"]) for row in lines(sign_in(ALICE))] == [
        ("30.00", "90.00"),
        ("60.00", "60.00"),
    ]


def test_pages_go_on_where_they_ended_and_count_alike(acting, sign_in, statements):
    """Seen red without a second key of the page: of 45 lines of one moment only the first 20 were ever shown."""
    import re

    with acting(CIRCLE, CAROL):
        moment = clock.now() - timedelta(hours=1)
        for n in range(45):
            buy(10_000 + n * 1_000, occurred_at=moment, key=f"same-{n}")
    client = sign_in(ALICE)
    client.get("/me/wallet")  # the tenant is known from here on
    seen, url, counts = [], "/me/wallet", []
    while url:
        with statements() as made:
            page = client.get(url)
        counts.append(len(made))
        seen += re.findall(r"/me/wallet/entries/([0-9a-f-]{36})", page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        url = following[1].replace("&amp;", "&") if following else None
    assert len(seen) == len(set(seen)) == 45
    assert len(counts) == 3
    assert max(counts) <= 8


def test_a_download_cannot_be_run_as_a_formula(acting, sign_in):
    with acting(CIRCLE, OLGA):
        adjust(ALICE.id, 100, currency="RUB", reason="=cmd|' /C calc'!A0", key="f-1")
    assert lines(sign_in(ALICE))[0]["How it was reckoned"] == "'=cmd|' /C calc'!A0"


# ── why ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_why_of_a_purchase_shows_its_formula_and_what_became_of_it(story, acting, sign_in):
    with acting(CIRCLE, CAROL):
        earned, spent = entry_of("accrual"), entry_of("redemption")
    page = sign_in(ALICE).get(f"/me/wallet/entries/{earned}").text
    for words in ("₽1,240.00 × 3%", "receipt A-1", "What became of it", "−30.00", "receipt A-2", ">7.20<"):
        assert words in page
    assert f"/me/wallet/entries/{spent}" in page


def test_why_of_a_spending_shows_which_purchases_gave_the_bonus(acting, sign_in):
    """Seen red with the account's other lots joined in: a purchase that gave nothing was named too."""
    with acting(CIRCLE, CAROL):
        buy(100_000, receipt_number="A-1")
        buy(100_000, shop=BOOKS, receipt_number="B-1")
        buy(100_000, receipt_number="A-9")
        buy(20_000, bonus_to_spend=4_000, receipt_number="A-2")
        spent, first, second = entry_of("redemption"), entry_of("accrual"), entry_of("accrual", nth=1)
        third = entry_of("accrual", nth=2)
    page = sign_in(ALICE).get(f"/me/wallet/entries/{spent}").text
    for words in ("receipt A-1", "receipt B-1", "−30.00", "−10.00", "−40.00"):
        assert words in page
    assert f"/me/wallet/entries/{first}" in page
    assert f"/me/wallet/entries/{second}" in page
    assert f"/me/wallet/entries/{third}" not in page


def test_why_after_a_refund_names_the_lot_that_lost_and_the_lot_that_got_back(acting, sign_in):
    with acting(CIRCLE, CAROL):
        buy(100_000, receipt_number="A-1")
        bought = buy(20_000, bonus_to_spend=2_000, receipt_number="A-2")
        refund_purchase(bought.purchase_id, amount=20_000, external_id="r-1")
        back, taken = entry_of("refund_restore"), entry_of("refund_reversal")
    client = sign_in(ALICE)
    page = client.get(f"/me/wallet/entries/{back}").text
    assert "receipt A-1" in page
    assert "+20.00" in page
    page = client.get(f"/me/wallet/entries/{taken}").text
    assert "receipt A-2" in page
    assert "−5.40" in page


def test_what_burnt_says_where_it_came_from(acting, sign_in):
    with acting(CIRCLE, CAROL):
        give(5_000, "old", expires_at=clock.now() - timedelta(days=1), activates_at=clock.now() - timedelta(days=9))
        expire_due()
        burnt = entry_of("expiry")
    client = sign_in(ALICE)
    page = client.get(f"/me/wallet/entries/{burnt}").text
    for words in ("Burnt", "−50.00", "Reward"):
        assert words in page
    assert 'Burnt</dt><dd class="num font-semibold mt-0.5">50.00' in client.get("/me/wallet").text


def test_why_of_a_balance_lists_its_lots_in_the_order_of_spending(acting, sign_in):
    with acting(CIRCLE, CAROL):
        give(20_000, "late", expires_at=clock.now() + timedelta(days=30))
        give(10_000, "soon", expires_at=clock.now() + timedelta(days=3))
        account = account_of()
    page = sign_in(ALICE).get(f"/me/wallet/{account}/balance").text
    assert page.index(">100.00<") < page.index(">200.00<") < page.index("Can be spent now")
    assert "300.00" in page


def test_a_reason_comes_as_a_slip_for_htmx(story, acting, sign_in):
    with acting(CIRCLE, CAROL):
        earned = entry_of("accrual")
    answer = sign_in(ALICE).get(f"/me/wallet/entries/{earned}", headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert 'class="trace"' in answer.text


def test_nobody_sees_anothers_entry_or_account(story, acting, visitor, sign_in):
    """Seen red with the entry looked up by its id alone."""
    with acting(CIRCLE, CAROL):
        entry, account = entry_of("accrual"), account_of()
    addresses = (f"/me/wallet/entries/{entry}", f"/me/wallet/{account}", f"/me/wallet/{account}/balance")
    for url in addresses:
        assert sign_in(ALICE).get(url).status_code == 200
        for stranger in (EVE, OLGA, BOB):
            assert sign_in(stranger).get(url).status_code == 404
        for foreign in (MALLORY, TRENT):
            assert sign_in(foreign).get(url).status_code == 404
            assert sign_in(foreign, at=CIRCLE).get(url).status_code == 303
        assert visitor().get(url).status_code == 303
    assert sign_in(TRENT, at=GLOBEX).get("/me/wallet").status_code == 200


# ── accounts and what burns when ────────────────────────────────────────────────────────────────────────────────────


def test_other_accounts_stand_beside_and_have_their_own_statement(acting, sign_in):
    with acting(CIRCLE, CAROL):
        buy(100_000)
        give(7_000, "w", kind="locked", activates_at=clock.now() + timedelta(days=5))
        give(250, "p", kind="points", currency="PTS")
        waiting, points = account_of(kind="locked"), account_of(kind="points", currency="PTS")
    client = sign_in(ALICE)
    page = client.get("/me/wallet").text
    assert "Waiting bonus" in page
    assert 'Waiting</dt><dd class="num font-semibold mt-0.5">70.00' in page
    assert "30<small>.00</small>" in page
    own = client.get(f"/me/wallet/{points}").text
    assert '<span class="figure text-6xl">250</span>' in own
    assert "+250" in own
    assert "+30.00" not in own
    assert "70<small>.00</small>" in client.get(f"/me/wallet/{waiting}").text


def test_the_calendar_marks_the_days_that_burn(acting, sign_in):
    with acting(CIRCLE, CAROL):
        soon = clock.now() + timedelta(days=2)
        give(10_000, "a", expires_at=soon)
        give(3_000, "b", expires_at=soon + timedelta(minutes=1))
        give(2_000, "c", expires_at=soon + timedelta(days=70))
    page = sign_in(ALICE).get("/me/wallet").text
    assert ">130.00<" in page
    assert 'href="#burns-' in page
    assert page.count('id="burns-') == 2
    later = f"{(soon + timedelta(days=70)).astimezone(ZoneInfo('Europe/Moscow')):%Y-%m}"
    assert "20.00 burn" in sign_in(ALICE).get(f"/me/wallet?month={later}").text


class Row:
    def __init__(self, expires_at, amount):
        self.expires_at, self.amount = expires_at, amount


def test_a_day_is_the_readers_day():
    midnight = datetime(2026, 11, 30, 21, 0, tzinfo=UTC)  # 1 December in Moscow
    assert list(burning.by_day([Row(midnight, 5)], "Europe/Moscow")) == [datetime(2026, 12, 1).date()]
    assert list(burning.by_day([Row(midnight, 5)], "America/New_York")) == [datetime(2026, 11, 30).date()]


@pytest.mark.parametrize("wanted", ["", "2026-13", "x", "0000-01", "2026-11", "2020-01", "9999-12"])
def test_a_month_that_is_none_or_past_is_this_month(acting, wanted):
    today = datetime(2026, 11, 21).date()
    with acting(CIRCLE):
        shown = burning.month({today: 4_500}, wanted, today, "RUB")
    assert (shown.first.year, shown.first.month, shown.before, shown.after) == (2026, 11, None, "2026-12")
    assert shown.total == 4_500


def test_an_empty_month_is_passed_over(acting):
    today = datetime(2026, 11, 21).date()
    with acting(CIRCLE):
        assert (
            burning.month({today.replace(day=2): 1, datetime(2027, 7, 1).date(): 5}, "", today, "RUB").after
            == "2027-08"
        )


def test_months_turn_over_the_year(acting):
    with acting(CIRCLE):
        shown = burning.month({}, "2026-12", datetime(2026, 11, 21).date(), "RUB")
    assert (shown.before, shown.after) == ("2026-11", "2027-01")
    assert len(shown.weekdays) == 7
    assert all(len(week) == 7 for week in shown.weeks)
