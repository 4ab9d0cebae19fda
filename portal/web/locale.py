"""The reader's language and zone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import g, has_request_context, request
from flask_babel import force_locale, get_locale
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
    return str(get_locale() or DEFAULT)


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
