"""In by Telegram as people do it: from our door to Telegram's page and back, and from inside the Mini App."""

import pytest
from playwright.sync_api import expect

from portal.telegram import service
from tests.cast import CIRCLE, EVE, OLGA
from tests.telegram.test_sign_in import NINA, TOKEN, told

pytestmark = pytest.mark.browser


@pytest.fixture
def bot(telegram, acting):
    with acting(CIRCLE, OLGA):
        service.connect(TOKEN)
    with acting(CIRCLE, EVE):
        service.link(EVE.id, told(NINA))
    return telegram


def test_a_stranger_joins_and_a_member_comes_back_by_telegram(bot, browse):
    page = browse(size="phone")
    page.goto("/login")
    page.get_by_role("link", name="Sign in with Telegram").click()
    page.get_by_role("button", name="Sam Lee").click()
    page.wait_for_url("**/telegram/join")
    expect(page.locator("[name=name]")).to_have_value("Sam Lee")
    page.check("[name=agreed]")
    page.get_by_role("button", name="Join").click()
    page.wait_for_url("**/me")

    again = browse(size="desk")
    again.goto("/login?next=/me/wallet")
    again.get_by_role("link", name="Sign in with Telegram").click()
    again.get_by_role("button", name="Nina").click()
    again.wait_for_url("**/me/wallet")


def test_the_mini_app_opens_the_members_card(bot, browse):
    from urllib.parse import quote

    page = browse(size="phone")
    page.goto(f"/telegram/app#tgWebAppData={quote(bot.init_data(4242, NINA), safe='')}&tgWebAppVersion=9.0")
    page.wait_for_url("**/me")
    assert "tgWebAppData" not in page.url
