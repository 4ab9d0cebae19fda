"""States, levels, documents and reasons in words (G16)."""

from babel import Locale
from flask_babel import gettext

from portal.web.locale import current


def state(name: str) -> str:
    """A submission's state."""
    return {
        "none": gettext("Not verified"),
        "pending": gettext("Being looked at"),
        "verified": gettext("Verified"),
        "rejected": gettext("Refused"),
        "resubmit": gettext("To be sent again"),
        "expired": gettext("Run out"),
        "review": gettext("Being looked at again"),
    }.get(name, name)


def level(name: str) -> str:
    """How far somebody is verified."""
    return {"none": gettext("None"), "basic": gettext("Basic"), "full": gettext("Full")}.get(name, name)


def document(name: str) -> str:
    """A picture of a submission."""
    return {
        "front": gettext("Front side, or the page with the photograph"),
        "back": gettext("Back side"),
        "selfie": gettext("You with the document in your hand"),
        "address": gettext("A letter or bill with your address"),
    }.get(name, name)


def document_kind(name: str) -> str:
    """A kind of identity document."""
    return {
        "passport": gettext("Passport"),
        "id_card": gettext("Identity card"),
        "driving_licence": gettext("Driving licence"),
        "residence_permit": gettext("Residence permit"),
    }.get(name, name)


def country(code: str) -> str:
    """A country by its two letters (ISO 3166)."""
    return str(Locale.parse(current()).territories.get(code, code))


def reason(name: str) -> str:
    """Why a submission was refused."""
    return {
        "unreadable": gettext("The picture cannot be read"),
        "expired": gettext("The document has run out"),
        "mismatch": gettext("The data do not agree with the document"),
        "wrong_document": gettext("This kind of document is not taken"),
        "incomplete": gettext("A side or a page is missing"),
        "suspicious": gettext("The document looks changed"),
    }.get(name, name)


def feature(name: str) -> str:
    """What a level unlocks."""
    return {
        "bonus.spend": gettext("Paying with bonus above the free amount"),
        "profile.public": gettext("A public page"),
    }.get(name, name)
