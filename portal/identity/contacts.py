"""How people are written: one person, one canonical key, whatever was typed (D28, B3)."""

import re
import unicodedata

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from flask import g
from flask_babel import gettext
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat

from portal.kernel.errors import PortalError

LONGEST_NAME, LONGEST_EMAIL, LONGEST_PHONE = 200, 254, 32
REGIONS = {"EUR": "DE"}
INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Cn"}  # controls, zero width and direction marks, private use
LETTERS_JOINED = "\u200c\u200d"  # needed inside words of some scripts


class InvalidName(PortalError):
    """A name that cannot be shown."""

    code = "member.invalid_name"


class InvalidEmail(PortalError):
    """Not an address that mail could be sent to."""

    code = "member.invalid_email"


class InvalidPhone(PortalError):
    """Not a telephone number."""

    code = "member.invalid_phone"


def plain_text(text: str) -> str:
    """One line in NFC, single spaces, without invisible characters."""
    composed = unicodedata.normalize("NFC", text)
    visible = "".join(
        " " if c.isspace() else c
        for c in composed
        if c.isspace() or unicodedata.category(c) not in INVISIBLE or c in LETTERS_JOINED
    )
    return " ".join(visible.split())


def clean_name(text: str) -> str:
    """The name as `plain_text` leaves it. Raises `InvalidName`."""
    name = plain_text(text)
    if not any(c.isalnum() for c in name):
        raise InvalidName(gettext("Type a name."))
    if len(name) > LONGEST_NAME:
        raise InvalidName(gettext("A name has at most %(count)s characters.", count=LONGEST_NAME))
    return name


def clean_email(text: str) -> str:
    """The address in lower case, checked by its form only. Raises `InvalidEmail`.

    The part before the @ is Latin: what a mailbox is called in other scripts cannot be told from its look-alikes.
    """
    try:
        found = validate_email(text.strip()[: LONGEST_EMAIL + 1], check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise InvalidEmail(gettext("This is not an e-mail address. It looks like name@example.com.")) from error
    return found.normalized.lower()


def region() -> str:
    """The country whose numbers are typed without a code: the tenant's setting, else its currency's."""
    tenant = g.tenant
    chosen = str(tenant.settings.get("region", "")).upper()
    return chosen if chosen in phonenumbers.SUPPORTED_REGIONS else region_of_currency(tenant.currency)


def region_of_currency(code: str) -> str:
    """A country that pays in this currency; the United States where none stands out."""
    if code in REGIONS:
        return REGIONS[code]
    return code[:2] if code[:2] in phonenumbers.SUPPORTED_REGIONS else "US"  # ISO 4217: the first two are the country


def clean_phone(text: str) -> str:
    """The number as E.164, e.g. +79120000101, whatever it was written like. Raises `InvalidPhone`."""
    try:
        number = phonenumbers.parse(text[:LONGEST_PHONE], region())
    except NumberParseException as error:
        raise InvalidPhone(_not_a_phone()) from error
    if not phonenumbers.is_possible_number(number) or number.extension:
        raise InvalidPhone(_not_a_phone())
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def shown_phone(e164: str | None) -> str:
    """The number in groups, as people read it."""
    if not e164:
        return ""
    try:
        return phonenumbers.format_number(phonenumbers.parse(e164), PhoneNumberFormat.INTERNATIONAL)
    except NumberParseException:
        return e164


def hidden_phone(e164: str | None) -> str:
    """Enough of the number to tell it from another: its end, as tills show it."""
    return f"••• {e164[-4:]}" if e164 else ""


def hidden_email(email: str | None) -> str:
    """Enough of the address to tell it from another: the first letter and where the mailbox is."""
    return f"{email[0]}•••@{email.rpartition('@')[2]}" if email else ""


def national(e164: str) -> str:
    """The digits of the number without its country."""
    return str(phonenumbers.parse(e164).national_number)


def trunk_prefix() -> str:
    """What is dialled before a number inside the country, e.g. 8 in Russia."""
    metadata = PhoneMetadata.metadata_for_region(region())
    return (metadata.national_prefix or "") if metadata else ""


def looks_like_phone(text: str) -> bool:
    """Digits with the signs that people put between them."""
    return re.fullmatch(r"\+?[\d\s().\-–/\u00a0]{5,32}", text) is not None


def _not_a_phone() -> str:
    return gettext("This is not a telephone number. Type it with its code, such as +7 912 345 67 89.")
