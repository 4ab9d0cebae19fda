"""A tenant's own addresses: nothing answers there before the DNS has said whose they are."""

import re

import pytest

from portal.embedded.names import NameServer
from portal.settings import settings
from tests.cast import CIRCLE, IRINA, MALLORY, OLGA

PAGE = "/admin/settings/domains"
HOST = "club.example.com"


@pytest.fixture
def names(monkeypatch):
    """The resolver that the portal asks."""
    server = NameServer().start()
    monkeypatch.setenv("DNS_RESOLVER", server.address)
    settings.cache_clear()
    yield server
    server.stop()
    settings.cache_clear()


def add(browser, host=HOST):
    return browser.submit(PAGE, form="domain-form", host=host)


def press(browser, what):
    page = browser.get(PAGE).text
    url = re.search(rf'action="([^"]+/{what})"', page)[1]
    host = re.search(rf'/{what}"><input[^>]+><input type="hidden" name="host" value="([^"]+)"', page)
    return browser.post(url, data={"host": host[1]} if host else {})


def record(browser):
    return re.search(r"krug-verification=\w{32}", browser.get(PAGE).text)[0]


@pytest.mark.commits
def test_from_a_claim_to_the_first_address(sign_in, visitor, names):
    """T5: an unproved host shows nothing; the old address leads to the new one, with path and query."""
    olga = sign_in(OLGA)
    assert add(olga).status_code == 303
    text = record(olga)
    assert visitor(HOST).get("/").status_code == 404
    press(olga, "check")
    assert "is not there yet" in olga.get(PAGE).text
    names.records[f"_krug.{HOST}"] = ["v=spf1 -all", "krug-verification=" + "0" * 32]
    press(olga, "check")
    page = olga.get(PAGE).text
    assert "with another text" in page
    assert "/service" not in page
    names.records[f"_krug.{HOST}"].append(text)
    press(olga, "check")
    assert visitor(HOST).get("/").status_code == 404, "proved is not yet in service"
    press(olga, "service")
    assert "Circle" in visitor(HOST).get("/").text
    press(olga, "first")
    led = visitor(CIRCLE.host).get("/join?next=/me")
    assert (led.status_code, led.location) == (308, f"http://{HOST}:8000/join?next=/me")
    assert visitor(HOST).get("/").status_code == 200


def test_somebody_elses_domain(sign_in, visitor, names):
    """Both may claim it; the one whose token is there gets it, and the other one's button refuses."""
    olga, mallory = sign_in(OLGA), sign_in(MALLORY)
    add(olga)
    add(mallory)
    names.records[f"_krug.{HOST}"] = [record(olga)]
    press(mallory, "check")
    assert "with another text" in mallory.get(PAGE).text
    claim = re.search(rf"{PAGE}/([0-9a-f-]+)/check", mallory.get(PAGE).text)[1]
    mallory.post(f"{PAGE}/{claim}/service")
    assert visitor(HOST).get("/").status_code == 404
    assert mallory.post(f"{PAGE}/first", data={"host": CIRCLE.host}).status_code == 303
    assert visitor(CIRCLE.host).get("/").status_code == 200
    press(olga, "check")
    press(olga, "service")
    assert "Circle" in visitor(HOST).get("/").text
    names.records[f"_krug.{HOST}"].append(record(mallory))
    press(mallory, "check")
    press(mallory, "service")
    assert "another community uses it" in mallory.get(PAGE).text
    assert "Circle" in visitor(HOST).get("/").text


@pytest.mark.parametrize(
    "host", ["localhost", "x.localhost", "127.0.0.1", "a b.example", "-a.example", "exa_mple.com", "a..b", "круг"]
)
def test_what_is_no_host_of_ones_own_is_refused(sign_in, host, names):
    assert add(sign_in(OLGA), host).status_code == 422


def test_a_name_of_other_letters_is_kept_as_browsers_send_it(sign_in, names):
    olga = sign_in(OLGA)
    assert add(olga, "Клуб.РФ").status_code == 303
    page = olga.get(PAGE).text
    assert "клуб.рф" in page
    assert "xn--90ard6a.xn--p1ai" in page


def test_a_resolver_that_is_silent_is_said(sign_in, names, monkeypatch):
    from portal.tenants import dns

    monkeypatch.setattr(dns, "PATIENCE_S", 0.3)
    names.stop()
    olga = sign_in(OLGA)
    add(olga)
    press(olga, "check")
    assert "do not answer" in olga.get(PAGE).text


def test_only_an_admin_may(sign_in):
    assert sign_in(IRINA).get(PAGE).status_code == 403
