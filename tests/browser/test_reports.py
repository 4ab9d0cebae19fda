"""A partner and an admin look at the sums of a period and take its rows along."""

import json

import openpyxl
import pytest
from playwright.sync_api import expect

from tests.cast import BOOKS, CIRCLE, EVE, IRINA, OLGA
from tests.purchases.shop import buy

pytestmark = pytest.mark.browser


@pytest.fixture
def sold(acting):
    with acting(CIRCLE):
        buy(64_000)
        buy(100_050, member=EVE, receipt_number="=1+1")
        buy(30_000, shop=BOOKS)


@pytest.mark.parametrize("javascript", [True, False])
def test_a_partner_takes_the_workbook_of_today(browse, sold, tmp_path, javascript):
    page = browse(IRINA, "phone", javascript=javascript)
    page.goto("/desk/cafe/purchases")
    page.get_by_role("link", name="Download these rows").click()
    page.get_by_role("link", name="Today").click()
    expect(page.locator("#report")).to_contain_text("₽1,640.50")
    with page.expect_download() as found:
        page.get_by_role("button", name="XLSX").click()
    found.value.save_as(tmp_path / "file.xlsx")
    assert found.value.suggested_filename.startswith("purchases-cafe-")
    sheet = openpyxl.load_workbook(tmp_path / "file.xlsx").worksheets[0]
    rows = list(sheet.iter_rows(min_row=2, values_only=True))
    assert [(row[2], row[7]) for row in rows][1] == ("=1+1", 1000.5)
    assert [row[7] for row in rows] == [640, 1000.5]


def test_an_admin_chooses_a_shop_and_takes_its_rows(browse, sold, tmp_path):
    page = browse(OLGA, "desk")
    page.goto("/admin")
    page.get_by_role("link", name="Reports").first.click()
    expect(page.locator("#report")).to_contain_text("₽1,940.50")
    page.select_option("#f-business", "books")
    expect(page.locator("#report")).to_contain_text("Download 1 purchase")
    with page.expect_download() as found:
        page.get_by_role("button", name="JSON").click()
    found.value.save_as(tmp_path / "file.json")
    document = json.loads((tmp_path / "file.json").read_text())
    assert [(row["business"], row["gross"]) for row in document["rows"]] == [(BOOKS.name, "300.00")]
