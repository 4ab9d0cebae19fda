"""The reader's language and zone. A language is one file, `<code>/LC_MESSAGES/messages.po` (or the `.mo` made from it),
under `translations/` or under the folder that TRANSLATIONS names; English is the source and needs none.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.core import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from flask import g, has_request_context, request
from flask_babel import Domain, LazyString, force_locale, get_locale
from flask_login import current_user

from portal.settings import ROOT, settings

COOKIE = "lang"
DEFAULT = "en"
CATALOGUE = "LC_MESSAGES/messages"


def folders() -> list[Path]:
    """Where languages lie; a language of the installation's own folder wins over ours."""
    own = settings().TRANSLATIONS
    return [*([own] if own else []), ROOT / "translations"]


@lru_cache(maxsize=1)
def supported() -> tuple[str, ...]:
    """The codes of all languages that the portal speaks, English first."""
    files = [file for folder in folders() for suffix in ("mo", "po") for file in folder.glob(f"*/{CATALOGUE}.{suffix}")]
    return (DEFAULT, *sorted({file.parents[1].name for file in files} - {DEFAULT}))


def language_name(code: str) -> str:
    """A language as its speakers write it: `Русский`."""
    name = Locale.parse(code).get_display_name(code) or code
    return name[:1].upper() + name[1:]


@lru_cache(maxsize=128)
def language_names(code: str) -> tuple[str, ...]:
    """A language's names in small letters, in itself and in every language that the portal speaks: `русский`, `russian`."""
    language = Locale.parse(code)
    names = [language.get_display_name(other) for other in (code, *supported())]
    return tuple({name.casefold() for name in names if name})


def offered() -> list[str]:
    """Languages of this tenant that the portal speaks."""
    tenant = g.get("tenant")
    known = supported()
    return [code for code in (tenant.locales if tenant else known) if code in known] or [DEFAULT]


def chosen() -> str:
    """The person's own choice, else the cookie's, else the browser's, else the tenant's (G15)."""
    if not has_request_context():
        return DEFAULT
    languages = offered()
    for code in (getattr(current_user, "locale", None), request.cookies.get(COOKIE)):
        if code in languages:
            return str(code)
    tenant = g.get("tenant")
    return request.accept_languages.best_match(languages) or (tenant.default_locale if tenant else DEFAULT)


def current() -> str:
    """The language being spoken now."""
    spoken = get_locale()
    return _name(spoken) if spoken else DEFAULT


def direction() -> str:
    """`rtl` where the language being spoken is written from the right, else `ltr`."""
    spoken = get_locale()
    return spoken.text_direction if spoken else "ltr"


def first_locale() -> str:
    """The acting tenant's first language; English where nobody acts for one."""
    tenant = g.get("tenant")
    return tenant.default_locale if tenant else "en"


def in_cyrillic() -> bool:
    """Whether the language being spoken is written in Cyrillic letters, by the first letter of its own name."""
    return unicodedata.name(language_name(current())[0], "").startswith("CYRILLIC")


def spoken_in(text: LazyString, codes: Iterable[str]) -> dict[str, str]:
    """A text of ours in each of the languages, as `*_i18n` columns hold it; English where the portal does not speak one."""
    said = {}
    for code in codes:
        with force_locale(code):
            said[code] = str(text)
    return said


def _name(spoken: Locale) -> str:
    """`ru`, `pt_BR`: Babel takes longer to write a locale out than to format a number in it."""
    return str(spoken) if spoken.territory or spoken.script or spoken.variant else spoken.language


class Catalogues(Domain):
    """The texts of each language, found without writing its locale out: a page asks for a hundred of them."""

    def __init__(self) -> None:
        super().__init__()
        self._read: dict[str, Any] = {}

    def get_translations(self) -> Any:
        """The texts of the language being spoken now."""
        name = current()
        if name not in self._read:
            self._read[name] = catalogue(name)
        return self._read[name]


def catalogue(code: str) -> Translations:
    """The texts of a language; a `.po` that nobody compiled is read as it is. English gets an empty catalogue."""
    for folder in folders():
        compiled, source = (folder / code / f"{CATALOGUE}.{suffix}" for suffix in ("mo", "po"))
        if compiled.exists():
            with compiled.open("rb") as file:
                return Translations(file)
        if source.exists():
            made = BytesIO()
            with source.open("rb") as file:
                write_mo(made, read_po(file, locale=code))
            made.seek(0)
            return Translations(made)
    return Translations()


def zone() -> str:
    """Times are shown in the person's zone, else the tenant's (G11)."""
    tenant = g.get("tenant")
    own = getattr(current_user, "timezone", None) if has_request_context() else None
    return own or (tenant.timezone if tenant else "UTC")


@contextmanager
def locale_of(member: Any, tenant: Any) -> Iterator[str]:
    """Speak the recipient's language in a mail or a job (G15); `member` has `.locale`."""
    code = member.locale if member.locale in supported() else tenant.default_locale
    code = code if code in supported() else DEFAULT
    with force_locale(code):
        yield code
