"""WCAG: axe finds nothing on any page; each page once, in a pairwise choice of theme, language and size."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.cast import ALICE, BOB, CAFE, IRINA, OLGA

pytestmark = pytest.mark.browser
PAGES = {
    None: ["/", "/login", "/join"],
    ALICE: [
        "/me",
        "/me/card",
        "/me/wallet",
        "/me/notifications",
        "/me/notifications/preferences",
        "/me/more",
        "/me/security",
        "/me/profile",
        "/me/why/tier",
    ],
    BOB: ["/till/cafe", f"/till/cafe/members/{ALICE.id}", "/till/cafe/members/new", "/till/cafe/shift"],
    IRINA: ["/desk/cafe", "/desk/cafe/purchases", "/desk/cafe/imports", "/desk/cafe/staff", "/desk/cafe/keys"],
    OLGA: [
        "/admin",
        "/admin/members",
        f"/admin/members/{ALICE.id}",
        "/admin/businesses",
        f"/admin/businesses/{CAFE.id}",
        "/admin/tiers",
        "/admin/audit",
        "/admin/outbox",
        "/admin/settings",
    ],
}
ROOM = {None: "phone", ALICE: "phone", BOB: "tablet", IRINA: "desk", OLGA: "desk"}


@pytest.mark.parametrize("person", list(PAGES), ids=lambda p: p.name if p else "stranger")
@pytest.mark.parametrize(("dark", "locale"), [(False, "ru"), (True, "en")], ids=["light-ru", "dark-en"])
def test_axe_finds_nothing(browse, person, dark, locale):
    axe, found = Axe(), []
    page = browse(person, ROOM[person], dark=dark, locale=locale)
    page.context.add_cookies(
        [
            {
                "name": "lang",
                "value": locale,
                "url": page.url if page.url.startswith("http") else "http://circle.localhost",
            }
        ]
    )
    for n, path in enumerate(PAGES[person]):
        if n % 2 != dark:
            continue  # pairwise: each page in one of the two combinations
        page.goto(path)
        answer = axe.run(page, options={"resultTypes": ["violations"]})
        found += [f"{path}: {v['id']}: {v['nodes'][0]['html'][:160]}" for v in answer.response["violations"]]
    assert found == []
