"""The door as people meet it: joining by a code and by an invitation, signing in by SMS, a forgotten password, a post."""

import re

import pytest
from playwright.sync_api import expect

from portal.invitations.service import Guest, invite
from tests.cast import ALICE, CIRCLE, IRINA, OLGA
from tests.post import code_in

pytestmark = pytest.mark.browser
NEW = "nine patient harbours"
NEWCOMER = "nora@new.example"


def path_in(mail, page):
    return re.search(rf"/{page}/[\w-]+", mail.get_body(("plain",)).get_content())[0]


def test_somebody_joins_by_a_code_and_takes_the_first_steps(browse, deliver, sink):
    phone = browse(size="phone")
    phone.goto("/join")
    phone.fill("#join [name=name]", "Nora New")
    phone.fill("#join [name=contact]", NEWCOMER)
    phone.check("#join [name=agreed]")
    phone.click("#join button[type=submit]")
    phone.wait_for_selector("[name=code]")
    deliver()
    phone.fill("[name=code]", code_in(sink.at(NEWCOMER)[-1]["Subject"]))
    phone.press("[name=code]", "Enter")
    phone.wait_for_url(re.compile("/me$"))
    steps = phone.locator("#first-steps")
    expect(steps).to_contain_text("1 of 4")  # the code has confirmed the mail
    expect(steps.get_by_role("link")).to_have_count(3)
    steps.get_by_role("link", name="Protect the account").click()
    expect(phone).to_have_url(re.compile("/me/security"))
    phone.goto("/me")
    phone.get_by_role("button", name="Put the first steps away").click()
    expect(phone.locator("h1")).to_have_count(1)
    expect(phone.locator("#first-steps")).to_have_count(0)


def test_somebody_joins_by_an_invitation_in_their_language(browse, acting, deliver, sink):
    with acting(CIRCLE, OLGA):
        invite(Guest(NEWCOMER, "Нора Новая", "ru"))
    deliver()
    phone = browse(size="phone", locale="ru")
    phone.goto(path_in(sink.at(NEWCOMER)[0], "invite"))
    expect(phone.locator("h1")).to_contain_text("Olga Klimova приглашает вас")
    expect(phone.locator("#accept [name=name]")).to_have_value("Нора Новая")
    phone.fill("#accept [name=password]", NEW)
    phone.check("#accept [name=agreed]")
    phone.click("#accept button[type=submit]")
    phone.wait_for_url(re.compile("/me$"))
    expect(phone.locator("#first-steps")).to_contain_text("Первые шаги")


def test_a_member_signs_in_by_a_code_in_a_text_message(browse, deliver, texts):
    phone = browse(size="phone")
    phone.goto("/login")
    phone.fill("[name=email]", ALICE.phone)
    phone.locator("button[name=way][value=code]").click()
    phone.wait_for_selector("[name=code]")
    deliver()
    phone.fill("[name=code]", texts.code_to(ALICE.phone))
    phone.press("[name=code]", "Enter")
    phone.wait_for_url(re.compile("/me$"))
    expect(phone.locator("body")).to_contain_text("Alice")


def test_a_forgotten_password_is_replaced(browse, deliver, sink):
    page = browse()
    page.goto("/login")
    page.get_by_role("link", name=re.compile("Forgot")).click()
    page.fill("#reset [name=contact]", ALICE.email)
    page.click("#reset button[type=submit]")
    expect(page.locator("[role=status]").first).to_be_visible()
    deliver()
    page.goto(path_in(sink.to(ALICE)[-1], "reset"))
    page.fill("#new-password [name=password]", NEW)
    page.click("#new-password button[type=submit]")
    page.wait_for_url(re.compile("/login"))
    page.fill("[name=email]", ALICE.email)
    page.fill("[name=password]", NEW)
    page.press("[name=password]", "Enter")
    page.wait_for_url(re.compile("/me$"))


def test_an_owner_invites_a_cashier_who_stands_at_the_till_a_moment_later(browse, deliver, sink):
    desk = browse(IRINA)
    desk.goto("/desk/cafe/staff")
    desk.get_by_role("link", name="Invite somebody").click()
    desk.fill("#invite [name=contact]", NEWCOMER)
    desk.fill("#invite [name=name]", "Nora New")
    desk.select_option("#invite [name=role]", "cashier")
    desk.click("#invite button[type=submit]")
    expect(desk.locator("#invitations-list")).to_contain_text(NEWCOMER)
    deliver()
    till = browse(size="tablet")
    till.goto(path_in(sink.at(NEWCOMER)[0], "invite"))
    expect(till.locator("h1")).to_contain_text("Irina Zotova invites you to work at Par Coffee")
    till.check("#accept [name=agreed]")
    till.click("#accept button[type=submit]")
    till.wait_for_url(re.compile("/till/cafe"))
    desk.reload()
    expect(desk.locator("#invitations-list")).to_contain_text("accepted")


def test_the_link_works_without_javascript(browse, acting, deliver, sink):
    with acting(CIRCLE, OLGA):
        invite(Guest(NEWCOMER))
    deliver()
    page = browse(size="phone", javascript=False)
    page.goto(path_in(sink.at(NEWCOMER)[0], "invite"))
    page.fill("#accept [name=name]", "Nora New")
    page.check("#accept [name=agreed]")
    page.click("#accept button[type=submit]")
    page.wait_for_url(re.compile("/me$"))
