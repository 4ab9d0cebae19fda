"""The reader's language and zone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from babel.core import Locale
from flask import g, has_request_context, request
from flask_babel import Domain, force_locale, get_locale
from flask_login import current_user

COOKIE = "lang"
DEFAULT = "en"
SUPPORTED = ("en", "ru")


def offered() -> list[str]:
    """Languages of this tenant that the portal speaks."""
    tenant = g.get("tenant")
    return [code for code in (tenant.locales if tenant else SUPPORTED) if code in SUPPORTED] or [DEFAULT]


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
            self._read[name] = super().get_translations()
        return self._read[name]


def zone() -> str:
    """Times are shown in the person's zone, else the tenant's (G11)."""
    tenant = g.get("tenant")
    own = getattr(current_user, "timezone", None) if has_request_context() else None
    return own or (tenant.timezone if tenant else "UTC")


@contextmanager
def locale_of(member: Any, tenant: Any) -> Iterator[str]:
    """Speak the recipient's language in a mail or a job (G15); `member` has `.locale`."""
    code = member.locale if member.locale in SUPPORTED else tenant.default_locale
    code = code if code in SUPPORTED else DEFAULT
    with force_locale(code):
        yield code
