"""Card numbers: `NNNN NNNN NNNC`, eleven random digits and Luhn's check digit (G10)."""

import re
import secrets
import unicodedata
from typing import Any

LENGTH = 12
GROUP = 4
SHORT = 7  # the last six digits and the check digit
ADDRESS = re.compile(r"(?:https?://[^/\s]+)?/c/([0-9 -]+)/?(?:[?#].*)?$", re.I)
SEPARATORS = re.compile(r"[\s\-–.\u00a0]+")


def new_card_number() -> str:
    """A number that nobody can guess from another; the first digit is never 0, so that spreadsheets keep it whole."""
    first = str(secrets.randbelow(9 * 10 ** (LENGTH - 2)) + 10 ** (LENGTH - 2))
    return first + check_digit(first)


def check_digit(first: str) -> str:
    """Luhn's digit for the eleven before it: one wrong digit or two swapped neighbours are noticed."""
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(reversed(first)))
    return str(-total % 10)


def valid_card(text: str) -> str | None:
    """The twelve digits of a card as typed, scanned or read from its QR address; None when it is no card."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if address := ADDRESS.match(plain):
        plain = address[1]
    digits = SEPARATORS.sub("", plain)
    if len(digits) != LENGTH or not (digits.isascii() and digits.isdigit()):
        return None
    return digits if check_digit(digits[:-1]) == digits[-1] else None


def card_url(tenant: Any, card: str) -> str:
    """What the QR code says: an address that opens the join page for strangers and is read by the till (G10)."""
    return f"{tenant.base_url}/c/{card}"


def shown(card: str) -> str:
    """The number as it is printed: 4071 2265 9038."""
    return " ".join(card[i : i + GROUP] for i in range(0, len(card), GROUP))


def short_code(card: str) -> str:
    """The end by which a member is found inside a shop: 265 9038."""
    end = card[-SHORT:]
    return f"{end[:-GROUP]} {end[-GROUP:]}"
