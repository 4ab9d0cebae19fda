"""T6: what was made for somebody is kept nowhere, and no cache takes one answer for another.

Seen red: `_caching` without `api_key` (the API's answers could be kept).
"""

from portal.settings import ROOT
from portal.web.assets import asset
from tests.architecture.test_access import address, routes
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE, GLOBEX, IRINA, MALLORY, OLGA, TRENT
from tests.objects import objects, own_parts

HTMX = {"HX-Request": "true"}
FOR_ALL = {  # speak of nobody
    "tenants.brand", "tenant_icons.icon", "tenant_icons.picture", "identity.service_worker", "api_docs.openapi", "api_docs.docs",
}  # fmt: skip
REVALIDATED = {  # figures and faces asked for again and again: kept by this browser alone, never shown without asking
    "analytics_admin.dashboard", "analytics_desk.dashboard", "profiles.avatar", "profiles_public.person_picture",
}  # fmt: skip


def test_every_page_of_somebody_is_kept_nowhere(app, seed, visitor, sign_in):
    """Each address × who may open it × whole and in part: no-store, and Vary names what the answer hangs on."""
    things, wrong, cases, shown = objects(seed), [], 0, 0
    clients = {"nobody": visitor(), **{who.name: sign_in(who) for who in (EVE, BOB, IRINA, OLGA)}}
    for endpoint, method, rule in routes(app):
        if method != "GET" or endpoint in FOR_ALL:
            continue
        url = address(app, rule, own_parts(things, endpoint, rule.arguments))
        for who, client in clients.items():
            for headers in ({}, HTMX):
                answer = client.get(url, headers=headers)
                answer.get_data()
                answer.close()
                cases += 1
                shown += answer.status_code == 200
                kept = answer.headers.get("Cache-Control", "")
                allowed = {"no-store"} if who != "nobody" else {"private, no-cache", "no-store"}
                if endpoint in REVALIDATED and who != "nobody":
                    allowed |= {"private, no-cache"}
                vary = {name.strip().lower() for name in answer.headers.get("Vary", "").split(",")}
                if kept not in allowed or not {"cookie", "hx-request"} <= vary:
                    wrong.append(f"{who} {url} {headers}: {answer.status_code} {kept!r} {vary}")
    assert not wrong, "\n".join(wrong)
    assert cases > 500
    assert shown > 150


def test_the_same_address_shows_two_tenants_and_two_people_their_own(sign_in):
    for path in ("/", "/me", "/me/wallet", "/me/card", "/login"):
        for headers in ({}, HTMX):
            ours, theirs = (
                sign_in(who).get(path, headers=headers, follow_redirects=True).get_data(as_text=True)
                for who in (ALICE, TRENT)
            )
            assert TRENT.name not in ours
            assert GLOBEX.name not in ours
            assert ALICE.name not in theirs
            assert CIRCLE.name not in theirs
    assert CAFE.name not in sign_in(MALLORY).get("/desk/cafe").get_data(as_text=True)


def test_a_page_and_its_part_are_two_answers(sign_in):
    admin = sign_in(OLGA)
    whole, part = admin.get("/admin/members"), admin.get("/admin/members", headers=HTMX)
    assert ("<html" in whole.get_data(as_text=True), "<html" in part.get_data(as_text=True)) == (True, False)


def test_answers_of_the_api_are_kept_nowhere(acting, visitor):
    from portal.partners.keys import create_key

    with acting(CIRCLE, IRINA):
        key = create_key(CAFE.id, "Till", ["members.find"])[1]
    answer = visitor().get(f"/api/v1/members/{ALICE.card}", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")


def test_static_files_never_change(app, visitor):
    client = visitor()
    with app.test_request_context(base_url=f"http://{CIRCLE.host}"):
        files = [
            p.relative_to(ROOT / "static").as_posix()
            for p in (ROOT / "static").rglob("*")
            if p.is_file() and "src" not in p.parts
        ]
        addresses = [asset(name) for name in files]
    for url in addresses:
        answer = client.get(url)
        answer.close()
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable", url
        assert "Cookie" not in answer.headers.get("Vary", ""), url
        assert "Set-Cookie" not in answer.headers, url
    answer = client.get("/static/css/portal.css")  # an address that somebody typed
    answer.close()
    assert "immutable" not in answer.headers.get("Cache-Control", "")
