"""B2 beyond the pages: every text column of every file and mail gives back what stands in the tables: CSV, XLSX and JSON of reports
and of the audit log, lists and statements, the ZIP of somebody's own data, rejected lines, the API, mails.

Decided: a cell of a CSV that a spreadsheet would run begins with an apostrophe (B6); a name is one line in a mail's heading.
Found by it: a name like =?utf-8?B?eA==?= was read as an encoded word in the address of a mail.
"""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest
from sqlalchemy import select

from portal.audit.files import COLUMNS as AUDIT
from portal.extensions import db
from portal.files.models import StoredFile
from portal.files.service import open_file
from portal.identity.models import User
from portal.partners.models import Business
from portal.purchases.models import Purchase
from portal.reports.purchases import COLUMNS as SALES
from portal.settings import settings
from portal.wallets import service as wallets
from portal.web.csv import safe
from tests import naughty
from tests.cast import ALICE, BOB, CIRCLE, OLGA, luhn, uid
from tests.purchases.shop import buy
from tests.reports.test_purchases import plain
from tests.web.test_naughty import packed, shown, stored

TEXTS = sorted({stored("", one) for one in naughty.TEXTS} - {""})
KINDS = ("csv", "json", "xlsx")


@pytest.fixture
def world(seed):
    """For each text a shop, a member who is its cashier too, and a sale, all called so."""
    shops, people, sales = [], [], []
    for n, one in enumerate(TEXTS):
        shops.append(Business(id=uid(30_000 + n), slug=f"n{n}", name=one, category=one, currency=CIRCLE.currency))
        people.append(
            User(
                id=uid(31_000 + n), name=one, card_number=luhn(f"{61_000_000_000 + n}"), search_text=one, joined_via="demo",
                joined_at=datetime.now(UTC),
            )
        )  # fmt: skip
        for member, key in ((uid(31_000 + n), uid(32_000 + n)), (ALICE.id, uid(33_000 + n))):
            sales.append(
                Purchase(
                    id=key, business_id=uid(30_000 + n), member_id=member, receipt_number=one, external_id=f"x{key}",
                    request_hash="h", amount=1_000, earn_base=1_000, bonus_accrued=0, currency=CIRCLE.currency, rate_num=3,
                    rate_den=100, source="till", cashier_id=uid(31_000 + n), till=one, category=one,
                    occurred_at=datetime(2026, 3, 1, 9, tzinfo=UTC) + timedelta(minutes=n),
                )
            )  # fmt: skip
    seed(CIRCLE, *shops, *people)
    seed(CIRCLE, *sales)


def lines(body):
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def rows_of(body, kind, columns):
    """The rows of a file, each by the names of its columns."""
    names = [name for name, *_ in columns]
    if kind == "json":
        return json.loads(body)["rows"]
    if kind == "csv":
        return [dict(zip(names, row, strict=True)) for row in lines(body)[1:]]
    sheets = openpyxl.load_workbook(io.BytesIO(body), read_only=True).worksheets
    rows = [row for sheet in sheets[:-1] for row in sheet.iter_rows(min_row=2, values_only=True)]
    return [{name: plain(str(v or "")) for name, v in zip(names, row, strict=True)} for row in rows]


def missing(texts, rows, column, kind):
    held = {row[column] for row in rows}
    return [one for one in texts if (safe(one) if kind == "csv" else one) not in held]


@pytest.mark.commits
def test_reports_and_the_audit_log_give_back_every_text(world, sign_in, acting):
    with acting(CIRCLE, OLGA):
        for n, one in enumerate(TEXTS):
            wallets.adjust(ALICE.id, 1, currency=CIRCLE.currency, reason=one, key=f"n{n}")
    client, lost = sign_in(OLGA), []
    for kind in KINDS:
        answer = client.get(f"/admin/reports/purchases.{kind}?f.from=2026-03-01&f.to=2026-03-31")
        rows = rows_of(answer.get_data(), kind, SALES)
        answer.close()
        assert len(rows) == 2 * len(TEXTS)
        for column in (name for name, held, _ in SALES if held == "text"):
            lost += [f"sales.{kind} {column}: {one!r}" for one in missing(TEXTS, rows, column, kind)]
        answer = client.get(f"/admin/audit/entries.{kind}")
        rows = rows_of(answer.get_data(), kind, AUDIT)
        answer.close()
        lost += [f"audit.{kind} reason: {one!r}" for one in missing(TEXTS, rows, "reason", kind)]
    assert lost == []
    kept = lines(sign_in(ALICE).get("/me/wallet?format=csv").get_data())
    assert [one for one in TEXTS if safe(one) not in {row[-1] for row in kept}] == []


@pytest.fixture
def unhurried(app, monkeypatch):
    """A key may ask as often as it likes."""
    monkeypatch.setenv("API_RATE", "100000 per minute")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.usefixtures("unhurried")
def test_lists_the_data_of_ones_own_and_the_api_give_back_every_text(world, sign_in, deliver, acting, key_of, visitor):
    shops = lines(sign_in(OLGA).get("/admin/businesses?format=csv").get_data())
    assert [one for one in TEXTS if [safe(one)] * 2 not in [[row[0], row[2]] for row in shops]] == []
    assert sign_in(ALICE).post("/me/data/exports", data={}).status_code == 303
    deliver()
    with acting(CIRCLE, OLGA):
        file_id = db.session.scalars(select(StoredFile.id).where(StoredFile.purpose == "own_data")).one()
        with open_file(file_id) as stream:
            pack = zipfile.ZipFile(io.BytesIO(stream.read()))
    sold = json.loads(pack.read("json/purchases.json"))
    table = lines(pack.read("csv/purchases.csv"))
    for column in ("receipt_number", "till", "category"):
        assert [one for one in TEXTS if one not in {row[column] for row in sold}] == []
        at = table[0].index(column)
        assert [one for one in TEXTS if safe(one) not in {row[at] for row in table[1:]}] == []
    head = {"Authorization": f"Bearer {key_of()}"}
    names = {
        visitor().get(f"/api/v1/members/{luhn(f'{61_000_000_000 + n}')}", headers=head).get_json().get("name")
        for n in range(len(TEXTS))
    }
    assert [one for one in TEXTS if one not in names] == []


def test_rejected_lines_are_given_back_as_they_stood(bring, acting):
    texts = [one for one in naughty.TEXTS if not {"\n", "\r", "\x85", "\u2028", "\u2029", '"', ","} & set(one)]
    job = bring("external_id,member_ref,purchased_at,amount,currency\n" + "".join(f"{one},x,,,\n" for one in texts))
    with acting(CIRCLE, OLGA), open_file(job.result_file_id) as stream:
        told = lines(stream.read())
    assert [one for one in texts if safe(f"{one},x,,,") not in {row[2] for row in told}] == []


def test_mails_give_back_every_text_and_no_name_is_a_heading(seed, acting, deliver, sink):
    """The shop's name in the words, the member's in the address, the community's as the sender."""
    names = [stored("", one) for one in packed(120)]
    shops = [Business(id=uid(30_000 + n), slug=f"n{n}", name=one, category="", currency=CIRCLE.currency) for n, one in enumerate(names)]  # fmt: skip
    seed(CIRCLE, *shops)
    with acting(CIRCLE, BOB):
        for n, shop in enumerate(shops):
            buy(100_000 + n, shop=shop)
    deliver()
    mails = [mail for mail in sink.to(ALICE) if mail["Subject"].endswith(" bonus")]  # a new tier has a mail of its own
    assert len(mails) == len(names) > 10
    plainly = [" ".join(mail.get_body(("plain",)).get_content().split()) for mail in mails]
    pages = [shown(mail.get_body(("html",)).get_content()) for mail in mails]
    for one in names:
        wanted = " ".join(one.split())
        assert any(f"at {wanted}." in words for words in plainly), one
        assert any(f"at {wanted}." in words for words in pages), one
    assert {tuple(sorted(mail.keys())) for mail in mails} == {tuple(sorted(mails[0].keys()))}


def test_a_name_in_an_address_is_read_back_and_stays_in_it(app):
    from email import message_from_bytes, policy
    from email.message import EmailMessage

    from portal.messages.letter import address

    for one in TEXTS:
        mail = EmailMessage()
        mail["To"] = address("a@b.example", one)
        mail.set_content("words")
        read = message_from_bytes(mail.as_bytes(policy=policy.SMTP), policy=policy.default)
        assert [a.addr_spec for a in read["To"].addresses] == ["a@b.example"], one
        came = read["To"].addresses[0].display_name  # this reader keeps the spaces between encoded words
        assert "".join(came.split()) == "".join(one.replace("=?", "= ?").split()), one
        assert set(read.keys()) == {"To", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}, one
