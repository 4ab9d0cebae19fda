"""Amounts of a call, with the field's name in the refusal (B1, G6)."""

from typing import Any

from portal.kernel.money import AmountError, parse_api_amount


def minor(value: object, currency: str, field: str, *, positive: bool = False) -> int:
    """Minor units; raises `AmountError` that names the field."""
    try:
        return parse_api_amount(value, currency, positive=positive)
    except AmountError as error:
        error.extra["field"] = field
        raise


def line_amounts(lines: Any, currency: str) -> list[dict[str, Any]]:
    """Lines with their amounts in minor units."""
    return [
        {**line.model_dump(), "amount": minor(line.amount, currency, f"lines.{n}.amount")}
        for n, line in enumerate(lines)
    ]
