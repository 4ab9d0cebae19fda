"""Versions of the settings: what changed, by whom, and the way back."""

import re

import pytest
from sqlalchemy import select

from portal.kernel.audit import AuditEntry
from portal.tenants.models import Tenant, TenantVersion
from tests.cast import ALICE, BOB, CIRCLE, GLOBEX, MALLORY, OLGA
from tests.identity.test_factors import stale
from tests.tenants.test_logo import logo_on, picture, send
from tests.tenants.test_settings import PAGE, paint, save

VERSIONS = f"{PAGE}/versions"


@pytest.fixture
def kept(seen_by):
    def kept(tenant=CIRCLE):
        with seen_by(tenant) as session:
            return session.scalars(select(Tenant).where(Tenant.id == tenant.id)).one()

    return kept


@pytest.fixture
def rows(seen_by):
    def rows(tenant=CIRCLE):
        with seen_by(tenant) as session:
            return session.scalars(select(TenantVersion).order_by(TenantVersion.version)).all()

    return rows


def restore(browser, number, **typed):
    return browser.submit(f"{VERSIONS}/{number}", form="restore-form", **typed)


def test_every_page_of_settings_writes_one(sign_in, rows):
    olga = sign_in(OLGA)
    save(olga, name="Ring")
    paint(olga, hue="200", chroma="0.1", lightness="40")
    olga.submit(f"{PAGE}/texts", form="texts-form", **{"text-en": "Closed on Friday", "audience": "all"})
    olga.submit(f"{PAGE}/modules", form="modules-form", modules=["till", "loyalty"])
    send(olga, picture())
    found = rows()
    assert [(row.version, row.page) for row in found] == [
        (1, "settings"),
        (2, "brand"),
        (3, "texts"),
        (4, "modules"),
        (5, "brand"),
    ]
    assert found[0].before["name"] == "Circle"
    assert found[0].after["name"] == "Ring"
    assert {row.actor_id for row in found} == {OLGA.id}
    page = olga.get(VERSIONS).text
    assert "Closed on Friday" in page
    assert re.search(r"<del[^>]*>.*Circle</del>.*<ins[^>]*>.*Ring</ins>", page, re.S)
    assert OLGA.name in page
    assert rows(GLOBEX) == []
    save(olga, name="Ring")
    assert len(rows()) == 5


def test_what_was_is_put_back_as_a_new_version(sign_in, kept, rows, seen_by, visitor):
    olga = sign_in(OLGA)
    before = kept()
    send(olga, picture())
    logo = logo_on(visitor())
    save(olga, name="Ring", timezone="Asia/Tokyo", default_locale="ru", region="KZ")
    olga.post(f"{PAGE}/brand/picture", data={"which": "logo", "remove": "1"})
    olga.submit(f"{PAGE}/texts", form="texts-form", **{"welcome-en": "Hello", "audience": "all"})
    page = olga.get(f"{VERSIONS}/1").text
    assert "Restoring it would change" in page
    assert restore(olga, 1).status_code == 303
    row = kept()
    assert (row.name, row.timezone, row.default_locale) == (before.name, before.timezone, before.default_locale)
    assert "region" not in row.settings
    assert "texts" not in row.settings
    assert logo_on(visitor()) == logo
    last = rows()[-1]
    assert (last.version, last.page, last.restored, last.actor_id) == (5, "restore", 1, OLGA.id)
    with seen_by(CIRCLE) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "tenant.restore")).one()
    assert (entry.actor_id, entry.object_id) == (OLGA.id, CIRCLE.id)
    assert restore(olga, 4).status_code == 303
    assert kept().name == "Ring"
    assert restore(olga, 0).status_code == 303
    assert (kept().name, kept().brand) == (before.name, before.brand)


def test_legal_pages_and_rules_of_safety_stay(sign_in, kept):
    """They have versions of their own, and nobody's second factor goes with an older colour."""
    olga = sign_in(OLGA)
    save(olga, name="Ring")
    olga.submit(
        f"{PAGE}/legal",
        form="legal-form",
        **{"title-en": "Terms", "body-en": "Be kind.", "title-ru": "", "body-ru": ""},
    )
    olga.submit(f"{PAGE}/security", form="factor-rules", roles=["cashier"])
    restore(olga, 0)
    settings = kept().settings
    assert kept().name == "Circle"
    assert settings["second_factor"] == {"cashier": "required"}
    assert settings["legal"]["terms"]["version"]


@pytest.mark.commits
def test_a_module_that_the_operator_took_away_does_not_come_back(sign_in, kept, app):
    from portal.kernel.primaries import connect

    olga = sign_in(OLGA)
    save(olga, name="Ring")
    olga.submit(f"{PAGE}/modules", form="modules-form", modules=["till"])
    with connect("portal_platform") as operator:
        operator.execute("SELECT platform.set_terms(%s, %s, '{}')", (CIRCLE.id, ["till", "imports"]))
    restore(olga, 1)
    assert set(kept().modules) == {"till", "imports"}


def test_two_at_once_the_second_is_told(sign_in, kept):
    """Both open the page, both save: who is second learns it, what they typed is kept, and nothing is undone in silence."""
    olga = sign_in(OLGA)
    shown = re.search(r'name="seen"[^>]*value="(\d+)"', olga.get(PAGE).text)[1]
    save(olga, name="First")
    second = save(olga, name="Second", seen=shown)
    assert second.status_code == 409
    assert "Somebody else changed this" in second.text
    assert 'value="Second"' in second.text
    assert kept().name == "First"
    assert save(olga, name="First", timezone="Asia/Tokyo", seen=shown).status_code == 303
    stale = restore(olga, 1, seen="1")
    assert stale.status_code == 409
    assert kept().name == "First"


def test_only_the_tenants_admin_looks_and_restores(sign_in, kept):
    save(sign_in(OLGA), name="Ring")
    for who in (ALICE, BOB):
        assert sign_in(who).get(VERSIONS).status_code == 403
        assert sign_in(who).post(f"{VERSIONS}/0/restoration").status_code == 403
    assert "Ring" not in sign_in(MALLORY).get(VERSIONS).text
    assert sign_in(MALLORY).get(f"{VERSIONS}/1").status_code == 404
    assert sign_in(OLGA).get(f"{VERSIONS}/2").status_code == 404
    assert kept().name == "Ring"


def test_an_old_proof_is_asked_for_again(sign_in, kept, app):
    """Restoring is a sensitive act: whoever showed no factor for five minutes shows one first."""
    olga = sign_in(OLGA)
    save(olga, name="Ring")
    stale(app, OLGA)
    answer = olga.post(f"{VERSIONS}/0/restoration")
    assert answer.status_code == 303
    assert "/me/confirm" in answer.location
    assert kept().name == "Ring"
