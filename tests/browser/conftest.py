"""A running portal and a headless Chromium. The portal is served from this process, on the tenant's own host name."""

import threading
from contextlib import closing

import pytest
from playwright.sync_api import expect, sync_playwright
from werkzeug.serving import make_server

from tests.browser.chromium import found
from tests.cast import PASSWORD

PATIENCE_MS = 60_000  # until what is waited for counts as missing; a busy machine is slow, not wrong
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desk": (1440, 900)}
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def chromium():
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found(), args=QUIET)
        yield browser
        browser.close()


class Answers:
    """The app, each answer whole before its first byte goes out, and a count of those still being made.

    Werkzeug's server leaves the file of an answer open when the browser hangs up in the middle of it.
    """

    def __init__(self, app):
        self.app, self.open, self.changed = app, 0, threading.Condition()

    def __call__(self, environ, start_response):
        self._count(1)
        try:
            with closing(self.app(environ, start_response)) as parts:
                return [b"".join(parts)]
        finally:
            self._count(-1)

    def _count(self, more):
        with self.changed:
            self.open += more
            self.changed.notify_all()

    def finish(self):
        """Returns when nobody is being answered: what a page asked for last is not left to the next test."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.open == 0, PATIENCE_MS / 1000)


@pytest.fixture
def portal(app):
    """The port on which the app answers while the test runs."""
    answers = Answers(app)
    server = make_server("127.0.0.1", 0, answers, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()
    answers.finish()


@pytest.fixture
def browse(chromium, portal):
    """A browser window of somebody: `page = browse(BOB, "tablet")`. Console errors and page errors fail the test."""
    opened, errors = [], []

    def browse(person=None, size="desk", *, locale="en", dark=False, host=None, javascript=True):
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            locale=locale,
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
            base_url=f"http://{host or (person.tenant.host if person else 'circle.localhost')}:{portal}",
        )
        context.set_default_timeout(PATIENCE_MS)
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console", lambda m: errors.append(m.text) if m.type == "error" and "status of 4" not in m.text else None
        )
        if person:
            page.goto("/login")
            page.fill("[name=email]", person.email)
            page.fill("[name=password]", PASSWORD)
            page.press("[name=password]", "Enter")
            page.wait_for_url(lambda url: "/login" not in url and "/welcome" not in url)
        return page

    yield browse
    for context in opened:
        context.close()
    assert errors == []
