"""Every page that somebody may read, by the address map and access.csv, and what a browser finds wrong with one.

So a new page cannot be forgotten. Sizes are those of ui.md: a phone in a hand, a tablet at a counter, a laptop.
"""

import os
from contextlib import contextmanager

import psycopg
from axe_playwright_python.sync_playwright import Axe
from psycopg.types.json import Json

from portal.platform.service import create_operator
from portal.tenants import hosts
from tests.architecture.test_access import MATRIX, OPS, ROLES, address, listing, opened, routes, routes_of
from tests.cast import CIRCLE, OPERATOR_EMAIL
from tests.objects import TERMS, VERIFIES, bots, own_parts, terms

SIZES = {"phone": (390, 844), "tablet": (820, 1180), "laptop": (1280, 800)}
THEMES, LOCALES = ("light", "dark"), ("en", "ru")
OPERATOR = "operator"
SECRET = "lantern orchard seventeen"
CUT = """() => {
  const told = [], root = document.scrollingElement, wide = root.clientWidth, pen = document.createElement('canvas').getContext('2d');
  const say = (what, one) => told.push(what + ': ' + one.outerHTML.replace(/\\s+/g, ' ').slice(0, 160));
  const scrolls = (one) => /auto|scroll/.test(getComputedStyle(one).overflowX);
  const hides = (one) => /hidden|clip/.test(getComputedStyle(one).overflowX);
  const above = function* (one) { for (let up = one.parentElement; up && up !== document.body; up = up.parentElement) yield up; };
  if (root.scrollWidth > wide) {
    const far = [...document.body.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > wide + 1 && ![...above(one)].some((up) => scrolls(up) || hides(up)));
    say('the page is ' + root.scrollWidth + ' wide', far.at(-1) || root);
  }
  for (const one of document.querySelectorAll('button, .btn, .chip, .tag, summary, select, label')) {
    const box = one.getBoundingClientRect();
    if (box.width < 2 || box.height < 2 || !one.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    const style = getComputedStyle(one);
    if (style.clipPath !== 'none' || style.display === 'inline') continue;
    if (one.localName === 'select') {
      pen.font = style.font;
      const text = one.selectedOptions[0]?.textContent.trim() || '';
      if (!one.multiple && pen.measureText(text).width > one.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) + 1) say('its choice is cut', one);
    } else if (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 2) say('its text is cut', one);
    for (const up of above(one)) {
      if (scrolls(up)) break;
      if (hides(up) && box.right > up.getBoundingClientRect().right + 1) { say('it is cut', one); break; }
    }
  }
  return told;
}"""


def readable(app, things, role, rooms=None):
    """(endpoint, address) of what this role of access.csv may read, in these rooms or in all; an operator in their own."""
    if role == OPERATOR:
        for endpoint, method, rule in routes_of(app, "ops"):
            if method == "GET":
                yield endpoint, address(app, rule, dict.fromkeys(rule.arguments, CIRCLE.id))
        return
    may = {endpoint for (endpoint, method), row in listing(MATRIX).items() if method == "GET" and row[role] == "allow"}
    for endpoint, method, rule in routes(app):
        room = getattr(app.view_functions[endpoint], "room", "")
        if method == "GET" and endpoint in may and (rooms is None or room in rooms):
            yield endpoint, address(app, rule, own_parts(things, endpoint, rule.arguments))


def window_of(app, seed, browse, sign_in, visitor, role):
    """A browser window of somebody of this role, and a way to ask what an address answers."""
    if role == OPERATOR:
        with app.app_context():
            create_operator(OPERATOR_EMAIL, "Sergey Petrov", SECRET)
        page, plain = browse(host=OPS), visitor(OPS)
        assert plain.submit("/login", form="sign-in", email=OPERATOR_EMAIL, password=SECRET).status_code == 303
    else:
        _furnished(app, seed)
        plain = sign_in(ROLES[role]) if ROLES[role] else visitor()
        page = browse(None)
    if sid := plain.get_cookie("sid", domain=plain.host):
        page.context.add_cookies([{"name": "sid", "value": sid.value, "domain": plain.host, "path": "/"}])
    page.emulate_media(reduced_motion="reduce")
    return page, plain


def _furnished(app, seed):
    """The circle says something on every page, has terms, verifies its members and has a bot."""
    terms(seed)
    bots(seed)
    said = {"text": {"en": "Open on Sunday", "ru": "Открыто в воскресенье"}, "audience": "all"}
    settings = Json({"banner": said, **TERMS, **VERIFIES})
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as superuser:
        superuser.execute("UPDATE tenants SET settings = settings || %s::jsonb WHERE id = %s", (settings, CIRCLE.id))
    with app.app_context():
        hosts.forget()


def is_page(plain, path):
    """Whether a whole page stands there: no file, no part of a page, no way on."""
    answer = opened(plain, "GET", path)
    return answer.status_code < 300 and answer.mimetype == "text/html" and "<html" in answer.text


def speak(page, plain, locale):
    """From now on everybody reads this language."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as superuser:
        superuser.execute("UPDATE users SET locale = %s", (locale,))
    page.context.add_cookies([{"name": "lang", "value": locale, "domain": plain.host, "path": "/"}])


def wrong_with(page, size, theme):
    """What axe finds on the page that is open, and whatever does not fit on it."""
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=theme)
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")  # colours on their way
    told = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in told] + page.evaluate(CUT)


@contextmanager
def weighed(page):
    """Collects the bytes of what arrives; nothing is taken from the cache."""
    wire, taken = page.context.new_cdp_session(page), []
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    wire.on("Network.loadingFinished", lambda told: taken.append(told["encodedDataLength"]))
    yield taken
    wire.detach()
