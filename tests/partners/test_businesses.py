"""Businesses in the admin's room: who may look, who may change, what a closed one can no longer do."""

import pytest
from sqlalchemy import select

from portal.kernel.audit import AuditEntry
from portal.partners import service
from portal.partners.models import Business, BusinessLocation
from tests.cast import ALICE, BOB, BOOKS, CAFE, CIRCLE, ED, FOREIGN_CAFE, FRANK, GLOBEX, IRINA, MALLORY, OLGA, SAM

LIST = "/admin/businesses"
PAGE = f"{LIST}/{CAFE.id}"
NEW = {"name": "Corner Yoga", "slug": "corner-yoga", "max_bonus_share": "30", "spend_confirmation": "code"}


@pytest.fixture
def shop(seen_by):
    """A business as it is now, by its address in the portal."""

    def shop(slug, tenant=CIRCLE):
        with seen_by(tenant) as session:
            return session.scalars(select(Business).where(Business.slug == slug)).one_or_none()

    return shop


def save(browser, url=f"{PAGE}/edit", **typed):
    return browser.submit(url, form="business-form", **{"spend_confirmation": "card_scan", **typed})


WRITES = {
    f"{LIST}/new": NEW,
    f"{PAGE}/edit": {**NEW, "name": "Taken over"},
    f"{PAGE}/closure": {"reason": "Because"},
    f"{PAGE}/closure/end": {},
    f"{PAGE}/locations": {"name": "Kiosk"},
}


@pytest.mark.parametrize("who", [ALICE, BOB, IRINA])
def test_whoever_works_at_a_shop_or_buys_there_sees_no_list(sign_in, who):
    browser = sign_in(who)
    assert [browser.get(url).status_code for url in (LIST, PAGE, f"{PAGE}/edit")] == [403, 403, 403]


@pytest.mark.parametrize("who", [ED, SAM, FRANK])
def test_the_office_may_look_and_change_nothing(sign_in, who, shop):
    browser = sign_in(who)
    assert "Par Coffee" in browser.get(LIST).text
    page = browser.get(PAGE).text
    assert "Irina Zotova" in page
    assert "closure-form" not in page
    assert "place-form" not in page
    for url, typed in WRITES.items():
        assert browser.post(url, data=typed).status_code == 403, url
    assert shop("corner-yoga") is None
    assert (shop("cafe").name, shop("cafe").archived_at) == ("Par Coffee", None)


def test_another_tenants_business_does_not_exist(sign_in, shop):
    olga, foreign = sign_in(OLGA), f"{LIST}/{FOREIGN_CAFE.id}"
    assert "Globex Cafeteria" not in olga.get(f"{LIST}?f.state=all").text
    assert [olga.get(url).status_code for url in (foreign, f"{foreign}/edit")] == [404, 404]
    for url, typed in WRITES.items():
        if str(CAFE.id) in url:
            assert olga.post(url.replace(str(CAFE.id), str(FOREIGN_CAFE.id)), data=typed).status_code == 404, url
    assert shop("cafe", GLOBEX).archived_at is None
    assert sign_in(MALLORY).get(PAGE).status_code == 404


def test_the_list_is_found_sorted_filtered_and_taken_away(sign_in, acting):
    with acting(CIRCLE, OLGA):
        service.archive_business(BOOKS.id, "Moved away")
        service.create_business(slug="zerno", name="=Zerno", category="Bakery", currency="RUB")
    olga = sign_in(OLGA)
    page = olga.get(LIST).text
    assert "Par Coffee" in page
    assert "Polka Books" not in page
    assert "Polka Books" in olga.get(f"{LIST}?f.state=closed").text
    assert "Par Coffee" not in olga.get(f"{LIST}?f.state=closed").text
    for q in ("coff", "CAFE", "par"):
        assert "Par Coffee" in olga.get(f"{LIST}?q={q}").text, q
    assert "=Zerno" in olga.get(f"{LIST}?q=bak").text
    assert "No business fits" in olga.get(f"{LIST}?q=%25").text
    part = olga.get(f"{LIST}?q=zer", headers={"HX-Request": "true"}).text
    assert part.strip().startswith('<div id="businesses-list"')
    for sort in ("name", "-name", "slug", "-staff", "share", "-opened", "bad"):
        text = olga.get(f"{LIST}?f.state=all&sort={sort}").text
        assert [name for name in ("Par Coffee", "Polka Books") if name not in text] == [], sort
    file = olga.get(f"{LIST}?f.state=all&sort=-name&format=csv")
    assert file.mimetype == "text/csv"
    lines = file.text.lstrip("\ufeff").splitlines()
    assert lines[0] == "Name,Address in the portal,Kind,Currency,Staff,Bonus share,State"
    assert [line.split(",")[1] for line in lines[1:]] == ["books", "cafe", "zerno"]
    assert "'=Zerno" in file.text
    assert lines[1].endswith(",closed")


def test_a_business_is_opened(sign_in, shop, seen_by):
    olga = sign_in(OLGA)
    answer = save(olga, f"{LIST}/new", **NEW, **{"about-en": "Breathe.", "about-ru": "Дышите."})
    made = shop("corner-yoga")
    assert answer.status_code == 303
    assert answer.location.endswith(f"{LIST}/{made.id}")
    assert (made.currency, made.max_bonus_share, made.spend_confirmation) == ("RUB", 30, "code")
    assert made.description_i18n == {"en": "Breathe.", "ru": "Дышите."}
    assert "Nobody yet" in olga.get(answer.location).text
    with seen_by(CIRCLE) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "business.create")).one()
        assert (entry.actor_id, entry.object_id) == (OLGA.id, made.id)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": ""}, "Fill this in."),
        ({"name": "x" * 121}, "longer than 120"),
        ({"slug": ""}, "Fill this in."),
        ({"slug": "Corner Yoga"}, "Small Latin letters"),
        ({"slug": "-yoga"}, "Small Latin letters"),
        ({"slug": "y" * 41}, "Small Latin letters"),
        ({"slug": "yoga\n"}, "Small Latin letters"),
        ({"slug": "cafe"}, "There is a business at /cafe already"),
        ({"max_bonus_share": "101"}, "from 0 to 100"),
        ({"max_bonus_share": "half"}, "Not a valid integer"),
        ({"spend_confirmation": "wink"}, "Not a valid choice"),
        ({"about-en": "x" * 2001}, "longer than 2000"),
        ({"category": "a\x00b"}, "cannot be stored"),
    ],
)
def test_what_cannot_be_is_refused_and_kept_as_typed(sign_in, shop, typed, said):
    before = shop("cafe")
    answer = save(sign_in(OLGA), f"{LIST}/new", **{**NEW, "address": "Kept as typed", **typed})
    if typed == {"slug": "yoga\n"}:  # trimmed, as every line typed
        assert answer.status_code == 303
        return
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="Kept as typed"' in answer.text
    assert shop("corner-yoga") is None
    assert shop("cafe").name == before.name


def test_a_business_is_changed_and_its_address_in_the_portal_stays(sign_in, shop):
    olga = sign_in(OLGA)
    assert save(olga, name="Par", slug="elsewhere", max_bonus_share="0", **{"about-en": "Espresso."}).status_code == 303
    row = shop("cafe")
    assert (row.name, row.max_bonus_share, row.description_i18n) == ("Par", 0, {"en": "Espresso."})
    assert shop("elsewhere") is None
    refused = save(olga, name="")
    assert refused.status_code == 422
    assert shop("cafe").name == "Par"


def test_a_text_in_a_language_that_the_circle_no_longer_speaks_is_kept(sign_in, shop, acting, monkeypatch):
    from dataclasses import replace

    from portal.tenants import hosts

    with acting(CIRCLE, OLGA):
        service.update_business(CAFE.id, description_i18n={"en": "Tea", "ru": "Чай"})
    olga, look_up = sign_in(OLGA), hosts._look_up
    monkeypatch.setattr(hosts, "_look_up", lambda *a: replace(look_up(*a), locales=["en"]))
    hosts.forget()
    assert "about-ru" not in olga.get(f"{PAGE}/edit").text
    save(olga, **{"about-en": ""})
    assert shop("cafe").description_i18n == {"ru": "Чай"}


def test_a_closed_business_stops_its_till_its_desk_and_its_keys(sign_in, acting, shop, visitor, seen_by):
    from portal.kernel.errors import NotFound
    from portal.partners import keys
    from tests.purchases.shop import buy

    with acting(CIRCLE, IRINA):
        _, secret = keys.create_key(CAFE.id, "till")
    olga, bob, irina = sign_in(OLGA), sign_in(BOB), sign_in(IRINA)
    assert bob.get("/till/cafe").status_code == 200
    without = olga.submit(PAGE, form="closure-form", reason=" ")
    assert without.status_code == 422
    assert shop("cafe").archived_at is None

    answer = olga.submit(PAGE, form="closure-form", reason="Flooded", follow_redirects=True)
    assert "Par Coffee is closed. Its history stays." in answer.text
    assert (shop("cafe").archived_by, bob.get("/till/cafe").status_code) == (OLGA.id, 403)
    assert [irina.get(f"/desk/cafe/{page}").status_code for page in ("staff", "keys")] == [403, 403]
    with acting(CIRCLE, BOB), pytest.raises(NotFound):
        buy(10_000)
    with acting(CIRCLE):
        assert keys.holder_of(secret) is None
    assert olga.post(f"{PAGE}/closure", data={"reason": "Again"}).status_code == 409
    with seen_by(CIRCLE) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "business.archive")).one()
        assert (entry.reason, entry.object_id) == ("Flooded", CAFE.id)

    assert olga.post(f"{PAGE}/closure/end").status_code == 303
    assert bob.get("/till/cafe").status_code == 200
    with acting(CIRCLE):
        assert keys.holder_of(secret)


def test_places_are_added_closed_and_opened_again(sign_in, acting, seen_by):
    olga = sign_in(OLGA)
    assert olga.submit(PAGE, form="place-form", name="Kiosk", address="Park 1").status_code == 303
    twice = olga.submit(PAGE, form="place-form", name="Kiosk", address="Kept")
    assert twice.status_code == 422
    assert "There is a place of that name already." in twice.text
    assert 'value="Kept"' in twice.text
    with seen_by(CIRCLE) as session:
        place = session.scalars(select(BusinessLocation).where(BusinessLocation.name == "Kiosk")).one()
    with acting(CIRCLE, OLGA):
        service.add_staff(CAFE.id, ALICE.id, "cashier", location_id=place.id)
    assert "Close the place Kiosk?" in olga.get(PAGE).text
    assert olga.post(f"{LIST}/{BOOKS.id}/locations/{place.id}/closure").status_code == 404
    assert sign_in(IRINA).post(f"{PAGE}/locations/{place.id}/closure").status_code == 403
    assert olga.post(f"{PAGE}/locations/{place.id}/closure").status_code == 303
    assert olga.post(f"{PAGE}/locations/{place.id}/closure").status_code == 404
    page = olga.get(PAGE).text
    assert "Kiosk" not in page
    assert "Alice Morozova" in page
    olga.submit(PAGE, form="place-form", name="Kiosk", address="Park 2")
    with seen_by(CIRCLE) as session:
        again = session.scalars(select(BusinessLocation).where(BusinessLocation.name == "Kiosk")).one()
        assert (again.id, again.address, again.archived_at) == (place.id, "Park 2", None)


def test_each_page_asks_few_questions(sign_in, statements):
    olga = sign_in(OLGA)
    for url in (LIST, f"{LIST}?q=par&format=csv", f"{LIST}/new", PAGE, f"{PAGE}/edit"):
        with statements() as seen:
            assert olga.get(url).status_code == 200
        assert len(seen) <= 10, (url, seen)
