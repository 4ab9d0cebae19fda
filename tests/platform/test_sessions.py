"""Operators see where they are signed in, and sign out what is not theirs (security.md 3)."""

import re
from types import SimpleNamespace

import pytest

from portal.identity.service import SignedOutMeanwhile
from portal.platform import service, sessions
from tests.platform.test_operator import OPS, SECRET, ask, enter
from tests.platform.test_second_factor import enrol, forget_step, post

pytestmark = pytest.mark.commits
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1"
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def windows(visitor, operator):
    """The same operator on a laptop, on a phone and once more."""
    browsers = []
    for agent, address in ((LAPTOP, "10.1.0.1"), (PHONE, "10.1.0.2"), (LAPTOP, "10.1.0.3")):
        browser = visitor(OPS)
        browser.environ_base.update({"REMOTE_ADDR": address, "HTTP_USER_AGENT": agent})
        assert enter(browser).status_code == 303
        browsers.append(browser)
    return browsers


def items(browser):
    """The lines of the list: what each says, by its address, and its path to the end of it."""
    page = browser.get("/account").text
    lines = re.findall(r'<li id="session-([\w-]+)">(.*?)</li>', page, re.DOTALL)
    return {re.search(r"10\.1\.0\.\d", line)[0]: (line, f"/account/sessions/{key}/end") for key, line in lines}


def is_in(browser):
    return browser.get("/health").status_code == 200


def test_the_browsers_are_listed_and_one_is_ended(windows):
    laptop, *_ = windows
    shown = items(laptop)
    assert len(shown) == 3
    assert "This device" in shown["10.1.0.1"][0]
    assert "Firefox, Linux" in shown["10.1.0.1"][0]
    assert "/end" not in shown["10.1.0.1"][0]
    assert "Safari, iPhone" in shown["10.1.0.2"][0]
    assert "your own network" in shown["10.1.0.2"][0]
    assert post(laptop, shown["10.1.0.2"][1]).location == "/account"
    assert [is_in(browser) for browser in windows] == [True, False, True]
    assert set(items(laptop)) == {"10.1.0.1", "10.1.0.3"}
    assert post(laptop, shown["10.1.0.2"][1]).status_code == 404
    assert ask("SELECT detail FROM platform_audit WHERE action = 'operator.end_sessions'") == [({"number": 1},)]


def test_all_but_the_present_one_are_ended_and_nobody_elses(windows, visitor, app):
    """Seen red without the operator in the DELETE's condition: anybody ended anybody's session by its id."""
    with app.app_context():
        service.create_operator("second@krug.example", "Vera Second", SECRET)
    vera, (laptop, phone, other) = visitor(OPS), windows
    enter(vera, email="second@krug.example")
    theirs = ask(
        "SELECT s.id FROM operator_sessions s JOIN operators o ON o.id = s.operator_id WHERE o.name LIKE 'Vera%%'"
    )
    assert post(laptop, f"/account/sessions/{theirs[0][0]}/end").status_code == 404
    assert post(laptop, "/account/sessions/end").location == "/account"
    page = laptop.get("/account").text
    assert "2 devices are signed out" in page
    assert "Sign out everywhere else" not in page
    assert [is_in(browser) for browser in (laptop, phone, other, vera)] == [True, False, False, True]


def test_somebody_who_knows_the_password_alone_is_seen_and_ended(inside, visitor, app):
    """A half session that was ended becomes no whole one. Seen red with a `finish` that does not look."""
    secret, _ = enrol(inside)
    thief = visitor(OPS)
    enter(thief)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', thief.get("/second").text)[1]
    assert "second factor not shown yet" in inside.get("/account").text
    half = ask("SELECT token_hash, operator_id AS id FROM operator_sessions WHERE state = 'half'")[0]
    post(inside, "/account/sessions/end")
    data = {"way": "totp", "code": forget_step(secret), "csrf_token": token}
    assert thief.post("/second", data=data, csrf=False).status_code == 303
    assert thief.get("/tenants").status_code == 303
    with app.test_request_context(), pytest.raises(SignedOutMeanwhile):
        sessions.finish(SimpleNamespace(token_hash=half[0], id=half[1]))
    assert ask("SELECT count(*) FROM operator_sessions") == [(1,)]
