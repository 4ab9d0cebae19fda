"""Legal pages to begin with: drafts that stand in the editor of whoever has published nothing yet.

Nothing of them is kept or shown to anybody else; what is in double brackets has to be filled in or removed first.
"""

from collections.abc import Iterable

from flask import g
from flask_babel import force_locale, gettext

BLANK = "[["


def drafts(page: str, codes: Iterable[str]) -> dict[str, tuple[str, str]]:
    """`{language: (title, body)}` of a page for the acting tenant; empty where its template brought no texts."""
    if g.tenant.settings.get("drafts") != "open":
        return {}
    said = {}
    for code in codes:
        with force_locale(code):
            said[code] = _page(page)
    return said


def _page(page: str) -> tuple[str, str]:
    name = g.tenant.name
    first = gettext("[[Draft: have it checked by a lawyer, fill in what stands in brackets, then remove this line.]]")
    title, parts = {
        "terms": (
            gettext("Terms of the programme"),
            [
                gettext(
                    "%(name)s is run by [[company, address]]. Joining is free, and you can leave at any time.",
                    name=name,
                ),
                gettext(
                    "Bonus is counted by the rules on the pages of the programme. It is no money and is not paid out."
                ),
                gettext("When the terms change, you are asked to agree to them anew before you go on."),
            ],
        ),
        "privacy": (
            gettext("Privacy"),
            [
                gettext("[[Company, address]] is responsible for your data; write to [[e-mail]]."),
                gettext(
                    "We keep your name, your contacts, your purchases and your bonus, so that the programme can work."
                ),
                gettext("In your profile you can see your data, take it with you and close your account."),
            ],
        ),
        "imprint": (gettext("Imprint"), [gettext("[[Company, address, register, who represents it, e-mail, phone]]")]),
    }[page]
    return title, "\n\n".join([first, *parts])
