"""A member's own pages: card, more, profile, security; language and theme."""

from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import select

from portal.identity import cards
from portal.identity.models import DeviceSession, User
from portal.kernel.audit import AuditEntry
from tests.cast import ALICE, BOB, CIRCLE, EVE, GLOBEX, IRINA, MALLORY, OLGA, PASSWORD, TRENT, uid

NEW = "seven quiet lanterns"


def test_the_card_shows_a_code_that_the_till_can_read(sign_in):
    page = sign_in(ALICE).get("/me/card")
    assert page.status_code == 200
    for text in (ALICE.name, cards.shown(ALICE.card), cards.short_code(ALICE.card), 'class="qr"', "Bronze"):
        assert text in page.text


def test_the_codes_address_is_the_stored_host_whatever_the_header_says(app):
    import segno

    from portal.tenants.hosts import tenant_by_id

    with app.app_context():
        tenant = tenant_by_id(CIRCLE.id)
    address = cards.card_url(tenant, ALICE.card)
    assert address.startswith(f"http://{CIRCLE.host}")
    assert address.endswith(f"/c/{ALICE.card}")
    assert cards.valid_card(address) == ALICE.card
    assert segno.make(address).designator


def test_every_page_of_ones_own_needs_somebody(visitor, sign_in):
    for url in ("/me/card", "/me/more", "/me/profile", "/me/security"):
        assert visitor().get(url).status_code == 303
        assert sign_in(ALICE).get(url).status_code == 200
        assert sign_in(ALICE, at=GLOBEX).get(url).status_code == 303


@pytest.mark.parametrize("card", [ALICE.card, "409999999999", TRENT.card, "x"])
def test_behind_the_code_a_stranger_learns_what_this_is_and_not_whose(visitor, card):
    page = visitor().get(f"/c/{card}")
    assert page.status_code == 200
    assert "Alice" not in page.text
    assert "/join" in page.text


def test_behind_the_code_a_cashier_comes_to_the_till(sign_in, app):
    if "purchases_till.find" not in app.view_functions:
        pytest.skip("the till is not built in")
    for person in (BOB, IRINA):
        assert sign_in(person).get(f"/c/{ALICE.card}").location == f"/till/cafe?q={ALICE.card}"
    assert sign_in(EVE).get(f"/c/{ALICE.card}").location == "/me/card"


def test_more_leads_everybody_to_their_rooms(sign_in, app):
    pages = {person.name: sign_in(person).get("/me/more").text for person in (ALICE, BOB, IRINA, OLGA)}
    if "purchases_till.find" in app.view_functions:
        assert "/till/cafe" in pages[BOB.name]
    assert "/till/" not in pages[ALICE.name]
    assert "/desk/" not in pages[BOB.name]
    assert 'href="/admin"' not in pages[IRINA.name]


def test_the_worker_and_the_manifest_lie_at_the_root(visitor):
    worker = visitor().get("/sw.js")
    assert (worker.status_code, worker.mimetype) == (200, "text/javascript")
    assert worker.headers["Service-Worker-Allowed"] == "/"
    worker.close()
    manifest = visitor().get("/manifest.webmanifest")
    assert manifest.json["name"] == "Circle"
    assert manifest.mimetype == "application/manifest+json"
    assert visitor(GLOBEX).get("/manifest.webmanifest").json["name"] == "Globex"


def test_the_home_screen_gets_pictures_of_the_tenants_own_colour(visitor):
    for tenant in (CIRCLE, GLOBEX):
        manifest = visitor(tenant).get("/manifest.webmanifest").json
        for icon in manifest["icons"]:
            picture = Image.open(BytesIO(visitor(tenant).get(icon["src"]).data)).convert("RGB")
            assert f"{picture.width}x{picture.height}" == icon["sizes"]
            assert "#{:02X}{:02X}{:02X}".format(*picture.getpixel((2, 2))) == manifest["theme_color"]
            assert len(picture.getcolors(1 << 18)) > 1, "nothing is drawn on it"
    address = manifest["icons"][0]["src"]
    assert visitor().get(address.replace("192", "193")).status_code == 404
    assert visitor().get(f"/brand/{'0' * 16}/icon-192.png").status_code == 404


# ── profile ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_member_changes_name_language_and_zone(sign_in, seen_by):
    browser = sign_in(ALICE)
    assert (
        browser.submit("/me/profile", form="profile", name="Alisa M.", locale="ru", timezone="Asia/Tbilisi").status_code
        == 303
    )
    assert 'lang="ru"' in browser.get("/me/profile").text
    with seen_by(CIRCLE) as session:
        row = session.execute(
            select(User.name, User.search_text, User.locale, User.timezone).where(User.id == ALICE.id)
        ).one()
        assert tuple(row) == ("Alisa M.", "alisa m.", "ru", "Asia/Tbilisi")
        assert session.scalars(select(AuditEntry.action)).all() == ["member.edit_profile"]


def test_an_unknown_language_or_zone_is_refused(sign_in):
    for change in ({"locale": "xx"}, {"timezone": "Mars/Olympus"}):
        assert sign_in(ALICE).submit("/me/profile", form="profile", **change).status_code == 422


# ── security ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_devices_are_listed_and_one_is_signed_out(sign_in, seen_by):
    here, there = sign_in(ALICE), sign_in(ALICE)
    page = here.get("/me/security")
    assert page.text.count('id="session-') == 2
    assert "This device" in page.text
    with seen_by(CIRCLE) as session:
        other = session.scalars(select(DeviceSession.id).order_by(DeviceSession.created_at.desc())).first()
    assert here.post(f"/me/security/sessions/{other}/revocation").status_code == 303
    assert there.get("/me/security").status_code == 303
    assert here.get("/me/security").status_code == 200


def test_all_the_others_are_signed_out_at_once(sign_in, seen_by):
    here, *others = (sign_in(ALICE) for _ in range(3))
    eve = sign_in(EVE)
    assert here.post("/me/security/revocations").status_code == 303
    assert [b.get("/me/security").status_code for b in (here, *others, eve)] == [200, 303, 303, 200]
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(AuditEntry.action)).all() == ["session.revoke_others"]


def test_only_ones_own_devices_and_only_here(sign_in, seen_by):
    alice, eve, mallory = sign_in(ALICE), sign_in(EVE), sign_in(MALLORY)
    with seen_by(CIRCLE) as session:
        of_alice = session.scalars(select(DeviceSession.id).where(DeviceSession.user_id == ALICE.id)).one()
    url = f"/me/security/sessions/{of_alice}/revocation"
    assert eve.post(url).status_code == 404
    assert mallory.post(url).status_code == 404
    assert eve.post(f"/me/security/sessions/{uid(9999)}/revocation").status_code == 404
    assert alice.get("/me/security").status_code == 200
    assert alice.post(url).status_code == 303


def test_a_new_password_ends_every_other_session_and_renews_this_one(sign_in, visitor):
    here, there = sign_in(ALICE), sign_in(ALICE)
    before = here.get_cookie("sid", domain=CIRCLE.host).value
    answer = here.submit("/me/security", form="change-password", current=PASSWORD, new=NEW)
    assert (answer.status_code, answer.location) == (303, "/me/security?changed=1")
    assert here.get_cookie("sid", domain=CIRCLE.host).value != before
    assert "Your password is changed" in here.get(answer.location).text
    assert there.get("/me/security").status_code == 303
    thief = visitor()
    thief.set_cookie("sid", before, domain=CIRCLE.host)
    assert thief.get("/me/security").status_code == 303
    assert visitor().submit("/login", form="sign-in", email=ALICE.email, password=PASSWORD).status_code == 422
    assert visitor().submit("/login", form="sign-in", email=ALICE.email, password=NEW).status_code == 303


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"current": "wrong password", "new": NEW}, "not your password"),
        ({"current": PASSWORD, "new": "short"}, "at least 12"),
        ({"current": PASSWORD, "new": "alice morozova"}, "too easy"),
        ({"current": "", "new": ""}, "Fill this in."),
    ],
)
def test_a_password_that_is_not_changed(sign_in, fields, said):
    browser = sign_in(ALICE)
    answer = browser.submit("/me/security", form="change-password", **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert browser.get("/me/security").status_code == 200


def test_the_password_of_a_borrowed_phone_cannot_be_guessed(sign_in):
    browser = sign_in(ALICE)
    answers = [
        browser.submit("/me/security", form="change-password", current="wrong password", new=NEW).status_code
        for _ in range(11)
    ]
    assert answers == [422] * 10 + [429]


def test_sessions_end_by_themselves(sign_in, seen_by):
    from flask import g
    from sqlalchemy import text

    for column in ("idle_until", "expires_at"):
        browser = sign_in(ALICE)
        with seen_by(CIRCLE) as session:
            g.seeding = True
            session.execute(text(f"UPDATE device_sessions SET {column} = clock_timestamp() - interval '1 second'"))
            session.commit()
            g.seeding = False
        assert browser.get("/me/security").status_code == 303


def test_the_more_one_may_the_sooner_one_is_signed_out(app, visitor, seen_by):
    """D37: members 60 days, cashiers 12 hours, desks 8 hours, admins 30 minutes."""
    spans = []
    for person in (ALICE, BOB, IRINA, OLGA):
        visitor().submit("/login", form="sign-in", email=person.email, password=PASSWORD)
        with seen_by(CIRCLE) as session:
            row = session.execute(select(DeviceSession).where(DeviceSession.user_id == person.id)).scalar_one()
            spans.append(
                (round((row.idle_until - row.created_at).total_seconds() / 60), (row.expires_at - row.created_at).days)
            )
    assert spans == [(60 * 24 * 60, 180), (12 * 60, 90), (8 * 60, 7), (30, 0)]


# ── language and theme ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_language_of_a_stranger_is_a_cookie_and_of_a_member_a_choice(visitor, sign_in, seen_by):
    stranger = visitor()
    page = stranger.get("/login").text
    token = page.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    answer = stranger.post(
        "/language",
        data={"locale": "ru", "csrf_token": token},
        headers={"Referer": f"http://{CIRCLE.host}:8000/login"},
        csrf=False,
    )
    assert (answer.status_code, answer.location) == (303, "/login")
    assert 'lang="ru"' in stranger.get("/login").text

    member = sign_in(ALICE)
    member.post("/language", data={"locale": "ru", "next": "/me/more"})
    assert 'lang="ru"' in member.get("/me/more").text
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(User.locale).where(User.id == ALICE.id)) == "ru"


@pytest.mark.parametrize("locale", ["xx", "", "../ru"])
def test_a_language_that_is_not_offered_changes_nothing(sign_in, seen_by, locale):
    answer = sign_in(ALICE).post("/language", data={"locale": locale, "next": "//evil.example"})
    assert (answer.status_code, answer.location) == (303, "/")
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(User.locale).where(User.id == ALICE.id)) == "en"


def test_the_theme_is_kept(sign_in):
    browser = sign_in(ALICE)
    browser.post("/theme", data={"theme": "dark", "next": "/me/more"})
    assert 'data-theme="dark"' in browser.get("/me/more").text
    browser.post("/theme", data={"theme": "purple"})
    assert 'data-theme="dark"' in browser.get("/me/more").text
    browser.post("/theme", data={"theme": "auto"})
    assert "data-theme" not in browser.get("/me/more").text


def test_each_page_asks_few_questions(sign_in, statements):
    browser = sign_in(ALICE)
    for url in ("/me/card", "/me/more", "/me/profile", "/me/security"):
        browser.get(url)
        with statements() as seen:
            browser.get(url)
        assert len(seen) <= 8, (url, seen)
