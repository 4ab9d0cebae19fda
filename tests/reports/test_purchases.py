"""Purchases of a period: three files with equal rows and sums (REP-3, property 12), from the desk and the circle's room."""

import csv
import io
import itertools
import json
import re
import zipfile
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from flask import g
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from portal.extensions import db
from portal.kernel import money
from portal.kernel.audit import AuditEntry
from portal.kernel.model import new_id
from portal.purchases.models import Purchase
from portal.reports import formats, xlsx
from portal.reports.purchases import COLUMNS, SUMS, Asked, Snapshot, sums
from portal.reports.reading import AlreadyRunning, TooLong
from portal.web.csv import safe
from tests.cast import ALICE, BOOKS, CAFE, CAROL, CIRCLE, EVE, FOREIGN_CAFE, GLOBEX, IRINA, MALLORY, OLGA, TRENT
from tests.purchases.shop import buy

pytestmark = pytest.mark.commits
DESK, ADMIN = "/desk/cafe/reports/purchases", "/admin/reports/purchases"
ZONE = "Europe/Moscow"
DIGITS = 10**15 - 1  # fifteen: what a number in a sheet keeps exactly
MONIES = tuple(name for name, kind, _ in COLUMNS if kind == "money")
TEXTS = tuple(name for name, kind, _ in COLUMNS if kind == "text")
NAUGHTY = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff201",
    '"quoted", "twice"', "two\nlines", "dos\r\nlines", "tab\there", "a;b,c", "<b>&amp;</b>", "]]>", "_x0041_", "_x005F_x0041_", "\x01\x02\x1f",
    "\ufffe\uffff", "\u202eright to left", "e\u0301", "👩‍👩‍👧‍👦 🇷🇺", "  spaces  ", "\\N", "\\.", "NULL", "", "0042", "1e5", "ＦＵＬＬ", "\u2028", "\x7f",
)  # fmt: skip


def sold(number, *, shop=CAFE, tenant=CIRCLE, member=ALICE, currency="RUB", amount=1000, refunded=0, at=None, **more):
    """A purchase as it stands in the table, whatever made it so."""
    values = {
        "receipt_number": f"r-{number}",
        "source": "till",
        "occurred_at": at or datetime(2026, 3, 10, 9, tzinfo=UTC) + timedelta(minutes=number),
        "bonus_accrued": amount // 33,
        "paid_with_bonus": 0,
        **more,
    }
    return Purchase(
        id=new_id(), business_id=shop.id, member_id=member.id, external_id=f"x-{number}", request_hash="h", amount=amount,
        earn_base=amount, refunded_total=refunded, currency=currency, rate_num=3, rate_den=100, **values,
    )  # fmt: skip


@pytest.fixture
def march(seed):
    """Three currencies of two, none and three decimals, refunds in part and in full, and every naughty string as a receipt."""
    rows = [
        sold(1, amount=123_456, paid_with_bonus=456, bonus_accrued=3690, category="coffee"),
        sold(2, amount=50_000, refunded=20_000, bonus_taken_back=600, bonus_given_back=7, category="books"),
        sold(3, amount=777, refunded=777, member=EVE),
        sold(4, amount=1500, currency="JPY", category="coffee"),
        sold(5, amount=12_345, currency="KWD", refunded=5, shop=BOOKS),
        sold(6, amount=0),
        sold(7, amount=DIGITS, source="import"),
        *(sold(10 + n, receipt_number=s, till="1", category="coffee") for n, s in enumerate(NAUGHTY)),
    ]
    seed(CIRCLE, *rows)
    seed(GLOBEX, sold(1, shop=FOREIGN_CAFE, member=TRENT, currency="USD", amount=9_999_999))
    return rows


def of_csv(body):
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def of_xlsx(body):
    """Rows by the names of the columns; a moment becomes ISO text again, an amount its decimals."""
    book = openpyxl.load_workbook(io.BytesIO(body), read_only=True)
    found = []
    for sheet in book.worksheets[:-1]:
        for cells in itertools.islice(sheet.iter_rows(), 1, None):
            row = {name: cell.value for (name, *_), cell in zip(COLUMNS, cells, strict=True)}
            decimals = money.currency(row["currency"]).exponent
            for name in MONIES:
                row[name] = f"{Decimal(repr(row[name])):.{decimals}f}"
            moment = (row["occurred_at"] + timedelta(microseconds=500)).replace(tzinfo=ZoneInfo(ZONE))
            row["occurred_at"] = moment.isoformat(timespec="milliseconds")
            found.append({name: plain(value) if isinstance(value, str) else "" for name, value in row.items()})
    return found


def plain(text):
    """A workbook's escapes, read as Excel reads them."""
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda m: chr(int(m[1], 16)), text)


def as_csv_shows(rows):
    return [{name: safe(value) if name in TEXTS else value for name, value in row.items()} for row in rows]


def summed(rows):
    together = defaultdict(lambda: dict.fromkeys(MONIES, Decimal(0)))
    for row in rows:
        for name in MONIES:
            together[row["currency"]][name] += Decimal(row[name])
    return dict(together)


def three(asked, **sheets):
    """The files of one question, each of a snapshot of its own."""
    made = {}
    writers = {"csv": formats.csv, "json": formats.as_json, "xlsx": lambda s: xlsx.workbook(s, **sheets)}
    for kind, write in writers.items():
        snapshot = Snapshot(asked)
        try:
            made[kind] = b"".join(write(snapshot))
        finally:
            snapshot.close()
    return of_csv(made["csv"]), json.loads(made["json"]), of_xlsx(made["xlsx"])


def test_all_three_hold_the_same_rows_and_sums_as_the_table(acting, march):
    """REP-3, property 12: the three files say the same, row by row and in their sums."""
    with acting(CIRCLE, OLGA), db.session.no_autoflush:
        rows, document, cells = three(Asked(ZONE))
    assert len(document["rows"]) == len(march) == document["meta"]["row_count"]
    assert rows == as_csv_shows(document["rows"])
    assert cells == document["rows"]
    assert summed(rows) == summed(document["rows"]) == summed(cells)
    for one in document["meta"]["sums"]:
        assert {name: Decimal(one[name]) for name in SUMS} == summed(rows)[one["currency"]]
        assert one["purchases"] == sum(row["currency"] == one["currency"] for row in rows)
    assert [row["receipt_number"] for row in document["rows"]][7:] == list(NAUGHTY)
    assert Counter(row["currency"] for row in rows) == {"RUB": len(march) - 2, "JPY": 1, "KWD": 1}


def test_a_refund_stands_with_its_purchase_so_that_the_sums_are_right(acting, march):
    with acting(CIRCLE, OLGA):
        rows, _, _ = three(Asked(ZONE, filters={"refunded": "yes"}))
    assert [(r["currency"], r["gross"], r["refunded"], r["net"], r["status"]) for r in rows] == [
        ("RUB", "500.00", "200.00", "300.00", "partly_refunded"),
        ("RUB", "7.77", "7.77", "0.00", "refunded"),
        ("KWD", "12.345", "0.005", "12.340", "partly_refunded"),
    ]
    assert (rows[0]["bonus_taken_back"], rows[0]["bonus_given_back"]) == ("6.00", "0.07")
    assert rows[0]["occurred_at"] == "2026-03-10T12:02:00.000+03:00"


def test_no_cell_is_a_formula(acting, march):
    """B6: CSV by an apostrophe, the workbook by the type of the cell; nothing in it is a formula or a link."""
    with acting(CIRCLE, OLGA):
        snapshot = Snapshot(Asked(ZONE))
        body = b"".join(xlsx.workbook(snapshot))
        snapshot.close()
        rows, _, _ = three(Asked(ZONE))
    dangerous = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    for row in rows:
        for name in TEXTS:
            assert not row[name].startswith(dangerous) or re.fullmatch(r"[+-]?[0-9]+", row[name]), row
    sheet = openpyxl.load_workbook(io.BytesIO(body)).worksheets[0]
    assert sheet.freeze_panes == "A2"
    assert all(cell.font.b for cell in sheet[1])
    assert f"({ZONE})" in sheet["A1"].value
    kinds = {cell.data_type for line in sheet.iter_rows(min_row=2) for cell in line}
    assert "f" not in kinds
    first = {name: cell for (name, *_), cell in zip(COLUMNS, sheet[2], strict=True)}
    assert first["occurred_at"].is_date
    assert (first["gross"].value, first["gross"].number_format) == (1234.56, "#,##0.00")
    assert sheet["H5"].number_format == "#,##0"
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert not any("hyperlink" in archive.read(name).decode() for name in archive.namelist())


def test_rows_beyond_a_sheet_go_on_in_the_next(acting, march):
    with acting(CIRCLE, OLGA):
        snapshot = Snapshot(Asked(ZONE))
        body = b"".join(xlsx.workbook(snapshot, rows_a_sheet=20))
        snapshot.close()
        _, document, _ = three(Asked(ZONE))
    book = openpyxl.load_workbook(io.BytesIO(body))
    assert [sheet.max_row - 1 for sheet in book.worksheets[:-1]] == [20, 20, len(march) - 40]
    assert [sheet["A1"].value for sheet in book.worksheets[:-1]] == [book.worksheets[0]["A1"].value] * 3
    assert of_xlsx(body) == document["rows"]


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12) | st.sampled_from(
    NAUGHTY
)
amounts = st.integers(0, DIGITS) | st.integers(0, 2000)
bills = st.lists(
    st.tuples(
        words, words, words, st.sampled_from(["RUB", "JPY", "KWD", "USD"]), amounts, st.floats(0, 1),
        st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bills)
def test_whatever_was_sold_the_three_files_agree(acting, made):
    """Property 12. Excel counts a day as 24 hours and a float, so its moments are compared to the millisecond."""
    with acting(CIRCLE, OLGA):
        g.seeding = True
        db.session.execute(text("DELETE FROM purchases WHERE tenant_id = :t"), {"t": CIRCLE.id})
        for number, (receipt, till, category, currency, amount, share, at) in enumerate(made):
            back = min(amount, int(amount * share))
            db.session.add(
                sold(
                    number, receipt_number=receipt, till=till, category=category, currency=currency, amount=amount,
                    refunded=back, paid_with_bonus=amount - back, bonus_accrued=back, at=at.replace(tzinfo=UTC),
                )
            )  # fmt: skip
        db.session.commit()
        g.seeding = False
        rows, document, cells = three(Asked(ZONE))
    assert len(rows) == len(made)
    assert rows == as_csv_shows(document["rows"])
    assert without_moments(cells) == without_moments(document["rows"])
    assert summed(rows) == summed(cells)
    assert summed(rows) == {
        one["currency"]: {name: Decimal(one[name]) for name in SUMS} for one in document["meta"]["sums"]
    }


def without_moments(rows):
    return [{name: value for name, value in row.items() if name != "occurred_at"} for row in rows]


def test_sums_and_rows_are_of_one_moment(acting, march, seed):
    """A sale between the sums and the rows is in neither. Seen red with READ COMMITTED."""
    with acting(CIRCLE, OLGA):
        snapshot = Snapshot(Asked(ZONE))
    seed(CIRCLE, sold(99, amount=5_000_000))
    with acting(CIRCLE, OLGA):
        document = json.loads(b"".join(formats.as_json(snapshot)))
        snapshot.close()
        assert len(document["rows"]) == len(march)
        assert sum(one.purchases for one in sums(Asked(ZONE))[0]) == len(march) + 1


def test_a_person_downloads_one_file_at_a_time(acting, march):
    with acting(CIRCLE, OLGA):
        first = Snapshot(Asked(ZONE))
        with pytest.raises(AlreadyRunning):
            Snapshot(Asked(ZONE))
        first.close()
        Snapshot(Asked(ZONE)).close()
    with acting(CIRCLE, CAROL):
        Snapshot(Asked(ZONE)).close()


def test_more_than_a_file_holds_is_refused_and_said(sign_in, march, monkeypatch):
    from portal.reports import purchases, views

    monkeypatch.setattr(purchases, "MOST_ROWS", 10)
    monkeypatch.setattr(views, "MOST_ROWS", 10)
    answer = sign_in(OLGA).get(f"{ADMIN}.csv?period=all")
    assert answer.status_code == 422
    assert "a file holds 10 at most" in answer.text
    page = sign_in(OLGA).get(f"{ADMIN}?period=all").text
    assert "a file holds 10 at most" in page
    assert 'id="download"' not in page
    assert TooLong.code == "report.too_long"


def test_the_page_shows_the_sums_before_anything_is_downloaded(sign_in, march):
    page = sign_in(OLGA).get(ADMIN, query_string={"f.from": "2026-03-10", "f.to": "2026-03-10", "f.category": "books"})
    for shown in ("₽500.00", "₽200.00", "₽300.00", "Download 1 purchase", ZONE):
        assert shown in page.text, shown
    assert "KWD" in sign_in(OLGA).get(ADMIN, query_string={"period": "all"}).text
    assert "KWD" not in sign_in(CAROL).get(DESK, query_string={"period": "all"}).text


def test_the_files_of_the_desk_are_of_its_own_shop(sign_in, march):
    client = sign_in(CAROL)
    answer = client.get(f"{DESK}.csv?period=all&bom=1")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    assert answer.data.count(b"\r\n") == len(of_csv(answer.data)) + 1 + sum("\r\n" in n for n in NAUGHTY)
    assert {row["business"] for row in of_csv(answer.data)} == {CAFE.name}
    assert len(of_csv(answer.data)) == len(march) - 1
    assert ALICE.card not in answer.text
    assert answer.headers["Content-Disposition"] == 'attachment; filename="purchases-cafe.csv"'
    assert len(of_xlsx(client.get(f"{DESK}.xlsx?period=all").data)) == len(march) - 1
    assert len(client.get(f"{DESK}.json?f.from=2026-03-11").json["rows"]) == 0


def test_the_circles_room_takes_all_shops_or_one_and_nobody_elses(sign_in, march):
    client = sign_in(OLGA)
    assert {r["business"] for r in client.get(f"{ADMIN}.json?period=all").json["rows"]} == {CAFE.name, BOOKS.name}
    one = client.get(f"{ADMIN}.json?period=all&f.business=books").json
    assert [(r["business"], r["net"]) for r in one["rows"]] == [(BOOKS.name, "12.340")]
    assert client.get(f"{ADMIN}.json?f.business=globex").status_code == 404
    assert client.get(f"{ADMIN}?f.business=nothing").status_code == 404
    foreign = sign_in(MALLORY).get(f"{ADMIN}.json?period=all").json["rows"]
    assert [row["business"] for row in foreign] == [FOREIGN_CAFE.name]
    assert sign_in(MALLORY).get("/desk/books/reports/purchases.csv").status_code == 404


def test_who_took_what_is_in_the_audit_log(sign_in, march, seen_by):
    sign_in(CAROL).get(f"{DESK}.xlsx?f.from=2026-03-01&f.to=2026-03-31&f.category=coffee").get_data()
    with seen_by(CIRCLE) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "purchases.export")).one()
        assert (entry.actor_id, entry.object_id) == (CAROL.id, CAFE.id)
        assert entry.reason.startswith("xlsx, ")
        assert "occurred_at from 2026-03-01" in entry.reason
        assert "category = coffee" in entry.reason


def test_the_sixth_file_of_an_hour_waits(sign_in, march):
    client = sign_in(CAROL)
    assert client.get(f"{DESK}.json?f.from=x").status_code == 422
    assert [client.get(f"{DESK}.json").status_code for _ in range(6)] == [200] * 5 + [429]
    refused = client.get(f"{DESK}.json")
    assert "five times within an hour" in refused.text
    assert int(refused.headers["Retry-After"]) > 0
    assert client.get(f"{DESK}.csv").status_code == 200
    assert sign_in(IRINA).get(f"{DESK}.json").status_code == 200


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"f.from": "2026-03-10", "f.to": "2026-03-09"}, "The first day comes after the last"),
        ({"f.from": "yesterday"}, "is no day"),
        ({"f.to": "99999-01-01"}, "is no day"),
    ],
)
def test_days_that_are_no_period_are_refused(sign_in, query, says):
    for address in (DESK, f"{DESK}.csv"):
        answer = sign_in(CAROL).get(address, query_string=query)
        assert answer.status_code == 422
        assert says in answer.text


def test_a_day_is_the_circles_day(acting, sign_in, seed):
    """23:30 of the 9th in London is the 10th in Moscow."""
    seed(CIRCLE, sold(1, at=datetime(2026, 3, 9, 20, 59, tzinfo=UTC)), sold(2, at=datetime(2026, 3, 9, 21, tzinfo=UTC)))
    rows = sign_in(CAROL).get(f"{DESK}.json?f.from=2026-03-10&f.to=2026-03-10").json["rows"]
    assert [row["receipt_number"] for row in rows] == ["r-2"]


def test_named_periods():
    from portal.reports.views import _preset

    day = date(2026, 3, 1)
    assert _preset("today", day) == (day, day)
    assert _preset("yesterday", day) == (date(2026, 2, 28), date(2026, 2, 28))
    assert _preset("month", date(2026, 3, 9)) == (day, date(2026, 3, 9))
    assert _preset("last_month", date(2026, 3, 31)) == (date(2026, 2, 1), date(2026, 2, 28))
    assert _preset("all", day) == (None, None)


def test_the_rows_of_the_list_are_the_rows_of_the_file(acting, sign_in):
    """The list's search and filters go along: a real sale and its neighbour's."""
    with acting(CIRCLE):
        buy(100_000, receipt_number="A-1", till="1")
        buy(40_000, member=EVE, receipt_number="A-2", till="2")
    client = sign_in(CAROL)
    link = re.search(r'href="(/desk/cafe/reports/purchases[^"]*)"', client.get("/desk/cafe/purchases?q=eve").text)
    assert "q=eve" in link[1] or "q=eve" in client.get("/desk/cafe/purchases?q=eve").text
    rows = client.get(f"{DESK}.json?q=eve").json["rows"]
    assert [(row["receipt_number"], row["member"], row["gross"]) for row in rows] == [("A-2", EVE.name, "400.00")]
    assert len(client.get(f"{DESK}.json?f.till=1").json["rows"]) == 1
