"""B8 at every address: whatever a `next`, a Referer or a header of htmx names, nobody is led to another host."""

from contextlib import closing
from datetime import timedelta
from urllib.parse import quote, urlsplit

import pytest

from tests.architecture.test_access import ROLES, address, routes
from tests.cast import CIRCLE
from tests.objects import objects, own_parts

OUTSIDE = (
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)//evil.example",
)
NAMES = ("next", "url", "to", "back", "return", "return_to", "redirect", "auth_url")
LEADS = ("Location", "HX-Redirect", "HX-Location", "HX-Push-Url", "HX-Replace-Url", "Refresh")


def led_out(answer):
    """Where an answer leads that is no page of this host."""
    for name in LEADS:
        lead = answer.headers.get(name, "")
        plain = lead.replace("\\", "/")
        if lead and (plain.startswith("//") or urlsplit(plain).netloc not in {"", f"{CIRCLE.host}:8000", CIRCLE.host}):
            yield f"{name}: {lead}"


@pytest.mark.parametrize("role", ["anon", "member", "admin"])
def test_nobody_is_led_elsewhere(app, seed, visitor, sign_in, monkeypatch, role):
    monkeypatch.setattr("portal.extensions.limiter.enabled", False)
    monkeypatch.setattr("portal.identity.stepup.AGE", timedelta(0))  # confirm is asked everywhere
    things, wrong, led = objects(seed), [], 0
    client = sign_in(ROLES[role], at=CIRCLE) if ROLES[role] else visitor(csrf=True)
    for n, (endpoint, method, rule) in enumerate(routes(app)):
        if endpoint in {"identity.sign_out", "identity.revoke_other_sessions", "leaving.leave", "telegram.start"}:
            continue  # the first three end the session; the fourth is the way to Telegram
        url = address(app, rule, own_parts(things, endpoint, rule.arguments))
        evil = OUTSIDE[n % len(OUTSIDE)]
        sent = dict.fromkeys(NAMES, evil)
        headers = {
            "Referer": "https://evil.example/x",
            "HX-Current-URL": "https://evil.example/x",
            **({"HX-Request": "true"} if n % 2 else {}),
        }
        with closing(
            client.open(url, method=method, query_string=sent, data=sent if method != "GET" else None, headers=headers)
        ) as answer:
            wrong += [f"{method} {url} {evil!r}: {lead}" for lead in led_out(answer)]
            led += any(name in answer.headers for name in LEADS)
            if answer.mimetype == "text/html" and f'"{evil}"' in answer.get_data(as_text=True):
                wrong.append(f"{method} {url} shows {evil!r} in an attribute")
    assert wrong == []
    assert led > 10


@pytest.mark.parametrize("evil", OUTSIDE)
def test_the_doors_lead_on_inside(visitor, evil):
    for page in ("/login", "/join", "/reset", "/telegram/login", "/me/confirm", "/login/second"):
        with closing(visitor().get(f"{page}?next={quote(evil)}")) as answer:
            assert list(led_out(answer)) == []
            assert f'value="{evil}"' not in answer.get_data(as_text=True)
