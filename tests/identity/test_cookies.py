"""S3: what the cookies are called, what they are marked with, and that none of somebody else's making is believed."""

import hashlib

import pytest
from itsdangerous import URLSafeTimedSerializer

from tests.cast import ALICE, CIRCLE, EVE, GLOBEX, PASSWORD


@pytest.fixture
def https(app, monkeypatch):
    """The portal as it runs behind https."""
    from portal.settings import Settings

    monkeypatch.setattr(Settings, "secure", property(lambda _: True))
    monkeypatch.setitem(app.config, "SESSION_COOKIE_SECURE", True)


def cookies(response):
    """name → its attributes, as sent."""
    found = {}
    for line in response.headers.getlist("Set-Cookie"):
        pair, *marks = [part.strip() for part in line.split(";")]
        name, _, value = pair.partition("=")
        found[name] = (value, {mark.partition("=")[0].lower(): mark.partition("=")[2] for mark in marks})
    return found


def signed(value, secret, salt="cookie-session"):
    return URLSafeTimedSerializer(
        secret, salt=salt, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1}
    ).dumps(value)


def test_over_https_every_cookie_is_locked_to_its_host(https, visitor):
    """The prefix makes a browser refuse Domain= and plain http; Lax keeps it from other sites' POSTs."""
    browser = visitor()
    secure = {"base_url": f"https://{CIRCLE.host}"}
    sent = cookies(browser.get("/login", **secure))
    assert "__Host-anon" in sent
    token = browser.get("/login", **secure).text.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    answer = browser.post(
        "/login",
        data={"email": ALICE.email, "password": PASSWORD, "csrf_token": token},
        headers={"Referer": f"https://{CIRCLE.host}/login"},
        **secure,
    )
    assert answer.status_code == 303, answer.text
    sent |= cookies(answer)
    assert "__Host-sid" in sent
    for name, (value, marks) in sent.items():
        assert not value or {"secure", "httponly"} <= marks.keys(), name
        assert marks.get("samesite") == "Lax", name
        assert marks.get("path") == "/", name
        assert "domain" not in marks, name


def test_over_https_the_plain_name_opens_nothing(https, sign_in):
    """A cookie planted over plain http, or by another name of the domain, cannot bear the prefix."""
    browser = sign_in(ALICE)
    assert browser.get("/me", base_url=f"https://{CIRCLE.host}").status_code == 303
    token = browser.get_cookie("sid", domain=CIRCLE.host).value
    browser.set_cookie("__Host-sid", token, domain=CIRCLE.host, secure=True)
    assert browser.get("/me", base_url=f"https://{CIRCLE.host}").status_code == 200


def test_a_session_that_was_changed_is_no_session(sign_in, visitor):
    """One letter of it, a part of it, its hash as it is stored: each a stranger's; the cookie is taken away."""
    good = sign_in(ALICE).get_cookie("sid", domain=CIRCLE.host).value
    for n, bad in enumerate(
        [
            good[:-1] + ("A" if good[-1] != "A" else "B"),
            ("A" if good[0] != "A" else "B") + good[1:],
            good[:20],
            good + "A",
            good.swapcase(),
            hashlib.sha256(good.encode()).hexdigest(),
            f'"{good}"x',
            "null",
            "../" + good,
            good + "\\000",
        ]
    ):
        browser = visitor()
        browser.set_cookie("sid", bad, domain=CIRCLE.host)
        answer = browser.get("/me")
        assert answer.status_code == 303, (n, bad)
        assert "/login" in answer.location, (n, bad)
        assert cookies(answer)["sid"][0] == "", (n, bad)


def test_a_session_of_another_tenant_is_no_session(sign_in):
    assert sign_in(ALICE, at=GLOBEX).get("/me").status_code == 303
    assert sign_in(EVE).get("/me").status_code == 200


@pytest.mark.parametrize(
    ("secret", "believed"),
    [("now", True), ("before", True), ("long ago", False), ("", False), ("unsigned", False), ("another salt", False)],
)
def test_a_visitors_cookie_is_believed_by_its_signature(app, visitor, monkeypatch, secret, believed):
    """With the key of now and those still named in SECRET_KEY_FALLBACKS, and with no other."""
    monkeypatch.setitem(app.config, "SECRET_KEY", "the key of now, which is long enough")
    monkeypatch.setitem(app.config, "SECRET_KEY_FALLBACKS", ["the key before, which was long enough"])
    keys = {"now": app.config["SECRET_KEY"], "before": app.config["SECRET_KEY_FALLBACKS"][0]}
    value = {"csrf_token": "a" * 40}
    cookie = (
        signed(value, keys["now"]).rsplit(".", 1)[0]
        if secret == "unsigned"
        else signed(value, keys["now"], "another")
        if secret == "another salt"
        else signed(value, keys.get(secret, secret or "x"))
    )
    browser = visitor()
    browser.set_cookie("anon", cookie, domain=CIRCLE.host)
    token = URLSafeTimedSerializer(keys["now"], salt="wtf-csrf-token").dumps("a" * 40)
    answer = browser.post("/login", data={"email": ALICE.email, "password": PASSWORD, "csrf_token": token})
    assert answer.status_code == (303 if believed else 400)
