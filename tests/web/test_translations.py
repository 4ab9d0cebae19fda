"""Russian is complete: every text that code and templates extract has its translation, placeholders and plurals included."""

import re
from pathlib import Path

from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
RU = ROOT / "translations" / "ru" / "LC_MESSAGES"
KEYWORDS = {"_": None, "_l": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
NAMED = re.compile(r"%\(\w+\)s")


def extracted():
    method, options = [("**.py", "python"), ("**.html", "jinja2")], {"**.html": {"trimmed": "true"}}
    for folder in ("portal", "workers", "templates"):
        for _, _, message, _, _ in extract_from_dir(str(ROOT / folder), method, options, KEYWORDS):
            yield message


def catalogue():
    with (RU / "messages.po").open("rb") as file:
        return {m.id: m for m in read_po(file, locale="ru") if m.id}


def test_every_text_is_translated():
    known = {(i if isinstance(i, str) else tuple(i)) for i in catalogue()}
    missing = {m if isinstance(m, str) else tuple(m[:2]) for m in extracted()} - known
    assert missing == set()


def test_translations_are_whole():
    wrong = []
    for message in catalogue().values():
        forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
        source = message.id if isinstance(message.id, str) else message.id[1]
        if message.fuzzy or not all(forms) or (not isinstance(message.id, str) and len(forms) != 3):
            wrong.append(message.id)
        wrong += [message.id for form in forms if set(NAMED.findall(form)) != set(NAMED.findall(source))]
    assert wrong == []


def test_the_compiled_catalogue_says_the_same():
    with (RU / "messages.mo").open("rb") as file:
        compiled = {plain(m.id): plain(m.string) for m in read_mo(file) if m.id}
    assert compiled == {plain(i): plain(m.string) for i, m in catalogue().items()}


def plain(text):
    return tuple(text) if isinstance(text, list | tuple) else text
