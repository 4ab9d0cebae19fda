"""Ctrl-K on the desk: a word finds pages, members and businesses that the person may see, and nobody else's."""

import re
from html import unescape

import pytest

from tests.cast import ALICE, BOB, CAFE, CAROL, CIRCLE, EVE, FRANK, IRINA, OLGA, SAM, TRENT
from tests.purchases.shop import buy


def test_an_admin_finds_a_member_by_the_beginning_of_a_name(sign_in):
    page = sign_in(OLGA).get("/admin/search?q=moroz").text
    assert ALICE.name in page
    assert f"/admin/members/{ALICE.id}" in page
    assert EVE.name not in page


def test_a_card_number_and_a_telephone_find_their_member(sign_in):
    admin = sign_in(OLGA)
    for q in (ALICE.card, "%2B" + ALICE.phone.lstrip("+")):
        assert f"/admin/members/{ALICE.id}" in admin.get(f"/admin/search?q={q}").text


def test_pages_and_businesses_are_found_by_word(sign_in):
    admin = sign_in(OLGA)
    assert 'href="/admin/tiers"' in admin.get("/admin/search?q=status").text.split('id="hits"')[1]
    assert f"/admin/businesses/{CAFE.id}" in admin.get(f"/admin/search?q={CAFE.name.split()[0].lower()}").text


def test_nothing_typed_shows_the_rooms_pages_and_nonsense_says_so(sign_in):
    admin = sign_in(OLGA)
    assert 'href="/admin/members"' in admin.get("/admin/search").text.split('id="hits"')[1]
    assert "Nothing here begins with" in admin.get("/admin/search?q=qwertyuiop").text


def test_another_tenants_people_are_not_found(sign_in):
    assert TRENT.name not in sign_in(OLGA).get(f"/admin/search?q={TRENT.name.split()[0]}").text.split('id="hits"')[1]


def test_a_shop_finds_only_those_who_bought_there(sign_in, acting):
    with acting(CIRCLE, BOB):
        buy(1000)
    desk = sign_in(IRINA)
    assert f"/desk/cafe/purchases?q={ALICE.card}" in desk.get("/desk/cafe/search?q=alice").text
    assert EVE.name not in desk.get(f"/desk/cafe/search?q={EVE.name.split()[0]}").text.split('id="hits"')[1]


def test_htmx_gets_the_answers_alone(sign_in):
    answer = sign_in(OLGA).get("/admin/search?q=alice", headers={"HX-Request": "true"}).text
    assert "<html" not in answer
    assert ALICE.name in answer


def test_the_number_of_queries_does_not_grow_with_the_answers(sign_in, statements):
    admin = sign_in(OLGA)
    admin.get("/admin/search?q=first")
    with statements() as few:
        admin.get("/admin/search?q=qwertyuiop")
    with statements() as many:
        admin.get("/admin/search?q=a")
    assert len(many) == len(few)
    assert len(few) <= 8


UNNAMED = {  # pages that open nothing to work on by themselves
    "search_admin.search",
    "search_desk.search_shop",
    "analytics_admin.why",  # asks which figure
    "analytics_desk.why",
    "identity_admin.download",  # files and styles
    "imports_desk.sample_file",
    "tenants_brand.preview_css",
}


@pytest.mark.parametrize(
    ("room", "person"), [("admin", OLGA), ("admin", FRANK), ("admin", SAM), ("desk", IRINA), ("desk", CAROL)]
)
def test_every_page_that_one_may_open_is_found_by_its_name(app, sign_in, room, person):
    """Its name is its heading, or its tab among the settings. Seen red without the headings that the rail names otherwise."""
    browser = sign_in(person)
    search = "/admin/search" if room == "admin" else "/desk/cafe/search"
    missing, opened = [], 0
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if getattr(view, "room", "") != room or "GET" not in rule.methods or rule.endpoint in UNNAMED:
            continue
        if rule.arguments - {"business"}:
            continue
        url = rule.rule.replace("<business>", "cafe")
        page = browser.get(url)
        if page.status_code != 200:
            assert f'href="{url}"' not in browser.get(search, query_string={"q": "e"}).text.split('id="hits"')[1]
            continue
        opened += 1
        tab = re.search(r'aria-label="Settings".*?aria-current="page">([^<]+)<', page.text, re.DOTALL)
        name = (tab or re.search(r"<h1[^>]*>([^<]+)<", page.text))[1].strip()
        hits = browser.get(search, query_string={"q": unescape(name)}).text.split('id="hits"')[1]
        if f'href="{url}"' not in hits:
            missing.append((url, name))
    assert opened > 3
    assert not missing, missing
