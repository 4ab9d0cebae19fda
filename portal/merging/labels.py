"""The words of this noun as people read them (G16)."""

from flask_babel import gettext


def why(code: str) -> str:
    """Why two accounts may be one person's."""
    return {
        "asked": gettext("They showed the same Telegram account"),
        "phone": gettext("The same phone number in two spellings"),
        "email": gettext("The same mailbox in two spellings"),
        "birthday": gettext("The same name and birthday"),
        "name": gettext("The same name"),
    }.get(code, code)
