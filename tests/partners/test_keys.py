"""Keys on the owner's desk: shown once, kept as a hash, renewed with an overlap, revoked at once."""

import os
import re
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import select

from portal.kernel.audit import AuditEntry
from portal.partners import keys
from portal.partners.models import ApiKey
from tests.cast import (
    ALICE,
    BOB,
    BOOKS,
    BORIS,
    CAFE,
    CAROL,
    CIRCLE,
    ED,
    FOREIGN_CAFE,
    FRANK,
    GLOBEX,
    IRINA,
    MALLORY,
    OLGA,
    SAM,
)

PAGE = "/desk/cafe/keys"
TYPED = {"name": "Till 1", "scopes": ["purchases.create", "members.find"], "days": "0"}


def secret_in(text):
    found = re.search(r'<code id="secret"[^>]*>(krug_test_\w+)</code>', text)
    return found and found[1]


@pytest.fixture
def rows(seen_by):
    def rows():
        with seen_by(CIRCLE) as session:
            return session.scalars(select(ApiKey).order_by(ApiKey.created_at)).all()

    return rows


@pytest.fixture
def holder(acting):
    def holder(secret):
        with acting(CIRCLE):
            return keys.holder_of(secret)

    return holder


@pytest.mark.parametrize("who", [ALICE, BOB, CAROL, BORIS, ED, SAM, FRANK])
def test_only_the_owner_and_the_admin_may(sign_in, acting, rows, who):
    with acting(CIRCLE, IRINA):
        key_id, _ = keys.create_key(CAFE.id, "Till")
    browser = sign_in(who)
    assert browser.get(PAGE).status_code == 403
    for url in (PAGE, f"{PAGE}/{key_id}/renewal", f"{PAGE}/{key_id}/revocation"):
        assert browser.post(url, data=TYPED).status_code == 403
    assert [row.revoked_at for row in rows()] == [None]


@pytest.mark.parametrize("who", [IRINA, OLGA])
def test_a_key_is_made_and_shown_once(sign_in, rows, holder, who, seen_by):
    browser = sign_in(who)
    assert "No key yet" in browser.get(PAGE).text
    answer = browser.submit(PAGE, form="key-form", **TYPED)
    assert answer.status_code == 201
    secret = secret_in(answer.text)
    assert 'data-copy="secret"' in answer.text
    assert "no-store" in answer.headers["Cache-Control"]
    found = holder(secret)
    assert (found.name, found.scopes, found.business.slug) == ("Till 1", {"purchases.create", "members.find"}, "cafe")
    (row,) = rows()
    assert (row.created_by, row.expires_at) == (who.id, None)
    for place in (browser.get(PAGE).text, str(vars(row))):
        assert secret.split("_")[3] not in place
    with seen_by(CIRCLE) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "key.create")).one()
        assert (entry.actor_id, entry.object_type, entry.object_id) == (who.id, "api_key", row.id)
        assert secret.split("_")[3] not in str(entry.changes)


def test_a_form_sent_twice_makes_one_key(sign_in, rows):
    irina = sign_in(IRINA)
    form_key = "k" * 32
    assert irina.post(PAGE, data={**TYPED, "form_key": form_key}).status_code == 201
    again = irina.post(PAGE, data={**TYPED, "form_key": form_key}, follow_redirects=True)
    assert "That key was made before" in again.text
    assert secret_in(again.text) is None
    assert len(rows()) == 1


def test_a_key_with_an_end(sign_in, rows, holder, acting):
    from portal.kernel import clock

    secret = secret_in(sign_in(IRINA).submit(PAGE, form="key-form", **{**TYPED, "days": "30"}).text)
    with acting(CIRCLE):
        assert abs(rows_end(rows) - clock.now() - timedelta(days=30)) < timedelta(minutes=1)
    assert holder(secret)


def rows_end(rows):
    return rows()[0].expires_at


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": ""}, "Fill this in."),
        ({"name": "x" * 81}, "longer than 80"),
        ({"name": "a\x00b"}, "cannot be stored"),
        ({"scopes": []}, "Tick at least one."),
        ({"scopes": ["settings.update"]}, "Not saved yet"),
        ({"scopes": ["purchases.create", "*"]}, "Not saved yet"),
        ({"days": "5000"}, "Not a valid choice"),
    ],
)
def test_what_cannot_be_is_refused_and_kept_as_typed(sign_in, rows, typed, said):
    answer = sign_in(IRINA).submit(PAGE, form="key-form", **{**TYPED, **typed})
    assert answer.status_code == 422
    assert said in answer.text
    if "name" not in typed:
        assert 'value="Till 1"' in answer.text
    assert rows() == []


def test_a_renewed_key_works_beside_its_successor_for_a_day(sign_in, rows, holder, acting, monkeypatch):
    irina = sign_in(IRINA)
    old = secret_in(irina.submit(PAGE, form="key-form", **TYPED).text)
    (row,) = rows()
    page = irina.get(PAGE).text
    assert "Renew Till 1?" in page
    form_key = re.search(rf'name="form_key" value="([^"]+-{row.prefix})"', page)[1]
    answer = irina.post(f"{PAGE}/{row.id}/renewal", data={"form_key": form_key})
    assert answer.status_code == 201
    new = secret_in(answer.text)
    assert holder(old)
    assert holder(new).scopes == holder(old).scopes
    first, second = rows()
    assert second.expires_at is None
    assert abs(first.expires_at - first.created_at - keys.OVERLAP) < timedelta(minutes=1)
    again = irina.post(f"{PAGE}/{row.id}/renewal", data={"form_key": form_key}, follow_redirects=True)
    assert "That key was made before" in again.text
    assert len(rows()) == 2


def test_a_revoked_key_opens_nothing_and_is_not_renewed(sign_in, rows, holder):
    irina = sign_in(IRINA)
    secret = secret_in(irina.submit(PAGE, form="key-form", **TYPED).text)
    (row,) = rows()
    assert "Revoke Till 1?" in irina.get(PAGE).text
    assert irina.post(f"{PAGE}/{row.id}/revocation").status_code == 303
    assert holder(secret) is None
    page = irina.get(PAGE).text
    assert "revoked" in page
    assert "Revoke Till 1?" not in page
    refused = irina.post(f"{PAGE}/{row.id}/renewal")
    assert refused.status_code == 422
    assert "This key was withdrawn. Make a new one." in refused.text
    assert irina.post(f"{PAGE}/{row.id}/revocation").status_code == 303
    assert len(rows()) == 1


def test_keys_of_the_neighbour_and_of_another_tenant_do_not_exist(sign_in, acting, rows):
    with acting(CIRCLE, OLGA):
        books, books_secret = keys.create_key(BOOKS.id, "Books till")
    with acting(GLOBEX, MALLORY):
        foreign, foreign_secret = keys.create_key(FOREIGN_CAFE.id, "Globex till")
    irina = sign_in(IRINA)
    page = irina.get(PAGE).text
    assert "Books till" not in page
    assert "Globex till" not in page
    for key_id in (books, foreign):
        for act in ("renewal", "revocation"):
            assert irina.post(f"{PAGE}/{key_id}/{act}").status_code == 404
    assert irina.get("/desk/books/keys").status_code == 403
    with acting(CIRCLE):
        assert keys.holder_of(books_secret)
        assert keys.holder_of(foreign_secret) is None
    with acting(GLOBEX):
        assert keys.holder_of(foreign_secret)


def test_the_page_asks_few_questions(sign_in, acting, statements):
    with acting(CIRCLE, IRINA):
        for n in range(5):
            keys.create_key(CAFE.id, f"Till {n}")
    irina = sign_in(IRINA)
    with statements() as seen:
        assert irina.get(PAGE).status_code == 200
    assert len(seen) <= 10, seen


@pytest.mark.commits
def test_a_live_shop_gets_a_test_key_that_opens_its_own_shop_in_the_sandbox(app, sign_in, acting):
    """A second one ends the first; it opens nothing at the live community; a shop of the same name elsewhere has another."""
    from flask import g

    from portal.api import sandbox
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants import hosts
    from portal.tenants.start import open_tenant

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as superuser:
        superuser.execute("UPDATE tenants SET kind = 'live' WHERE slug = 'globex'")
    hosts.forget()
    browser = sign_in(MALLORY)
    page = f"/desk/{FOREIGN_CAFE.slug}/keys"
    assert browser.post(f"{page}/test", data={}).status_code == 404
    with app.app_context():
        open_tenant(sandbox.SLUG, name="Sandbox", currency="RUB", timezone="UTC", locales=("en", "ru"), kind="sandbox")
    assert "/keys/test" in browser.get(page).get_data(as_text=True)
    first, second = (secret_in(browser.post(f"{page}/test", data={}).get_data(as_text=True)) for _ in range(2))
    with acting(CIRCLE):
        theirs = sandbox.test_key(FOREIGN_CAFE.slug, "Another")
        assert keys.holder_of(second) is None
    with app.app_context():
        tenant_id = hosts.tenant_named(sandbox.SLUG)
        with tenant_scope(tenant_id):
            g.tenant = hosts.tenant_by_id(tenant_id)
            assert keys.holder_of(first) is None
            mine = keys.holder_of(second)
            assert mine.scopes == {str(scope) for scope in keys.SCOPES}
            assert keys.holder_of(theirs).business.id != mine.business.id
