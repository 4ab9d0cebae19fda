"""Amounts as people read them (G6, WAL-8)."""

from decimal import Decimal

import pytest
from babel.numbers import format_decimal

from portal.kernel.money import MINUS, decimal_of, format_amount

MINOR = (0, 1, -1, 99, -100, 12_345, 123_456_789, -1_234_567_890, 2**53 - 1)


@pytest.mark.parametrize(
    ("minor", "code", "locale", "shown"),
    [
        (124_000, "RUB", "en", "₽1,240.00"),
        (124_000, "RUB", "ru", "1\u00a0240,00\u00a0₽"),
        (-5, "EUR", "en", "−€0.05"),
        (1_240, "JPY", "en", "¥1,240"),
        (1_240, "PTS", "ru", "1\u00a0240"),
        (-99, "IQD", "en", "−IQD0.099"),  # every decimal of the currency, whatever people do with cash
        (Decimal(124_000), "RUB", "en", "₽1,240.00"),  # a sum of PostgreSQL
    ],
)
def test_an_amount_has_its_sign_its_groups_and_all_its_decimals(minor, code, locale, shown):
    assert format_amount(minor, code, locale) == shown


@pytest.mark.parametrize("locale", ["en", "ru"])
@pytest.mark.parametrize("code", ["RUB", "JPY", "KWD", "TON", "PTS"])
def test_amounts_are_written_as_babel_writes_numbers(code, locale):
    for minor in MINOR:
        value = decimal_of(minor, code)
        pattern = "#,##0" + ("." + "0" * -value.as_tuple().exponent if value.as_tuple().exponent else "")
        expected = format_decimal(value, format=pattern, locale=locale).replace("-", MINUS)
        assert format_amount(minor, code, locale, symbol=False) == expected
