"""A third language is one file in a folder of the installation; nothing is compiled, no code knows its name."""

import os
import subprocess
import sys

from portal.settings import ROOT
from portal.web.locale import language_name, supported

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
