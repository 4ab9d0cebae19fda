"""The announcement: who sees it, when, in what language; and whom mails come from."""

import re

import pytest

from tests.cast import ALICE, BOB, CIRCLE, OLGA

PAGE = "/admin/settings/texts"


def announce(browser, **typed):
    return browser.submit(PAGE, form="texts-form", **{"text-en": "Closed on Friday", "audience": "all", **typed})


def test_it_stands_on_every_page_until_it_is_closed(sign_in):
    """Closed by one person in one session; a changed one is shown again."""
    olga, alice, bob = sign_in(OLGA), sign_in(ALICE), sign_in(BOB)
    assert announce(olga).status_code == 303
    for browser, page in ((alice, "/me"), (bob, "/till/cafe"), (olga, PAGE)):
        assert "Closed on Friday" in browser.get(page).text
    key = re.search(r'name="key" value="(\w+)"', alice.get("/me").text)[1]
    assert alice.post("/banner", data={"key": key, "next": "/me/more"}).location == "/me/more"
    assert "Closed on Friday" not in alice.get("/me").text
    assert "Closed on Friday" in bob.get("/till/cafe").text
    announce(olga, **{"text-en": "Open again"})
    assert "Open again" in alice.get("/me").text


@pytest.mark.parametrize(("audience", "seen"), [("members", (True, False)), ("staff", (False, True))])
def test_only_its_readers_see_it(sign_in, audience, seen):
    announce(sign_in(OLGA), audience=audience)
    found = tuple("Closed on Friday" in sign_in(w).get(p).text for w, p in ((ALICE, "/me"), (BOB, "/till/cafe")))
    assert found == seen


@pytest.mark.parametrize("days", [{"ends": "2001-01-01"}, {"begins": "2199-01-01"}])
def test_outside_its_days_nobody_sees_it(sign_in, days):
    announce(sign_in(OLGA), **days)
    assert "Closed on Friday" not in sign_in(ALICE).get("/me").text


def test_days_the_wrong_way_round_and_no_address_are_refused(sign_in):
    answer = announce(sign_in(OLGA), begins="2026-05-02", ends="2026-05-01", reply_to="nobody")
    assert answer.status_code == 422
    assert "before the first" in answer.text
    assert "Closed on Friday" in answer.text


def test_mails_come_from_the_sender_and_answers_go_to_the_address(sign_in, acting):
    """B5: a line end typed into the name begins no header."""
    from portal.messages import letter
    from portal.messages.texts import Text
    from portal.tenants import hosts

    announce(sign_in(OLGA), sender="Anna of Circle", reply_to="anna@circle.example")
    with acting(CIRCLE):
        from flask import g

        g.tenant = hosts.tenant_by_id(CIRCLE.id)
        mail = letter.write(Text("T", "B", "/me", "bell"), to=letter.address("a@b.example"), locale="en", why="w")
    assert mail["From"].addresses[0].display_name == "Anna of Circle"
    assert str(mail["Reply-To"]) == "anna@circle.example"


def test_only_an_admin_writes(sign_in):
    assert sign_in(BOB).get(PAGE).status_code == 403
