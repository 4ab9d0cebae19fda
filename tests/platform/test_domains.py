"""The operator sees every tenant's addresses, has proofs looked at and retires one (G19, D44)."""

import re

import pytest
from sqlalchemy import select

from portal.kernel.audit import AuditEntry
from portal.tenants.models import DomainClaim
from tests.cast import CIRCLE, GLOBEX, OLGA
from tests.platform.test_operator import ask
from tests.tenants.test_domains import HOST, add, names, press, record  # noqa: F401  a fixture

pytestmark = pytest.mark.commits


def row(browser, host=HOST, slug="circle"):
    return browser.get("/domains").text.split(f'id="{slug}:{host}"')[1].split("</tr>")[0]


def push(browser, what):
    url = re.search(rf'action="(/domains/[^"]+/{what}[^"]*)"', row(browser))[1].replace("&amp;", "&")
    return post(browser, url, HOST)


def post(browser, url, host=""):
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/domains").text)[1]
    return browser.post(url, data={"retired": host, "csrf_token": token})


def test_hosts_and_claims_of_all_tenants_with_their_state(inside, sign_in):
    add(sign_in(OLGA))
    page = inside.get("/domains").text
    assert CIRCLE.host in page
    assert GLOBEX.host in page
    assert "waits for proof" in row(inside)
    assert "not yet" in row(inside)
    only = inside.get("/domains?tenant=globex").text
    assert GLOBEX.host in only
    assert HOST not in only
    assert HOST in inside.get("/domains?host=CLUB.").text
    assert "No address begins like this" in inside.get("/domains?host=nowhere").text
    assert 'href="/domains"' in inside.get("/tenants").text
    assert "krug-verification" not in page


def test_a_check_now_and_a_retirement_stand_in_both_logs(inside, sign_in, visitor, seen_by, names):  # noqa: F811
    """Seen red with a check that did not act inside the tenant."""
    olga = sign_in(OLGA)
    add(olga)
    text = record(olga)
    assert push(inside, "check").status_code == 303
    assert "is not there yet" in row(inside)
    names.records[f"_krug.{HOST}"] = [text]
    push(inside, "check")
    assert "proved" in row(inside)
    assert "retirement" not in row(inside)
    press(olga, "service")
    assert visitor(HOST).get("/").status_code == 200
    assert push(inside, "retirement").status_code == 303
    assert "only leads there" in row(inside)
    assert visitor(HOST).get("/").status_code == 308
    assert "retirement" not in row(inside, CIRCLE.host), "the first one stays"
    log = ask("SELECT action FROM platform_audit WHERE action LIKE 'domain.%%' ORDER BY seq")
    assert [one for (one,) in log] == ["domain.check", "domain.check", "domain.retire"]
    with seen_by(CIRCLE) as session:
        own = session.scalars(select(AuditEntry.action).where(AuditEntry.action.like("domain.%"))).all()
    assert sorted(own) == ["domain.activate", "domain.claim", "domain.retire", "domain.verify", "domain.verify"]


def test_the_first_address_and_anothers_claim_are_refused(inside, sign_in, seen_by):
    add(sign_in(OLGA))
    with seen_by(CIRCLE) as session:
        claim = session.scalars(select(DomainClaim.id)).one()
    post(inside, f"/domains/{CIRCLE.id}/retirement", CIRCLE.host)
    assert "The first address stays" in inside.get("/domains").text
    assert post(inside, f"/domains/{GLOBEX.id}/{claim}/check").status_code == 404
