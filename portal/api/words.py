"""The description's texts: English in the document, in the reader's language on the page."""

from flask_babel import gettext


def _(text: str) -> str:
    """Marks a text for the catalogue and leaves it English, as `openapi.json` is."""
    return text


def shown(text: str) -> str:
    """The text in the reader's language."""
    return gettext(text) if text else ""
