"""B2 for every text field of the pages: the fields are found in the pages that everybody is shown, so that a new one cannot
be forgotten. What is taken is stored in NFC, shown as it was typed, and goes out by CSV, workbook and API as it is stored.

Decided: NUL is refused in words; other control characters are dropped; every kind of line end counts as one, and in a field of
one line as a space; names of people lose what is not seen, too (B3).
Found by it: descriptions of businesses, names of passkeys and announcements were not in NFC, a line separator (U+2028) in a
tenant's name broke its mails, and every rendering of a form left a filter more for the next one to run.
"""

import csv
import io
import re
import secrets
import unicodedata
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser

import pytest
from sqlalchemy import text

from portal.identity import contacts
from tests import naughty
from tests.architecture.test_access import MATRIX, ROLES, address, routes
from tests.cast import ALICE, BOB, CAFE, CAROL, CIRCLE, EVE, IRINA, OLGA, SAM, luhn, uid
from tests.checked import Outline
from tests.objects import objects, own_parts
from tests.purchases.shop import buy
from tests.tenants.test_settings import AS_IT_IS
from tests.whole import share, tell

TYPED = {"text", "search", "tel", "email", "url", ""}
MEMBER = f"/admin/members/{ALICE.id}"
SHOP = f"/admin/businesses/{CAFE.id}"
RULES = {"spend_confirmation": "card_scan", "max_bonus_share": "50"}
TIERS = {"period": "YEAR", "end_rule": "END_OF_NEXT_PERIOD", "downgrade": "one_down", "expiry": "unlimited", "expiry_unit": "M", "step": "save"}  # fmt: skip
TERMS = {"title-en": "Terms", "body-en": "Words", "title-ru": "Условия", "body-ru": "Слова"}
KEPT = {  # form.field → who types it on which page, what else the form holds, its longest piece, where it is kept, who is shown it
    "about-form.about": (ALICE, "/me/about", {}, 200, "SELECT about FROM profiles", "/me/about"),
    "about-form.display_name": (ALICE, "/me/about", {}, 60, "SELECT display_name FROM profiles", "/me/about"),
    "about-form.first_name": (ALICE, "/me/about", {}, 60, "SELECT first_name FROM profiles", "/me/about"),
    "about-form.last_name": (ALICE, "/me/about", {}, 60, "SELECT last_name FROM profiles", "/me/about"),
    "business-form.about-en": (OLGA, f"{SHOP}/edit", RULES, 200, "SELECT description_i18n->>'en' FROM businesses", f"{SHOP}/edit"),
    "business-form.about-ru": (OLGA, f"{SHOP}/edit", RULES, 200, "SELECT description_i18n->>'ru' FROM businesses", f"{SHOP}/edit"),
    "business-form.address": (OLGA, f"{SHOP}/edit", RULES, 200, "SELECT address FROM businesses", SHOP),
    "business-form.category": (OLGA, f"{SHOP}/edit", RULES, 60, "SELECT category FROM businesses", SHOP),
    "business-form.name": (OLGA, f"{SHOP}/edit", RULES, 120, "SELECT name FROM businesses", "/admin/businesses"),
    "contacts.name": (OLGA, f"{MEMBER}/contacts", {}, 200, "SELECT name FROM users", MEMBER),
    "enrol-form.name": (BOB, "/till/cafe/members/new", {"phone": "+7912555{n:04}", "consent": "y"}, 200, "SELECT name FROM users", None),
    "key-form.name": (IRINA, "/desk/cafe/keys", {"scopes": "members.find", "days": "0"}, 80, "SELECT name FROM api_keys", "/desk/cafe/keys"),
    "legal-form.body-en": (OLGA, "/admin/settings/legal", TERMS, 1_400, "SELECT body FROM legal_texts", None),
    "legal-form.body-ru": (OLGA, "/admin/settings/legal", TERMS, 1_400, "SELECT body FROM legal_texts", None),
    "legal-form.title-en": (OLGA, "/admin/settings/legal", TERMS, 120, "SELECT title FROM legal_texts", None),
    "legal-form.title-ru": (OLGA, "/admin/settings/legal", TERMS, 120, "SELECT title FROM legal_texts", None),
    "new-member.name": (OLGA, "/admin/members/new", {"email": "new{n}@a.example"}, 200, "SELECT name FROM users", None),
    "note.body": (OLGA, "/admin/members/notes/{note_id}", {}, 1_400, "SELECT body FROM member_notes", f"/admin/members/{EVE.id}"),
    "place-form.address": (OLGA, SHOP, {"name": "Corner {n}"}, 200, "SELECT address FROM business_locations", SHOP),
    "place-form.name": (OLGA, SHOP, {}, 120, "SELECT name FROM business_locations", SHOP),
    "profile.name": (ALICE, "/me/profile", {"locale": "en", "timezone": ""}, 200, "SELECT name FROM users", "/me/profile"),
    "purchase-form.receipt_number": (BOB, f"/till/cafe/members/{ALICE.id}", {"amount": "10{n}"}, 100, "SELECT receipt_number FROM purchases", None),
    "refund-form.reason": (CAROL, "/desk/cafe/purchases/{sold}", {"amount": "1"}, 200, "SELECT reason FROM purchase_refunds", "/desk/cafe/purchases/{sold}"),
    "role-form.name_en": (OLGA, "/admin/roles/new", {"permissions": "tiers.read"}, 60, "SELECT name_i18n->>'en' FROM custom_roles", "/admin/roles"),
    "settings-form.name": (OLGA, "/admin/settings", AS_IT_IS, 60, "SELECT name FROM tenants", "/admin/settings"),
    "texts-form.sender": (OLGA, "/admin/settings/texts", {}, 60, "SELECT settings->'mail'->>'from_name' FROM tenants", "/admin/settings/texts"),
    "texts-form.text-en": (OLGA, "/admin/settings/texts", {}, 200, "SELECT settings->'banner'->'text'->>'en' FROM tenants", "/admin/settings/texts"),
    "texts-form.text-ru": (OLGA, "/admin/settings/texts", {}, 200, "SELECT settings->'banner'->'text'->>'ru' FROM tenants", "/admin/settings/texts"),
    "texts-form.welcome-en": (OLGA, "/admin/settings/texts", {}, 140, "SELECT settings->'texts'->'welcome'->>'en' FROM tenants", "/admin/settings/texts"),
    "texts-form.welcome-ru": (OLGA, "/admin/settings/texts", {}, 140, "SELECT settings->'texts'->'welcome'->>'ru' FROM tenants", "/admin/settings/texts"),
    "tier-form.reason": (OLGA, f"{MEMBER}/tier", {"tier": "gold"}, 200, "", None),
    "tiers-form.name_0_en": (OLGA, "/admin/tiers", TIERS, 60, "SELECT name_i18n->>'en' FROM status_tiers", "/admin/tiers"),
    "tiers-form.name_0_ru": (OLGA, "/admin/tiers", TIERS, 60, "SELECT name_i18n->>'ru' FROM status_tiers", "/admin/tiers"),
    "write-note.body": (OLGA, MEMBER, {}, 1_400, "SELECT body FROM member_notes", MEMBER),
}  # fmt: skip
NAMES = {
    "about-form.display_name",
    "about-form.first_name",
    "about-form.last_name",
    "contacts.name",
    "enrol-form.name",
    "new-member.name",
    "profile.name",
}  # nothing unseen in them (B3)
LINES = {"about-form.about", "business-form.about-en", "business-form.about-ru", "legal-form.body-en", "legal-form.body-ru", "note.body", "write-note.body"}  # fmt: skip
SPACED = {"key-form.name", "role-form.name_en"}  # names of things: spaces of every kind count as one
HELD = {  # fields held to a form, and texts of an act that is done once: refused or read, never a defect
    "about-form.handle": (ALICE, "/me/about", {}),
    "add-passkey.name": (ALICE, "/me/security/second", {}),
    "adjust.reason": (OLGA, MEMBER, {"way": "give", "amount": "1"}),
    "birthday.reason": (OLGA, f"{MEMBER}/birthday", {"born_on": "1990-02-28"}),
    "brand-form.hex": (OLGA, "/admin/settings/brand", {"mark": "ring"}),
    "business-form.slug": (OLGA, "/admin/businesses/new", {**RULES, "name": "New"}),
    "closure-form.reason": (OLGA, SHOP, {}),
    "contacts.email": (OLGA, f"{MEMBER}/contacts", {}),
    "contacts.phone": (OLGA, f"{MEMBER}/contacts", {}),
    "decision.note": (OLGA, "/admin/kyc/{submission_id}", {"act": "reject", "reasons": "blurred"}),
    "domain-form.host": (OLGA, "/admin/settings/domains", {}),
    "email-form.email": (ALICE, "/me/contacts", {}),
    "enrol-form.phone": (BOB, "/till/cafe/members/new", {"name": "New", "consent": "y"}),
    "erase.reason": (OLGA, f"/admin/members/{EVE.id}/erasure", {}),
    "grant-form.who": (OLGA, "/admin/roles", {"role": "editor"}),
    "invite.contact": (OLGA, "/admin/invitations/new", {"name": "New"}),
    "invite.name": (OLGA, "/admin/invitations/new", {"contact": "new{n}@c.example"}),
    "join.contact": (None, "/join", {"name": "New", "agreed": "y"}),
    "join.name": (None, "/join", {"contact": "new{n}@b.example", "agreed": "y"}),
    "list.text": (OLGA, "/admin/invitations/file", {}),
    "look.reason": (SAM, MEMBER, {}),
    "merge.reason": (OLGA, f"/admin/members/{ALICE.id}/merge/{EVE.id}", {}),
    "new-member.card_number": (OLGA, "/admin/members/new", {"name": "New"}),
    "new-member.email": (OLGA, "/admin/members/new", {"name": "New"}),
    "new-member.phone": (OLGA, "/admin/members/new", {"name": "New"}),
    "reset.contact": (None, "/reset", {}),
    "set-tier.reason": (OLGA, MEMBER, {"tier": "gold"}),
    "sign-in.email": (None, "/login", {"password": "x"}),
    "staff-form.who": (IRINA, "/desk/cafe/staff", {"role": "cashier"}),
    "suspend.reason": (OLGA, f"/admin/members/{EVE.id}", {}),
    "texts-form.from_address": (OLGA, "/admin/settings/texts", {}),
    "texts-form.reply_to": (OLGA, "/admin/settings/texts", {}),
}  # fmt: skip
ELSEWHERE = {  # one of many alike, or proved where such things are
    r"tiers-form\.(rate|threshold)_\d", r"\w+-form\.amount", r"adjust\.amount", r"kyc-rules\.\w+",  # numbers, test_every_number.py
    r"tiers-form\.name_[1-9]_\w\w", r"/me/security/methods/.*/name\.name", r"role-form\.name_ru",
}  # fmt: skip


class TextFields(HTMLParser):
    """`form.field` of everything in a page's POST forms that takes a text."""

    def __init__(self, page):
        super().__init__()
        self.form, self.found = None, set()
        self.feed(page)

    def handle_starttag(self, tag, pairs):
        a = dict(pairs)
        if tag == "form" and a.get("method") == "post":
            self.form = a.get("id") or a.get("action", "")
        typed = tag == "textarea" or (tag == "input" and a.get("type", "text") in TYPED)
        if typed and self.form is not None and a.get("name"):
            self.found.add(f"{self.form}.{a['name']}")

    def handle_endtag(self, tag):
        if tag == "form":
            self.form = None


def test_no_field_is_forgotten(app, seed, sign_in, visitor):
    listed = {(r["endpoint"], r["method"]): r for r in csv.DictReader(MATRIX.read_text().splitlines())}
    clients = {name: sign_in(who, at=CIRCLE) if who else visitor() for name, who in ROLES.items()}
    things, found = objects(seed), set()
    for endpoint, method, rule in routes(app):
        may = [name for name in ROLES if listed[endpoint, method][name] == "allow"]
        for role in {*may[:1], *({"owner", "admin"} & set(may))} if method == "GET" else ():
            answer = clients[role].get(address(app, rule, own_parts(things, endpoint, rule.arguments)))
            if answer.mimetype == "text/html":
                found |= TextFields(answer.text).found
            answer.close()
    new = {one for one in found - KEPT.keys() - HELD.keys() if not any(re.fullmatch(e, one) for e in ELSEWHERE)}
    assert new == set(), "a new text field belongs into KEPT or HELD"
    assert len(found) > 60


def packed(longest):
    """The texts, several in one as far as they fit, so that a field is sent a few times only."""
    found, line = [], ""
    for one in naughty.TEXTS:
        if line and len(unicodedata.normalize("NFD", f"{line} {one}")) > longest:
            found.append(line)
            line = ""
        line = f"{line} {one}" if line else one
    return [*found, line]


def stored(field, typed):
    """What the portal keeps of what was typed, said in other words than the portal's."""
    if field in NAMES:
        return contacts.plain_text(typed)
    one = unicodedata.normalize("NFC", re.sub("\r\n|[\r\n\x85\u2028\u2029]", "\n" if field in LINES else " ", typed))
    return "".join(
        c for c in one if c in "\n\t" or (unicodedata.category(c) != "Cc" and ord(c) & 0xFFFE != 0xFFFE)
    ).strip()


@pytest.fixture
def opened(seed, sign_in, visitor, acting, monkeypatch):
    """A browser and the page to type on."""
    monkeypatch.setattr("portal.extensions.limiter.enabled", False)  # many texts from one address
    known = {name: thing.own for name, thing in objects(seed).items()}
    with acting(CIRCLE, BOB):
        known["sold"] = buy(1_000_000).purchase_id

    def opened(who, page):
        return sign_in(who) if who else visitor(csrf=True), page and page.format(**known)

    return opened


def shown(page):
    return " ".join(unescape(page).split())


def sender(client, page, form):
    """Sends the form that the page shows, as often as asked, with a key of its own each time."""

    def open_form():
        forms = {f["id"]: f for f in Outline(client.get(page).text).forms}
        assert form in forms, f"{page} has no form {form}"
        data = {}
        for name, value in forms[form]["fields"]:
            data.setdefault(name, value)
        return forms[form]["action"] or page, data

    to, data = open_form()

    def send(**typed):
        shown_now = open_form()[1] if "seen" in data else data  # carries the version that it was shown with
        return client.post(to, data={**shown_now, **typed, "form_key": secrets.token_hex(20)}, csrf=False)

    return send


@pytest.mark.parametrize("field", sorted(KEPT))
def test_what_people_type_is_kept_and_shown(opened, seen_by, field):
    who, page, others, longest, kept, seen = KEPT[field]
    form, name = field.split(".", 1)
    client, page = opened(who, page)
    _, seen = opened(who, seen)
    send, lines = sender(client, page, form), share(packed(longest), sorted(KEPT).index(field))
    tell(len(lines), **{"texts in fields": len(naughty.TEXTS)})
    for n, typed in enumerate(lines):
        fields = {key: value.format(n=n) if isinstance(value, str) else value for key, value in others.items()}
        answer = send(**{**fields, name: typed})
        assert answer.status_code in {201, 303}, (typed, answer.status_code)
        wanted = stored(field, typed)
        with seen_by(CIRCLE) as session:
            values = session.execute(text(kept)).scalars().all() if kept else [wanted]
        if field in SPACED:
            wanted = " ".join(wanted.split())
        assert wanted in values, typed
        if seen:
            assert " ".join(wanted.split()) in shown(client.get(seen, follow_redirects=True).text), typed
    for never in naughty.NEVER:
        assert send(**{**others, name: f"Alice {never}"}).status_code == 422, never
    for much in naughty.LONG:
        answer = send(**{**others, name: much})
        assert answer.status_code in {303, 413, 422}, (much[:3], answer.status_code)


@pytest.mark.parametrize("field", sorted(HELD))
def test_what_is_held_to_a_form_is_refused_in_words(opened, field):
    who, page, others = HELD[field]
    form, name = field.split(".", 1)
    client, page = opened(who, page)
    send, lines = sender(client, page, form), share(packed(190), sorted(HELD).index(field))
    tell(len(lines), **{"texts in fields": len(naughty.TEXTS)})
    for n, typed in enumerate((*naughty.NEVER, naughty.LONG[0], *lines)):
        answer = send(
            **{
                **{key: value.format(n=n) if isinstance(value, str) else value for key, value in others.items()},
                name: typed,
            }
        )
        assert answer.status_code in {200, 303, 400, 401, 403, 404, 409, 413, 422, 429}, (typed, answer.status_code)
        assert "\x00" not in typed or answer.status_code >= 400, (typed, answer.status_code)


def test_names_go_out_as_they_are_stored(seed, sign_in):
    """A cell that a spreadsheet would run begins with an apostrophe (B6); all else is as it is."""
    from portal.identity.models import User

    names = sorted({contacts.plain_text(one) for one in naughty.TEXTS if contacts.plain_text(one)})
    people = [
        User(id=uid(7000 + n), name=one, card_number=luhn(f"{60_000_000_000 + n}"), search_text=one.casefold(), joined_via="demo", joined_at=datetime.now(UTC))
        for n, one in enumerate(names)
    ]  # fmt: skip
    seed(CIRCLE, *people)
    answer = sign_in(OLGA).get("/admin/members/download.csv")
    rows = list(csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig"), newline="")))
    cells = {cell for row in rows for cell in row}
    assert [one for one in names if one not in cells and f"'{one}" not in cells] == []
