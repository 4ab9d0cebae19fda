"""What a browser calls itself, in words that people recognise."""

import ipaddress

from babel.core import Locale
from flask_babel import gettext
from iptocc import country_code

from portal.web.locale import current

BROWSERS = (
    ("YaBrowser", "Yandex Browser"),
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("python", "Python"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)
HANDHELD = {"iPhone", "iPad", "Android"}


def described(user_agent: str) -> str:
    """`Chrome, Android`; an unknown program is said to be one."""
    found = [
        next((name for mark, name in table if mark.casefold() in user_agent.casefold()), "")
        for table in (BROWSERS, SYSTEMS)
    ]
    return ", ".join(name for name in found if name) or gettext("Unknown device")


def place(ip: str) -> str:
    """The country that an address belongs to, in the reader's language, by the registries' own lists; empty when
    unknown.
    """
    try:
        if ipaddress.ip_address(ip).is_private:
            return gettext("your own network")
        code = country_code(ip)
    except ValueError:
        return ""
    return str(Locale.parse(current()).territories.get(code, code)) if code else ""


def handheld(user_agent: str) -> bool:
    """Whether it is a telephone or a tablet, for the picture beside it."""
    return any(mark in user_agent for mark in HANDHELD)
