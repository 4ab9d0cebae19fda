"""A change of settings in words: what each field is called, and its values as people read them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flask_babel import gettext

from portal.tenants import brand as brands
from portal.web.locale import language_name

COLOUR = ("brand.hue", "brand.chroma", "brand.lightness")
PICTURES = {"brand.logo", "brand.icon"}
LONGEST = 200


class Line(NamedTuple):
    """One field that was changed; empty text is nothing at all."""

    label: str
    before: str
    after: str


def page_name(page: str) -> str:
    """Where a change was made."""
    known = {
        "settings": gettext("The circle"),
        "brand": gettext("Brand"),
        "texts": gettext("Texts and sender"),
        "currencies": gettext("Currencies"),
        "modules": gettext("Modules"),
        "legal": gettext("Legal pages"),
        "second_factor": gettext("Second factor by role"),
        "kyc": gettext("Rules of verification"),
        "restore": gettext("An older version restored"),
    }
    return known.get(page, page)


def lines(before: Mapping[str, Any], after: Mapping[str, Any], whole: Mapping[str, Any]) -> list[Line]:
    """What changed, one line a field; `whole` is the tenant now, for the parts of a colour that stayed."""
    found = []
    if any(name in after for name in COLOUR):
        found.append(Line(gettext("Colour"), _hex({**whole, **before}), _hex({**whole, **after})))
    for name in sorted(after, key=_order):
        if name in COLOUR:
            continue
        old, new = _leaves(name, before.get(name)), _leaves(name, after[name])
        found += [
            Line(_label(leaf), old.get(leaf, ""), new.get(leaf, ""))
            for leaf in sorted({*old, *new})
            if old.get(leaf, "") != new.get(leaf, "")
        ]
    return found


def _order(name: str) -> tuple[int, str]:
    return ("." in name, name)


def _hex(state: Mapping[str, Any]) -> str:
    parts = {name: state.get(f"brand.{name}") for name in ("hue", "chroma", "lightness")}
    return brands.of({name: value for name, value in parts.items() if value is not None}).hex()


def _leaves(path: str, value: Any) -> dict[str, str]:
    if path in PICTURES:
        return {path: gettext("a picture, %(digest)s", digest=value["digest"][:8])} if value else {}
    if path == "brand.mark":
        return {path: {"ring": gettext("Ring"), "waves": gettext("Waves")}.get(value, str(value or ""))}
    if path in {"locales", "default_locale"}:
        return {path: ", ".join(language_name(code) for code in ([value] if isinstance(value, str) else value))}
    return dict(_flat(path, value))


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}", inner)
    elif value not in (None, "", []):
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield path, text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _label(path: str) -> str:
    known = {
        "name": gettext("Name"),
        "timezone": gettext("Time zone"),
        "default_locale": gettext("First language"),
        "locales": gettext("Languages"),
        "modules": gettext("Modules"),
        "brand.mark": gettext("Mark"),
        "brand.logo": gettext("Logo"),
        "brand.icon": gettext("Icon"),
        "settings.region": gettext("Region"),
        "settings.banner.from": gettext("First day"),
        "settings.banner.to": gettext("Last day"),
        "settings.banner.audience": gettext("Who sees it"),
        "settings.mail.from_name": gettext("Name of the sender"),
        "settings.mail.from_address": gettext("Address of the sender"),
        "settings.mail.reply_to": gettext("Address for answers"),
        "settings.currencies.first": gettext("Shown first"),
    }
    if path in known:
        return known[path]
    for start, words in (
        ("settings.banner.text.", gettext("Announcement")),
        ("settings.texts.welcome.", gettext("Greeting")),
        ("settings.legal.", gettext("Legal pages")),
        ("settings.second_factor.", gettext("Second factor by role")),
        ("settings.kyc.", gettext("Rules of verification")),
    ):
        if path.startswith(start):
            return f"{words}: {path.removeprefix(start)}"
    return path.removeprefix("settings.")
