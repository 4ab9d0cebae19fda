"""WCAG and what fits: axe finds nothing on any page, nothing is cut off, and no member's page is heavier than a phone likes.

In short each page once, in a size, a theme and a language by its name; `make prove ONLY=axe` looks at every page of everybody
in every size, theme and language.
"""

from datetime import timedelta
from itertools import product
from zlib import crc32

import pytest

from tests.browser.pages import (
    LOCALES,
    OPERATOR,
    SIZES,
    THEMES,
    is_page,
    readable,
    speak,
    weighed,
    window_of,
    wrong_with,
)
from tests.objects import objects
from tests.whole import in_full, tell

pytestmark = pytest.mark.browser
READERS = {  # who opens the pages of which rooms
    "anon": ("member", "public", ""),
    "member": ("member",),
    "cashier": ("till",),
    "owner": ("desk",),
    "admin": ("admin",),
    OPERATOR: ("ops",),
}
PARTS = {"admin": 2}  # so that processes share the longest one
BYTES, REQUESTS = 100_000, 12  # of a first visit to a member's page (ui.md)
UNWEIGHED = {"home.components"}  # the house's own catalogue
LOOKS = [*product(SIZES, THEMES, LOCALES)]


@pytest.mark.parametrize(("role", "part"), [(role, n) for role in READERS for n in range(PARTS.get(role, 1))])
def test_every_page_is_clean_and_fits(app, seed, browse, sign_in, visitor, role, part):
    """Seen red: a line that may not wrap, muted text made paler."""
    things = objects(seed)
    page, plain = window_of(app, seed, browse, sign_in, visitor, role)
    asked = dict(readable(app, things, role, READERS[role]))
    if role == "member":
        asked = {
            endpoint: path for endpoint, path in asked.items() if endpoint not in dict(readable(app, things, "anon"))
        }
    looks = {
        endpoint: LOOKS[crc32(endpoint.encode()) % len(LOOKS)] for endpoint in [*asked][part :: PARTS.get(role, 1)]
    }
    found, seen = [], 0
    with weighed(page) as taken:
        for locale in LOCALES:
            speak(page, plain, locale)
            for endpoint in (endpoint for endpoint, look in looks.items() if look[2] == locale):
                path, (size, theme, _) = asked[endpoint], looks[endpoint]
                if not is_page(plain, path):
                    continue
                taken.clear()
                page.goto(path)
                if (
                    role in {"anon", "member"}
                    and endpoint not in UNWEIGHED
                    and (sum(taken) > BYTES or len(taken) > REQUESTS)
                ):
                    found.append(f"{path}: {sum(taken)} bytes, {len(taken)} requests")
                found += [f"{path} {size} {theme} {locale}: {one}" for one in wrong_with(page, size, theme)]
                seen += 1
    assert not found, "\n".join(found)
    assert seen >= 3


WHOLE = {"anon": 1, "member": 2, "cashier": 2, "manager": 3, "owner": 3, "editor": 2, "support": 3, "finance": 3, "admin": 6, OPERATOR: 1}  # fmt: skip


@in_full
@pytest.mark.parametrize(("role", "part"), [(role, n) for role, parts in WHOLE.items() for n in range(parts)])
def test_every_page_of_everybody(app, seed, browse, sign_in, visitor, monkeypatch, role, part):
    """Each size, theme and language; what is counted is told a page and language at a time."""
    monkeypatch.setattr("portal.identity.stepup.AGE", timedelta(hours=3))  # it takes longer than a proof holds
    page, plain = window_of(app, seed, browse, sign_in, visitor, role)
    asked = [path for _, path in readable(app, objects(seed), role)][part :: WHOLE[role]]
    wrong = []
    for locale in LOCALES:
        speak(page, plain, locale)
        for path in asked:
            if not is_page(plain, path):
                continue
            page.goto(path)
            looks = [*product(SIZES, THEMES)]
            here = [
                f"{role} {path} {' '.join(look)} {locale}: {one}" for look in looks for one in wrong_with(page, *look)
            ]
            tell(len(looks), here)
            wrong += here
    assert wrong == []
