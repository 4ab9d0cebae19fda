"""An admin gives the circle a logo, tries a colour on, changes the name, and takes all of it back."""

import re

import pytest
from playwright.sync_api import expect

from tests.cast import ALICE, OLGA
from tests.tenants.test_logo import picture

pytestmark = pytest.mark.browser


def test_a_logo_and_the_way_back(browse):
    """The preview follows the typing, the logo is a real picture on a member's phone, and restoring takes it away."""
    admin, phone = browse(OLGA, "desk"), browse(ALICE, "phone")
    admin.goto("/admin/settings/brand")
    admin.fill("#hex", "#ffee00")
    expect(admin.locator("#brand-preview")).to_contain_text("Take this one")
    admin.fill("#hex", "#2244AA")
    expect(admin.locator("#brand-preview")).to_contain_text("can be read in both themes")
    admin.locator("#brand-form button.btn-primary").click()
    expect(admin.locator("#toasts")).to_contain_text("Saved.")
    admin.set_input_files("#logo", {"name": "logo.png", "mimeType": "image/png", "buffer": picture()})
    admin.locator("#logo-form button[type=submit]").first.click()
    expect(admin.locator("#logo-form img")).to_be_visible()

    phone.goto("/me")
    logo = phone.locator("img.brand-logo:visible").first
    expect(logo).to_be_visible()
    assert logo.evaluate("image => image.complete && image.naturalWidth") == 480

    admin.goto("/admin/settings/versions")
    expect(admin.locator("main ol > li")).to_have_count(2)
    admin.get_by_role("link", name=re.compile("before the first change")).click()
    admin.locator("#restore-form button").click()
    admin.locator("dialog[open] button").filter(has_text=re.compile("Restore|Yes|Continue")).first.click()
    expect(admin.locator("#toasts")).to_contain_text("Restored.")
    phone.goto("/me")
    expect(phone.locator("img.brand-logo")).to_have_count(0)
