"""Legal pages: written by the admin, read by everybody, agreed to anew when the terms change."""

import re

import pytest
from sqlalchemy import select

from portal.identity.models import Consent
from portal.kernel.audit import AuditEntry
from portal.tenants import legal
from portal.tenants.models import LegalText
from tests.cast import ALICE, BOB, CIRCLE, EVE, GLOBEX, IRINA, MALLORY, OLGA

PAGE = "/admin/settings/legal"
TERMS = "# Terms\r\n\r\nOne **card**."


def publish(browser, page="terms", **texts):
    """Type the texts by language and press Publish."""
    typed = {}
    for code, (title, body) in texts.items():
        typed |= {f"title-{code}": title, f"body-{code}": body}
    return browser.submit(f"{PAGE}?page={page}", form="legal-form", **typed)


def test_a_text_is_read_in_the_readers_language_and_linked_where_strangers_are(sign_in, visitor, seen_by):
    assert visitor().get("/legal/terms").status_code == 404
    assert "/legal/" not in visitor().get("/join").text
    answer = publish(sign_in(OLGA), en=("Our terms", TERMS), ru=("Наши правила", "Одна **карта**."))
    assert (answer.status_code, answer.location) == (303, f"{PAGE}?page=terms")
    page = visitor().get("/legal/terms", headers={"Accept-Language": "en"}).text
    assert "Our terms" in page
    assert "<strong>card</strong>" in page
    assert "<h2>Terms</h2>" in page
    assert "Одна <strong>карта" in visitor().get("/legal/terms", headers={"Accept-Language": "ru"}).text
    for where in ("/join", "/login"):
        assert 'href="/legal/terms"' in visitor().get(where).text
        assert 'href="/legal/imprint"' not in visitor().get(where).text
    with seen_by(CIRCLE) as session:
        row = session.scalars(select(LegalText).where(LegalText.locale == "en")).one()
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "legal.publish")).one()
    assert (row.version, row.published_by, row.body) == (2, OLGA.id, "# Terms\n\nOne **card**.")
    assert entry.actor_id == OLGA.id
    assert visitor(GLOBEX).get("/legal/terms").status_code == 404


def test_a_language_without_a_text_shows_the_first_one(sign_in, visitor):
    publish(sign_in(OLGA), "imprint", en=("Imprint", "Circle Ltd"))
    assert "Circle Ltd" in visitor().get("/legal/imprint", headers={"Accept-Language": "ru"}).text


def test_new_terms_are_agreed_to_anew_and_old_ones_stay_readable(sign_in, visitor, seen_by):
    """A member is asked once for each version; what stood before is still there for whoever agreed to it."""
    olga, alice = sign_in(OLGA), sign_in(ALICE)
    assert alice.get("/me").status_code == 200
    publish(olga, en=("Terms", "The first text"))
    gate = alice.get("/me").location
    assert gate.startswith("/me/terms")
    assert "The first text" in alice.get(gate).text
    alice.submit(gate, form="terms")
    assert alice.get("/me").status_code == 200
    publish(olga, "privacy", en=("Privacy", "We keep little"))
    assert alice.get("/me").status_code == 200, "only the terms are asked for"
    publish(olga, en=("Terms", "The second text"))
    alice.submit(alice.get("/me").location, form="terms")
    with seen_by(CIRCLE) as session:
        agreed = select(Consent.version).where(Consent.member_id == ALICE.id, Consent.purpose == "terms")
        assert sorted(session.scalars(agreed)) == [2, 3]
    assert "The second text" in visitor().get("/legal/terms").text
    old = visitor().get("/legal/terms?version=2").text
    assert "The first text" in old
    assert "older version" in old
    assert 'href="/legal/terms?version=2"' in alice.get("/me/consents").text
    assert [visitor().get(f"/legal/terms?version={odd}").status_code for odd in ("9", "x", "-1", "99999999")] == [
        404
    ] * 4


def test_the_same_text_again_is_no_new_version(sign_in, seen_by):
    olga = sign_in(OLGA)
    publish(olga, en=("Terms", "Text"))
    publish(olga, en=("Terms", "Text"))
    with seen_by(CIRCLE) as session:
        assert len(session.scalars(select(LegalText)).all()) == 1


def test_a_preview_shows_what_is_typed_and_saves_nothing(sign_in, visitor):
    olga = sign_in(OLGA)
    olga.get(PAGE)
    answer = olga.post(
        f"{PAGE}/preview?page=terms", data={"title-en": "T", "body-en": "*soon*"}, headers={"HX-Request": "true"}
    )
    assert answer.text.lstrip().startswith('<section id="legal-preview"')
    assert "<em>soon</em>" in answer.text
    assert visitor().get("/legal/terms").status_code == 404


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"en": ("", "Text")}, "A title of 1 to 120"),
        ({"en": ("Title", "")}, "Write the text, or empty"),
        ({"ru": ("Правила", "Текст")}, "is needed in English"),
        ({"en": ("Title", "x" * (legal.LONGEST + 1))}, "At most"),
        ({"en": ("Title", "a\x00b")}, "cannot be stored"),
    ],
)
def test_what_cannot_be_published_is_kept_as_typed(sign_in, typed, said):
    answer = publish(sign_in(OLGA), **typed)
    assert answer.status_code == 422
    assert said in answer.text
    assert next(iter(typed.values()))[0] in answer.text


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "![x](http://a.example/p.png)",
        "[x](data:text/html,<script>alert(1)</script>)",
        "<style>*{display:none}</style>",
    ],
)
def test_nothing_that_is_typed_runs(evil):
    made = legal.to_html(f"before\n\n{evil}\n\nafter")
    assert not re.search(r"<(script|img|style|iframe)|href=\"(javascript|data):", made)
    assert "before" in made
    assert "after" in made


def test_links_do_not_vouch_for_where_they_lead():
    assert 'rel="noopener nofollow"' in legal.to_html("[x](https://a.example/)")
    assert "<table>" in legal.to_html("|a|b|\n|-|-|\n|1|2|")


@pytest.mark.parametrize("who", [ALICE, EVE, BOB, IRINA])
def test_only_an_admin_writes(sign_in, who):
    browser = sign_in(who)
    assert browser.get(PAGE).status_code == 403
    assert browser.post(PAGE, data={}).status_code == 403


def test_a_neighbour_writes_only_their_own(sign_in, visitor):
    publish(sign_in(MALLORY), en=("Globe terms", "Text"))
    assert visitor().get("/legal/terms").status_code == 404
    assert "Globe terms" in visitor(GLOBEX).get("/legal/terms").text
