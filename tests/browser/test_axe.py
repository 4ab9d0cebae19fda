"""WCAG: axe finds nothing on any page of anybody, light and dark; and no member's page is heavier than a telephone likes.

The pages are those of the address map, opened by whom access.csv lets in, so that a new one cannot be forgotten.
"""

import csv

import pytest
from axe_playwright_python.sync_playwright import Axe

from portal.platform.service import create_operator
from tests.architecture.test_access import MATRIX, address, routes
from tests.cast import BOB, CIRCLE, EVE, IRINA, OLGA, OPERATOR_EMAIL
from tests.objects import objects
from tests.platform.test_operator import OPS, SECRET

pytestmark = pytest.mark.browser
ROLES = {  # of access.csv → who opens all they may in one room, and on what
    "anon": (None, "phone", ("member", "public", "")),
    "member": (EVE, "phone", ("member",)),
    "cashier": (BOB, "tablet", ("till",)),
    "owner": (IRINA, "desk", ("desk",)),
    "admin": (OLGA, "desk", ("admin",)),
}
HALVES = {"admin": 3, "member": 2, "owner": 2}  # so that processes share the longest ones
BYTES, REQUESTS = 100_000, 12  # of a first visit to a member's page (ui.md)
UNWEIGHED = {"home.components"}  # the house's own catalogue
CONTRAST = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}


def pages(app, things, role):
    """(endpoint, address) of what this role may read in its room."""
    rooms = ROLES[role][2]
    may = {
        r["endpoint"]
        for r in csv.DictReader(MATRIX.read_text().splitlines())
        if r["method"] == "GET" and r[role] == "allow"
    }
    for endpoint, method, rule in routes(app):
        if method == "GET" and endpoint in may and getattr(app.view_functions[endpoint], "room", "") in rooms:
            yield endpoint, address(app, rule, {name: things[name].own for name in rule.arguments})


def violations(axe, page, path):
    """What axe finds on the page that is open, and in the dark what it finds of contrast."""
    told = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    page.emulate_media(color_scheme="dark")
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")  # colours on their way
    told += axe.run(page, options=CONTRAST).response["violations"]
    return [f"{path}: {v['id']}: {v['nodes'][0]['html'][:160]}" for v in told]


SHARES = [(role, n) for role in ROLES for n in range(HALVES.get(role, 1))]


@pytest.mark.parametrize(("role", "share"), SHARES, ids=[f"{role}-{n + 1}" for role, n in SHARES])
def test_axe_finds_nothing_and_pages_are_light(app, seed, browse, sign_in, visitor, role, share):
    person, size, _ = ROLES[role]
    asked = list(pages(app, objects(seed), role))[share :: HALVES.get(role, 1)]
    plain = sign_in(person) if person else visitor()
    axe, found, heavy, seen, taken = Axe(), [], [], 0, []
    page = browse(None, size, locale="ru" if share else "en")
    if person:
        sid = plain.get_cookie("sid", domain=person.tenant.host)
        page.context.add_cookies([{"name": "sid", "value": sid.value, "domain": person.tenant.host, "path": "/"}])
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": size == "phone"})  # there each page is weighed
    wire.on("Network.loadingFinished", lambda told: taken.append(told["encodedDataLength"]))
    for endpoint, path in asked:
        answer = plain.get(path)
        answer.close()
        if answer.status_code >= 300 or answer.mimetype != "text/html" or "<html" not in answer.text:
            continue  # a file, a part of a page, a way on
        taken.clear()
        page.emulate_media(color_scheme="light")
        page.goto(path)
        if size == "phone" and endpoint not in UNWEIGHED and (sum(taken) > BYTES or len(taken) > REQUESTS):
            heavy.append(f"{path}: {sum(taken)} bytes, {len(taken)} requests")
        found += violations(axe, page, path)
        seen += 1
    assert not found + heavy, "\n".join(found + heavy)
    assert seen >= 3


def test_axe_finds_nothing_in_the_operators_room(app, browse):
    """Every page of the room that can be read, the address map's, so that a new one cannot be forgotten."""
    with app.app_context():
        create_operator(OPERATOR_EMAIL, "Sergey Petrov", SECRET)
    page, axe, found = browse(host=OPS, size="phone", locale="ru"), Axe(), []
    page.goto("/login")
    page.fill("#sign-in [name=email]", OPERATOR_EMAIL)
    page.fill("#sign-in [name=password]", SECRET)
    page.press("#sign-in [name=password]", "Enter")
    page.wait_for_selector("#tenants-list")
    looked = set()
    for rule in app.url_map.iter_rules():
        if "GET" not in rule.methods or getattr(app.view_functions[rule.endpoint], "room", "") != "ops":
            continue
        path = address(app, rule, {name: CIRCLE.id for name in rule.arguments})
        page.emulate_media(color_scheme="light")
        page.goto(path)
        if page.url not in looked:  # some lead on to others
            looked.add(page.url)
            found += violations(axe, page, path)
    assert len(looked) >= 8
    assert not found, "\n".join(found)
