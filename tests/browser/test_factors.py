"""Passkeys, an authenticator app and recovery codes as people meet them; the passkey device is Chromium's virtual one."""

import re

import pyotp
import pytest
from playwright.sync_api import expect

from tests.cast import ALICE, PASSWORD

pytestmark = pytest.mark.browser


def authenticator(page):
    """A device with a finger that always fits."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    return devtools, devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


def sign_out(page):
    page.goto("/me/more")
    page.locator("form[action='/logout'] button").first.click()
    page.wait_for_url(lambda url: "/me" not in url)


def password(page):
    page.goto("/login")
    page.fill("[name=email]", ALICE.email)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")


def test_a_passkey_is_made_and_opens_with_a_name_without_one_and_as_second_factor(browse):
    page = browse(ALICE, "phone")
    devtools, device = authenticator(page)
    page.goto("/me/security")
    page.get_by_role("link", name="Add a second factor").click()
    page.fill("#passkey-name", "My phone")
    page.locator("#add-passkey button").click()
    page.wait_for_selector("#recovery-codes")
    expect(page.locator("#recovery-codes code")).to_have_count(10)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.locator("main")).to_contain_text("My phone")
    assert len(devtools.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]) == 1

    sign_out(page)
    page.goto("/login?next=/me/wallet")
    page.locator("#passkey-sign-in button").click()
    page.wait_for_url(re.compile("//[^/]+/me/wallet$"))

    sign_out(page)
    page.goto("/login?next=/me/wallet")
    page.fill("#sign-in [name=email]", ALICE.email)
    page.locator("#passkey-sign-in button").click()
    page.wait_for_url(re.compile("//[^/]+/me/wallet$"))

    sign_out(page)
    password(page)
    page.wait_for_url("**/login/second**")
    page.goto("/me/wallet")
    expect(page).to_have_url(re.compile("/login/second"))
    page.locator("#proof button").click()
    page.wait_for_url(re.compile("//[^/]+/me/wallet$"))

    sign_out(page)
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.goto("/login")
    page.locator("#passkey-sign-in button").click()
    expect(page.locator("#passkey-sign-in [data-passkey-error]")).to_be_visible()


def test_an_app_is_set_up_from_the_picture_and_a_recovery_code_opens_without_it(browse):
    page = browse(ALICE, "phone")
    page.goto("/me/security/second")
    page.locator("#start-app button").click()
    page.wait_for_selector("#confirm-app")
    address = page.get_by_role("link", name="Open the app").get_attribute("href")
    app = pyotp.parse_uri(address)
    assert app.issuer == "Circle"
    assert app.secret == page.locator("#app-secret").text_content().replace(" ", "")
    page.fill("#confirm-app [name=code]", app.now())
    page.locator("#confirm-app button").click()
    codes = page.locator("#recovery-codes code").all_text_contents()
    assert len(codes) == 10
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save as a file").click()
    assert saved.value.path().read_text().split("\n") == codes

    sign_out(page)
    password(page)
    page.wait_for_url("**/login/second**")
    page.fill("#proof [name=code]", "000000")
    page.locator("#proof button").click()
    expect(page.locator(".problems")).to_be_visible()
    page.get_by_role("link", name="Use a recovery code").click()
    page.fill("#proof [name=code]", codes[0])
    page.locator("#proof button").click()
    page.wait_for_url(lambda url: "/login" not in url and "/welcome" not in url)
    page.goto("/me/security")
    expect(page.locator("main")).to_contain_text("9 codes of 10 are left")
