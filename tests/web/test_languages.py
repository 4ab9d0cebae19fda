"""A third language is one file in a folder of the installation; nothing is compiled, no code knows its name."""

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from flask import g
from flask_babel import force_locale
from sqlalchemy import select

from portal.extensions import db
from portal.invitations import table
from portal.loyalty.labels import rate
from portal.loyalty.models import StatusTier
from portal.loyalty.service import create_default_program
from portal.settings import ROOT, settings
from portal.tenants import hosts
from portal.tenants.starters import named, settings_of
from portal.web.locale import language_name, language_names, supported
from tests.cast import ALICE, BOB, CIRCLE, IRINA, OLGA

PO = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Search"
msgstr "Suche"

msgid "%(num)s answer"
msgid_plural "%(num)s answers"
msgstr[0] "%(num)s Antwort"
msgstr[1] "%(num)s Antworten"
"""
ASK = """
from flask_babel import force_locale, gettext, ngettext
from portal.app import create_app
from portal.web.locale import current, supported
app = create_app()
with app.test_request_context("/", headers={"Accept-Language": "de"}):
    print(*supported(), current(), gettext("Search"), ngettext("%(num)s answer", "%(num)s answers", 3), gettext("Members"))
    with force_locale("ru"):
        print(gettext("Search"))
"""


def test_languages_are_the_catalogues_that_lie_there():
    assert supported() == ("en", "ru")
    assert [language_name(code) for code in ("en", "ru", "de", "pt_BR")] == [
        "English",
        "Русский",
        "Deutsch",
        "Português (Brasil)",
    ]


def test_one_file_adds_german_and_what_it_lacks_stays_english(tmp_path):
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "messages.po").write_text(PO, "utf-8")
    run = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "TRANSLATIONS": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == ["en de ru de Suche 3 Antworten Members", "Поиск"]


ROOMS = {
    "public": (None, ("/", "/login", "/join")),
    "member": (ALICE, ("/me", "/me/card", "/me/wallet", "/me/more", "/me/profile", "/me/notifications")),
    "till": (BOB, ("/till/cafe",)),
    "desk": (IRINA, ("/desk/cafe", "/desk/cafe/purchases", "/desk/cafe/staff", "/desk/cafe/invitations")),
    "admin": (
        OLGA,
        ("/admin", "/admin/members", f"/admin/members/{ALICE.id}", "/admin/tiers", "/admin/settings", "/admin/roles"),
    ),
}


@pytest.fixture
def german(tmp_path, monkeypatch):
    """The circle speaks German as well, by one file that says every text between ‹ and ›."""
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (ROOT / "translations/ru/LC_MESSAGES/messages.po").open("rb") as file:
        russian = read_po(file, locale="ru")
    made = Catalog(locale="de")
    for message in russian:
        if isinstance(message.id, tuple):
            made.add(message.id, tuple(f"‹{one}›" for one in message.id), flags=message.flags)
        elif message.id:
            made.add(message.id, f"‹{message.id}›", flags=message.flags)
    with (folder / "messages.po").open("wb") as file:
        write_po(file, made)
    monkeypatch.setenv("TRANSLATIONS", str(tmp_path))
    look_up = hosts._look_up
    monkeypatch.setattr(
        hosts, "_look_up", lambda *a: (one := look_up(*a)) and replace(one, locales=[*one.locales, "de"])
    )
    for memory in (settings.cache_clear, supported.cache_clear, language_names.cache_clear, hosts.forget):
        memory()
    yield
    monkeypatch.undo()
    for memory in (settings.cache_clear, supported.cache_clear, language_names.cache_clear, hosts.forget):
        memory()


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_speaks_a_language_that_one_file_brought(german, sign_in, visitor, room):
    """Seen red with a list of two languages in the page of a member and in the rate of a tier."""
    person, pages = ROOMS[room]
    browser = sign_in(person) if person else visitor(csrf=True)
    browser.post("/language", data={"locale": "de"})
    for url in pages:
        page = browser.get(url)
        assert page.status_code == 200, url
        assert '<html lang="de"' in page.text, url
        assert "‹" in page.text.split("<main")[1], url


def test_a_rate_is_written_as_the_language_does(german, acting):
    with acting(CIRCLE):
        said = []
        for code in ("en", "ru", "de", "tr"):
            with force_locale(code):
                said.append(rate(Fraction(1, 40)))
    assert said == ["2.5%", "2,5\xa0%", "2,5\xa0%", "%2,5"]


def test_a_member_is_shown_with_their_own_language(german, sign_in):
    sign_in(ALICE).post("/language", data={"locale": "de"})
    assert "Deutsch" in sign_in(OLGA).get(f"/admin/members/{ALICE.id}").text.split('id="contact-data"')[1]


def test_a_list_of_people_names_languages_as_anybody_does(german, acting):
    people = "email,language\n" + "\n".join(
        f"p{n}@example.com,{name}" for n, name in enumerate(["de", "Deutsch", "German", "немецкий", "Russian", "tlh"])
    )
    with acting(CIRCLE, OLGA):
        lines = table.read(people)
    assert [line.guest.locale if line.guest else None for line in lines] == ["de", "de", "de", "de", "ru", None]


def test_tiers_begin_in_each_language_of_the_community(german, acting):
    with acting(CIRCLE, OLGA):
        program = create_default_program("JPY")
        names = db.session.scalars(
            select(StatusTier.name_i18n).where(StatusTier.program_id == program).order_by(StatusTier.rank)
        ).all()
        greeting = settings_of(named("club"), tuple(g.tenant.locales))["texts"]["welcome"]
    assert dict(names[0]) == {"en": "Bronze", "ru": "Бронза", "de": "‹Bronze›"}
    assert greeting["de"].startswith("‹Welcome to the club")
    assert greeting["ru"].startswith("Добро пожаловать")
