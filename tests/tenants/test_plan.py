"""Modules switched on and off, limits with what is used of them, currencies."""

import re

import pytest
from sqlalchemy import select

from portal.tenants.models import Tenant
from portal.wallets.purse import sorted_out
from portal.wallets.queries import Balance
from tests.cast import ALICE, BOB, CAFE, CIRCLE, IRINA, OLGA

PAGE = "/admin/settings"


def switch(browser, *modules):
    return browser.submit(f"{PAGE}/modules", form="modules-form", modules=list(modules) or "")


@pytest.fixture
def terms(app):
    """Set what the operator allows."""
    from psycopg.types.json import Jsonb

    from portal.kernel.primaries import connect
    from portal.tenants import hosts

    def terms(modules=("loyalty", "till", "imports", "messages"), **limits):
        with connect("portal_platform") as operator:
            operator.execute("SELECT platform.set_terms(%s, %s, %s)", (CIRCLE.id, list(modules), Jsonb(limits)))
        hosts.forget()

    yield terms
    terms()


@pytest.mark.commits
@pytest.mark.parametrize(
    ("module", "who", "at", "address"),
    [
        ("till", BOB, "/me/more", f"/till/{CAFE.slug}"),
        ("messages", ALICE, "/me", "/me/notifications"),
        ("loyalty", OLGA, PAGE, "/admin/tiers"),
        ("imports", IRINA, f"/desk/{CAFE.slug}", f"/desk/{CAFE.slug}/imports"),
    ],
)
def test_a_module_that_is_off_leaves_the_navigation_and_its_addresses(sign_in, module, who, at, address):
    """Its pages answer 404 in words, and come back with it."""
    olga, person = sign_in(OLGA), sign_in(who)
    others = [name for name in ("loyalty", "till", "imports", "messages") if name != module]
    assert f'href="{address}' in person.get(at).text
    assert person.get(address).status_code == 200
    assert switch(olga, *others).status_code == 303
    assert f'href="{address}' not in person.get(at).text
    answer = person.get(address)
    assert answer.status_code == 404
    assert "This part is switched off here." in answer.text
    switch(olga, module, *others)
    assert person.get(address).status_code == 200


@pytest.mark.commits
def test_who_only_works_at_the_till_is_not_led_to_a_page_that_is_off(sign_in, visitor):
    switch(sign_in(OLGA), "loyalty")
    answer = sign_in(BOB).get("/login")
    assert "/till/" not in (answer.location or "")


@pytest.mark.commits
def test_what_the_operator_does_not_allow_cannot_be_switched_on(sign_in, seen_by, terms):
    terms(modules=["till"])
    olga = sign_in(OLGA)
    page = olga.get(f"{PAGE}/modules").text
    assert "ask the operator" in page
    assert 'value="imports"' not in page
    forged = olga.post(f"{PAGE}/modules", data={"modules": ["till", "imports"]})
    assert forged.status_code == 422
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(Tenant.modules).where(Tenant.id == CIRCLE.id)).one() == ["till"]


@pytest.mark.commits
def test_limits_show_what_is_used_of_them(sign_in, terms):
    terms(members=10, businesses=100)
    page = sign_in(OLGA).get(f"{PAGE}/limits").text
    used, most = re.search(r"(\d+) of (\d+)", page).groups()
    assert most == "10"
    assert int(used) > 5
    assert re.search(r'<progress class="meter" value="\d+" max="100" aria-label="Businesses"', page)
    assert "no limit" in page


def test_currencies_in_use_and_the_one_that_leads(sign_in, seen_by):
    olga = sign_in(OLGA)
    page = olga.get(f"{PAGE}/currencies").text
    assert CIRCLE.currency in page
    assert "rounded down" in page
    assert olga.post(f"{PAGE}/currencies", data={"first": "XXX"}).status_code == 422
    assert sign_in(ALICE).get(f"{PAGE}/currencies").status_code == 403


def test_other_accounts_stand_in_the_order_that_was_chosen():
    def account(code, kind="main"):
        return Balance(code, kind, code, 100, 0, 100, 0, None, None, 0, None)

    own = [account("RUB", "bonus"), account("EUR"), account("KZT"), account("USD")]
    assert [a.currency for a in sorted_out(own, "RUB").others] == ["EUR", "KZT", "USD"]
    assert [a.currency for a in sorted_out(own, "RUB", "KZT").others] == ["KZT", "EUR", "USD"]
    assert sorted_out(own, "RUB", "KZT").main.currency == "RUB"
