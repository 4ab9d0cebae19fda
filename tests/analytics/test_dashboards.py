"""GET /desk/<business> and /admin: what the counter rings up stands there at once; ClickHouse tells of the weeks."""

import re
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from portal.analytics import clickhouse
from portal.extensions import db
from portal.purchases.refunds import refund_purchase
from portal.settings import settings
from tests.cast import ALICE, BOB, BOOKS, BORIS, CAFE, CAROL, CIRCLE, ED, EVE, IRINA, MALLORY, OLGA, SAM
from tests.purchases.shop import buy

HTMX = {"HX-Request": "true"}


@pytest.fixture
def trade(acting, deliver):
    """Three weeks at the café, and a day at the bookshop."""
    now = datetime.now(UTC)
    with acting(CIRCLE, BOB):
        for n in range(1, 21):
            buy(100_000, occurred_at=now - timedelta(days=n), historical=True)
        buy(50_000, member=EVE, till="1")
        spent = buy(20_000, member=ALICE, bonus_to_spend=5_000)
        refund_purchase(spent.purchase_id, amount=10_000, external_id="r1")
    with acting(CIRCLE, BORIS):
        buy(70_000, member=EVE, shop=BOOKS)
    deliver()


def parts(page):
    """The addresses at which the parts of a page ask again."""
    return [url.replace("&amp;", "&") for url in re.findall(r'hx-get="([^"]+)"', page.text) if "part=" in url]


def test_the_desk_shows_today_the_weeks_and_the_cost(trade, sign_in):
    page = sign_in(IRINA).get("/desk/cafe")
    assert page.status_code == 200
    assert "₽600.00" in page.text  # 500 + 200 - 100
    assert "charts as of" in page.text
    assert "Show numbers" in page.text
    assert "Eve Sokolova" in page.text
    for period in ("week", "quarter", "nonsense"):
        assert sign_in(IRINA).get(f"/desk/cafe?period={period}").status_code == 200


def test_a_purchase_stands_on_both_dashboards_at_the_next_look(trade, acting, sign_in):
    """Within five seconds: the page asks every four, PostgreSQL answers; ClickHouse has not heard of it yet."""
    irina, olga = sign_in(IRINA), sign_in(OLGA)
    desk, admin = irina.get("/desk/cafe"), olga.get("/admin")
    looks = {irina: parts(desk), olga: parts(admin)}
    assert all(len(found) == 2 for found in looks.values())
    for client, urls in looks.items():
        for url in urls:
            assert client.get(url, headers=HTMX).status_code == 204, "nothing has happened, nothing moves"
    with acting(CIRCLE, BOB):
        buy(12_345, member=EVE)
    for client, (today, period) in looks.items():
        again = client.get(today, headers=HTMX)
        assert again.status_code == 200
        assert "<html" not in again.text
        assert again.headers["ETag"]
        assert client.get(today, headers={**HTMX, "If-None-Match": again.headers["ETag"]}).status_code == 304
        assert client.get(period, headers=HTMX).status_code == 200  # today's bar is PostgreSQL's
    fragment = irina.get(looks[irina][0], headers=HTMX).text
    assert "₽723.45" in fragment
    assert 'hx-swap-oob="true"' in fragment
    assert "₽123.45" in fragment


def test_only_those_who_may(trade, sign_in, visitor):
    for person, desk, admin in (
        (IRINA, 200, 403),
        (CAROL, 200, 403),
        (BOB, 403, 403),
        (BORIS, 403, 403),
        (EVE, 403, 403),
        (OLGA, 200, 200),
        (SAM, 403, 200),
        (ED, 403, 200),
    ):
        assert sign_in(person).get("/desk/cafe").status_code == desk, person.name
        assert sign_in(person).get("/admin").status_code == admin, person.name
        assert sign_in(person).get("/desk/cafe/why").status_code == desk, person.name
    assert sign_in(MALLORY).get("/desk/cafe").status_code == 200  # her own café, with nothing of the other one
    assert "Eve" not in sign_in(MALLORY).get("/desk/cafe").text
    assert visitor().get("/admin").status_code in {302, 303, 401}


def test_a_dashboard_takes_at_most_twelve_statements(trade, sign_in, statements):
    """L2: and asks ClickHouse with no connection of PostgreSQL in its hand."""
    for person, url in ((IRINA, "/desk/cafe"), (OLGA, "/admin"), (OLGA, "/admin/why?figure=active")):
        client = sign_in(person)
        client.get(url)
        with statements() as seen:
            assert client.get(url).status_code == 200
        assert len(seen) <= 12, seen
        for part in parts(client.get(url)):
            with statements() as seen:
                client.get(part, headers=HTMX)
            assert len(seen) <= 12, seen


def test_every_figure_says_what_it_counts(trade, sign_in):
    irina, olga = sign_in(IRINA), sign_in(OLGA)
    for figure in ("sales", "purchases", "given", "spent", "new", "cost"):
        assert irina.get(f"/desk/cafe/why?figure={figure}").status_code == 200
    for figure in ("sales", "purchases", "given", "members", "used", "liability", "active"):
        page = olga.get(f"/admin/why?figure={figure}", headers=HTMX)
        assert page.status_code == 200
        assert "trace" in page.text
    assert irina.get("/desk/cafe/why?figure=nonsense").status_code == 404
    for page in (irina.get("/desk/cafe"), olga.get("/admin")):
        for url in set(re.findall(r'class="why [^"]*" href="([^"]+)"', page.text)):
            assert (irina if "desk" in url else olga).get(url).status_code == 200


def test_the_figures_agree_with_the_ledger_and_the_books(trade, acting, sign_in):
    from portal.analytics.today import costs, today, totals

    with acting(CIRCLE):
        now, cost, sums = today(CAFE.id), costs(CAFE.id, "RUB"), totals("RUB")
        held = db.session.execute(
            text("SELECT sum(posted) FROM wallet_accounts WHERE owner_kind = 'member' AND type IN ('bonus', 'locked')")
        ).scalar()
        row = db.session.execute(
            text(
                "SELECT sum(bonus_accrued - bonus_taken_back), sum(paid_with_bonus - bonus_given_back) FROM purchases WHERE business_id = :b"
            ),
            {"b": CAFE.id},
        ).one()
        assert (cost.issued, cost.payable) == tuple(row)
        assert sums.active + sums.waiting == held
        assert sums.issued - sums.spent - sums.burnt == held
        assert (now.purchases, now.members, now.new_members) == (2, 2, 1)
        assert now.sales == 60_000


def test_active_members_are_those_who_looked_or_bought_each_once(trade, acting, sign_in):
    """ANA-6: Alice and Eve bought today; Irina and Olga opened the portal, and so did Eve."""
    from portal.analytics import history
    from portal.analytics.today import only_looked

    sign_in(EVE), sign_in(IRINA), sign_in(OLGA)
    with acting(CIRCLE):
        looked = only_looked()
        bought = history.buyers()
        assert (bought["day"], looked.day) == (2, 2)


@pytest.fixture
def silent():
    """A ClickHouse that takes connections and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []
    threading.Thread(target=lambda: _hold(listener, held), daemon=True).start()
    yield f"http://default:x@127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    for one in held:
        one.close()


def _hold(listener, held):
    try:
        while True:
            held.append(listener.accept()[0])
    except OSError:
        return


@pytest.mark.parametrize("how", ["silent", "gone"])
def test_without_clickhouse_the_page_says_so_within_two_seconds(trade, sign_in, monkeypatch, silent, how):
    """F4: the day, the purchases and the cost stand there all the same; afterwards it fills again by itself."""
    irina, olga = sign_in(IRINA), sign_in(OLGA)
    address = silent if how == "silent" else "http://default:x@127.0.0.1:9"
    monkeypatch.setattr(clickhouse, "settings", lambda: settings().model_copy(update={"CLICKHOUSE_URL": address}))
    clickhouse.forget_clients()
    began = time.monotonic()
    page = irina.get("/desk/cafe")
    took = time.monotonic() - began
    assert page.status_code == 200
    assert took < 2.6, took
    assert "not reachable" in page.text
    assert "₽600.00" in page.text
    assert "Eve Sokolova" in page.text
    began = time.monotonic()
    assert "not reachable" in olga.get("/admin").text
    assert time.monotonic() - began < 2.6
    monkeypatch.undo()
    clickhouse.forget_clients()
    down = next(url for url in parts(page) if "part=period" in url)
    filled = irina.get(down, headers=HTMX)
    assert filled.status_code == 200
    assert "day by day" in filled.text


def test_the_charts_say_how_far_they_reach(acting, sign_in, seed):
    """ANA-1: a purchase that waits for ClickHouse holds the watermark back."""
    from portal.analytics.today import as_of

    with acting(CIRCLE, BOB):
        before = as_of()
        buy(10_000)
        waiting = as_of()
        assert waiting >= before
        assert as_of() == waiting
