"""Two accounts of one person, from the admin's desk to the till and the member's phone, and back (D28)."""

import re

import pytest
from playwright.sync_api import expect

from tests.cast import ALICE, BOB, CIRCLE, EVE, OLGA, SAM
from tests.purchases.shop import buy

pytestmark = pytest.mark.browser


def test_two_accounts_are_merged_and_parted_again(browse, acting):
    with acting(CIRCLE, OLGA):
        buy(100_000, member=EVE)
    desk = browse(SAM, "desk")
    desk.goto(f"/admin/members/{ALICE.id}")
    desk.get_by_role("link", name="Merge with another member").click()
    desk.fill("#merge-q", "Sokol")
    desk.locator("#candidates").get_by_role("link", name="Compare").click()
    expect(desk.locator("main")).to_contain_text(EVE.email)
    expect(desk.locator("#together + dl")).to_contain_text("30.00")
    desk.get_by_label(ALICE.name).check()
    desk.fill("#merge [name=reason]", "Showed both cards and one passport")
    desk.locator("#merge [name=sure]").check()
    desk.get_by_role("button", name="Merge the two accounts").click()
    expect(desk.locator("main")).to_contain_text("Merged account")
    desk.get_by_role("link", name=EVE.name).first.click()
    expect(desk.locator("#merged")).to_contain_text("one passport")

    till = browse(BOB, "tablet")
    till.goto("/till/cafe")
    till.fill("#q", EVE.card)
    till.press("#q", "Enter")
    expect(till.locator("h1")).to_have_text(ALICE.name)
    expect(till.locator("main")).to_contain_text("30.00")

    phone = browse(ALICE, "phone")
    phone.goto("/me")
    expect(phone.locator(".stage .figure").first).to_have_text("30.00")
    expect(phone.locator("main")).to_contain_text("Par Coffee")
    phone.goto("/me/wallet")
    phone.get_by_role("link", name=re.compile("Movements of the account")).click()
    expect(phone.locator("main")).to_contain_text("Par Coffee")

    desk.get_by_role("link", name=re.compile("Undo until")).click()
    expect(desk.locator("table")).to_contain_text("30.00")
    desk.fill("#part [name=reason]", "They are sisters")
    desk.get_by_role("button", name="Part the two accounts").click()
    expect(desk.locator("h1")).to_have_text(EVE.name)
    expect(desk.locator("main")).to_contain_text("30.00")
    desk.goto("/admin/members/merges")
    expect(desk.locator("#merges")).to_contain_text("They are sisters")
