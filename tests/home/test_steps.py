"""The first steps of a new member and of a new tenant: what is done is read from what is there."""

from datetime import UTC, date, datetime, timedelta

import pytest
from flask import g
from sqlalchemy import update

from portal.identity.models import TwoFactorMethod, User
from portal.invitations.service import Guest, invite
from portal.profiles.models import Profile
from portal.tenants import hosts
from portal.tenants.change import put_setting
from portal.tenants.models import LegalText
from tests.cast import ALICE, BOB, CIRCLE, EVE, GLOBEX, MALLORY, OLGA, SAM, uid
from tests.purchases.shop import buy


@pytest.fixture
def change(seen_by):
    """Change Alice's row behind the services' backs."""

    def change(**values):
        with seen_by(CIRCLE) as session:
            g.seeding = True
            session.execute(update(User).where(User.id == ALICE.id).values(**values))
            session.commit()
            g.seeding = False

    return change


def steps_on(page):
    return page.partition('id="first-steps"')[2].partition("</section>")[0]


def test_a_newcomer_sees_what_to_do_and_each_step_goes_once_it_is_done(sign_in, acting, change, seed):
    browser = sign_in(ALICE)
    panel = steps_on(browser.get("/me").text)
    assert "0 of 4" in panel
    for url in ("/me/contacts", "/me/about", "/me/card", "/me/security"):
        assert f'href="{url}"' in panel
    assert "Telegram" not in panel  # the tenant has no bot
    change(email_confirmed_at=datetime.now(UTC))
    assert "1 of 4" in steps_on(browser.get("/me").text)
    with acting(CIRCLE, BOB):
        buy(10_000)
    assert "2 of 4" in steps_on(browser.get("/me").text)
    seed(CIRCLE, Profile(id=ALICE.id, born_on=date(1990, 5, 1)))
    made = {"user_id": ALICE.id, "kind": "passkey", "created_at": datetime.now(UTC)}
    seed(CIRCLE, TwoFactorMethod(id=uid(7000), credential_id=b"a", **made))
    assert "3 of 4" in steps_on(browser.get("/me").text)  # made, and not tried yet
    seed(CIRCLE, TwoFactorMethod(id=uid(7002), credential_id=b"b", confirmed_at=datetime.now(UTC), **made))
    assert "first-steps" not in browser.get("/me").text


def test_they_are_put_away_with_one_tap(sign_in):
    browser = sign_in(ALICE)
    page = browser.get("/me").text
    assert "/me/welcome/end" in page
    assert browser.post("/me/welcome/end").location == "/me"
    assert "first-steps" not in browser.get("/me").text


def test_who_has_been_here_for_long_is_not_told_how_to_begin(sign_in, change):
    change(joined_at=datetime.now(UTC) - timedelta(days=31))
    assert "first-steps" not in sign_in(ALICE).get("/me").text


def test_the_steps_cost_one_statement_and_none_for_the_welcomed(sign_in, statements, change):
    browser = sign_in(ALICE)
    browser.get("/me")
    with statements() as fresh:
        browser.get("/me")
    change(welcomed_at=datetime.now(UTC))
    with statements() as welcomed:
        browser.get("/me")
    assert len(fresh) == len(welcomed) + 1 <= 12


def test_in_russian_they_are_russian(sign_in):
    assert "Первые шаги" in sign_in(EVE).get("/me").text


# ── a new tenant ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def new_tenant(acting):
    """The circle as if it had been opened a moment ago."""
    with acting(CIRCLE, OLGA):
        put_setting("first_steps", "open")
    hosts.forget()


def test_the_admin_of_a_new_tenant_sees_what_is_left_to_do(new_tenant, sign_in, acting, seed):
    browser = sign_in(OLGA)
    panel = steps_on(browser.get("/admin").text)
    assert "3 of 5" in panel  # the test's tenant has a look, businesses and staff of its own
    assert 'href="/admin/tiers"' in panel
    seed(
        CIRCLE,
        LegalText(
            id=uid(7001), page="terms", locale="en", version=1, title="T", body="B", published_at=datetime.now(UTC)
        ),
    )
    assert "4 of 5" in steps_on(browser.get("/admin").text)
    with acting(CIRCLE, BOB):
        buy(10_000)
    assert "first-steps" not in browser.get("/admin").text


def test_it_is_put_away_for_everybody_and_costs_nothing_then(new_tenant, sign_in, statements):
    browser = sign_in(OLGA)
    browser.get("/admin")
    with statements() as fresh:
        browser.get("/admin")
    assert browser.post("/admin/first-steps/end").location == "/admin"
    browser.get("/admin")
    with statements() as away:
        browser.get("/admin")
    assert "first-steps" not in browser.get("/admin").text
    assert len(fresh) == len(away) + 1


def test_who_may_not_change_the_settings_is_not_bothered(new_tenant, sign_in):
    assert "first-steps" not in sign_in(SAM).get("/admin").text
    assert sign_in(SAM).post("/admin/first-steps/end").status_code == 403


def test_a_tenant_that_was_not_just_opened_shows_none(sign_in):
    assert "first-steps" not in sign_in(MALLORY).get("/admin").text


def test_an_invitation_of_staff_is_the_step_done(acting, seen_by):
    from portal.home.steps import _TENANT
    from portal.invitations.service import Offer

    with seen_by(GLOBEX) as session:
        before = session.execute(_TENANT, {"tenant": GLOBEX.id}).one().staff
    assert not before  # Mallory works alone
    with acting(GLOBEX, MALLORY):
        invite(Guest("helper@new.example", offer=Offer("support")))
    with seen_by(GLOBEX) as session:
        assert session.execute(_TENANT, {"tenant": GLOBEX.id}).one().staff
