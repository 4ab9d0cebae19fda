"""Passkeys, an authenticator app and recovery codes as people meet them; the passkey device is Chromium's virtual one."""

import re

import pyotp
import pytest
from playwright.sync_api import expect

from portal.platform.service import create_operator
from tests.cast import ALICE, OPERATOR_EMAIL, PASSWORD
from tests.platform.test_operator import OPS, SECRET, ask

pytestmark = pytest.mark.browser

UNCOVERED = """(one) => {
  const box = one.getBoundingClientRect();
  return one.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
}"""


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
    expect(page.locator("#toasts")).to_contain_text("The passkey is kept.")
    onwards = page.get_by_role("link", name="I have kept them")
    assert onwards.evaluate(UNCOVERED), "what is said lies over what is to be pressed"
    onwards.click()
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


def test_an_operator_makes_a_passkey_comes_in_with_it_and_takes_it_away(browse, app):
    """At the door with the name and without one, after the password, before what matters; without the finger not at all."""
    with app.app_context():
        create_operator(OPERATOR_EMAIL, "Sergey Petrov", SECRET)
    page = browse(host=OPS)
    authenticator(page)

    def enter():
        page.goto("/login?next=/health")
        page.fill("#sign-in [name=email]", OPERATOR_EMAIL)
        page.fill("#sign-in [name=password]", SECRET)
        page.press("#sign-in [name=password]", "Enter")

    def leave():
        page.context.clear_cookies()

    enter()
    page.wait_for_url(re.compile("//[^/]+/health$"))
    page.goto("/account")
    page.get_by_role("link", name="Add a second factor").click()
    page.fill("#passkey-name", "Work laptop")
    page.locator("#add-passkey button").click()
    expect(page.locator("#recovery-codes code")).to_have_count(10)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.locator("#factors")).to_contain_text("Work laptop")

    for name in ("", OPERATOR_EMAIL):
        leave()
        page.goto("/login?next=/health")
        page.fill("#sign-in [name=email]", name)
        page.locator("#passkey-sign-in button").click()
        page.wait_for_url(re.compile("//[^/]+/health$"))

    leave()
    enter()
    page.wait_for_url("**/second**")
    page.goto("/tenants")
    expect(page).to_have_url(re.compile("/second"))
    page.locator("#proof button").click()
    page.wait_for_url(re.compile("//[^/]+/tenants$"))

    ask("UPDATE operator_sessions SET proved_at = clock_timestamp() - interval '6 minutes'")
    page.goto("/account")
    page.get_by_role("button", name="Remove").click()
    page.locator("dialog[open] .btn-danger").click()
    page.wait_for_url("**/confirm**")
    page.locator("#proof button").click()
    page.wait_for_url(re.compile("//[^/]+/account$"))
    page.get_by_role("button", name="Remove").click()
    page.locator("dialog[open] .btn-danger").click()
    expect(page.locator("main")).to_contain_text("Not yet")
    assert ask("SELECT count(*) FROM operator_recovery_codes") == [(0,)]

    leave()
    page.goto("/login")
    page.locator("#passkey-sign-in button").click()
    expect(page.locator(".problems")).to_contain_text("was not accepted")
    done = {row[0] for row in ask("SELECT detail->>'kind' FROM platform_audit WHERE detail->>'kind' IS NOT NULL")}
    assert done == {"passkey"}


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
