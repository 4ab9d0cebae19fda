"""Money and points: integers of the smallest unit, an exponent per currency, no float anywhere (WAL-1, WAL-8, G6)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

import iso4217
from babel.core import Locale
from babel.numbers import format_currency, format_decimal, get_decimal_symbol, get_group_symbol
from flask_babel import gettext

from portal.kernel.errors import PortalError

BIGGEST = 2**53 - 1  # fits bigint with room for sums, and every JSON reader's exact integers
POINTS = {"PTS": 0, "XP": 0, "G2A": 0}
CRYPTO = {"TON": 9}
MINUS = "\u2212"
SIGNS = {
    "RUB": "₽",
    "KZT": "₸",
    "UAH": "₴",
    "GEL": "₾",
    "BYN": "Br",
    "UZS": "soʻm",
}  # where the locale has only the code
SPACES = " \u00a0\u202f"
ISO: dict[str, int] = {c.code: c.exponent for c in iso4217.Currency if c.exponent is not None}


class AmountError(PortalError):
    """The amount cannot be read or is finer than the currency's smallest unit (WAL-10)."""

    code, status = "txn.invalid_amount", 422


class PrecisionError(AmountError):
    """More decimals than the currency has."""

    code = "txn.precision"


class UnknownCurrency(PortalError):
    """No currency has this code."""

    code = "wallet.currency_unknown"


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency: `exponent` decimals, `kind` fiat, crypto or points."""

    code: str
    exponent: int
    kind: str


def currency(code: str) -> Currency:
    """The currency by its code; raises `UnknownCurrency`."""
    for kind, table in (("points", POINTS), ("crypto", CRYPTO), ("fiat", ISO)):
        if code in table:
            return Currency(code, table[code], kind)
    raise UnknownCurrency(gettext("There is no currency %(code)s.", code=code))


def parse_amount(text: str, code: str, locale: str) -> int:
    """Minor units of what a person typed: `1 234,50` and `1,234.50` are both understood.

    A lone separator is the decimal one when it is the locale's, or when what follows cannot be a group of three;
    `1,234` in English is refused neither as 1234 nor read as 1.234: grouping wins where the locale groups so, and where
    two readings remain the amount is refused (G6). Raises `AmountError` or `PrecisionError`; never below zero.
    """
    raw = text.strip(SPACES + "\t\r\n")
    compact = re.sub(rf"(?<=\d)[{SPACES}'](?=\d{{3}}(?:\D|$))", "", raw)
    if not re.fullmatch(r"[0-9][0-9.,]*", compact) or not compact.isascii():
        raise AmountError(gettext("Type an amount in digits, such as %(example)s.", example=_example(code, locale)))
    return _minor(_unified(compact, code, locale), code, locale)


def _unified(raw: str, code: str, locale: str) -> str:
    """The amount with one point for decimals and no grouping."""
    marks = [c for c in raw if c in ".,"]
    if not marks:
        return raw
    last = marks[-1]
    whole, _, fraction = raw.rpartition(last)
    if len(set(marks)) == 2:  # noqa: PLR2004  two different marks: the last one divides
        other = "," if last == "." else "."
        if marks.count(last) == 1 and re.fullmatch(rf"\d{{1,3}}(?:{re.escape(other)}\d{{3}})+", whole):
            return f"{whole.replace(other, '')}.{fraction}"
        raise _unclear(raw, code, locale)
    if len(marks) > 1:  # one mark several times can only group
        if re.fullmatch(rf"\d{{1,3}}(?:{re.escape(last)}\d{{3}})+", raw):
            return raw.replace(last, "")
        raise _unclear(raw, code, locale)
    if not whole or not fraction:
        raise _unclear(raw, code, locale)
    return _lone_mark(raw, last, whole, fraction, code, locale)


def _lone_mark(raw: str, mark: str, whole: str, fraction: str, code: str, locale: str) -> str:
    if len(fraction) != 3:  # noqa: PLR2004  not a group of three, so it divides
        return f"{whole}.{fraction}"
    decimals = currency(code).exponent
    if mark == get_decimal_symbol(locale) and decimals >= 3:  # noqa: PLR2004
        return f"{whole}.{fraction}"
    if mark == get_group_symbol(locale) and len(whole) <= 3 and whole != "0" and decimals < 3:  # noqa: PLR2004
        return whole + fraction
    if mark == get_decimal_symbol(locale) or whole == "0":
        return f"{whole}.{fraction}"  # finer than the currency: refused as such
    raise _unclear(raw, code, locale)


def _unclear(raw: str, code: str, locale: str) -> AmountError:
    return AmountError(
        gettext(
            "%(typed)s can be read in two ways. Type it like %(example)s.", typed=raw, example=_example(code, locale)
        )
    )


def _example(code: str, locale: str) -> str:
    return format_number(Decimal(123450) / 100 if currency(code).exponent else Decimal(1234), locale)


def format_number(value: Decimal | int, locale: str) -> str:
    """A number as people of the locale write it, with a true minus sign."""
    return format_decimal(value, locale=locale).replace("-", MINUS)


def parse_api_amount(value: object, code: str, *, positive: bool = False) -> int:
    """Minor units of a decimal **string** with exactly the currency's decimals or fewer; numbers are refused (G6)."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,12})?", value):
        raise AmountError(gettext("The amount must be a decimal string such as “12.50”."))
    minor = _minor(value, code, "en")
    if positive and minor == 0:
        raise AmountError(gettext("The amount must be above zero."))
    return minor


def _minor(text: str, code: str, locale: str) -> int:
    decimals = currency(code).exponent
    _, _, fraction = text.partition(".")
    if len(fraction.rstrip("0")) > decimals:
        raise PrecisionError(
            gettext(
                "%(code)s has %(count)s decimals at most: type it like %(example)s.",
                code=code,
                count=decimals,
                example=_example(code, locale),
            )
        )
    minor = int(Decimal(text).scaleb(decimals).to_integral_exact())
    if minor > BIGGEST:
        raise AmountError(gettext("The amount is too large."))
    return minor


def decimal_of(minor: int, code: str) -> Decimal:
    """The exact decimal of an amount."""
    return Decimal(minor).scaleb(-currency(code).exponent)


def decimal_string(minor: int, code: str) -> str:
    """The amount as the API and files carry it: exactly the currency's decimals."""
    return f"{decimal_of(minor, code):.{currency(code).exponent}f}"


def format_amount(minor: int, code: str, locale: str, *, symbol: bool = True) -> str:
    """The amount for people, e.g. `₽1,240.00` or `1 240,00 ₽`; points carry no sign. Minus is U+2212."""
    style = _style(code, locale, symbol)
    whole, rest = divmod(abs(int(minor)), style.unit)  # PostgreSQL's sums come as Decimal
    shown = f"{whole:,}".replace(",", style.group)
    if style.decimals:
        shown = f"{shown}{style.mark}{rest:0{style.decimals}d}"
    return f"{MINUS if minor < 0 else ''}{style.before}{shown}{style.after}"


@dataclass(frozen=True, slots=True)
class _Style:
    """How amounts of a currency are written in a language: `before` and `after` hold its sign."""

    unit: int
    decimals: int
    group: str
    mark: str
    before: str
    after: str


@lru_cache(maxsize=1024)
def _style(code: str, locale: str, symbol: bool) -> _Style:
    """Read off one amount that Babel has written: Babel itself takes a tenth of a millisecond for each."""
    kind = currency(code)
    shown = ""
    if symbol and kind.kind == "fiat":
        pattern = Locale.parse(locale).currency_formats["standard"].pattern
        shown = format_currency(Decimal(1), code, format=pattern, locale=locale, currency_digits=True)
        shown = shown.replace(code, SIGNS.get(code, code))
    digits = re.search(r"\d(?:.*\d)?", shown)
    return _Style(
        unit=10**kind.exponent,
        decimals=kind.exponent,
        group=get_group_symbol(locale),
        mark=get_decimal_symbol(locale),
        before=shown[: digits.start()] if digits else "",
        after=shown[digits.end() :] if digits else "",
    )


def earned(base_minor: int, rate: Fraction) -> int:
    """Bonus for a paid amount: rounded down (LOY-7, WAL-8)."""
    return max(0, base_minor) * rate.numerator // rate.denominator


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Parts of `total` in proportion to `weights` that sum to it: largest remainder, ties to the first (WAL-8)."""
    whole = sum(weights)
    if not weights or whole <= 0:
        raise ValueError("weights must be there and sum to more than zero")
    parts = [total * w // whole for w in weights]
    rest = total - sum(parts)
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[:rest]:
        parts[i] += 1
    return parts
