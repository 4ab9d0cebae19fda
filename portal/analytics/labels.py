"""How the figures of the dashboards are said."""

from datetime import date
from typing import Any

from flask_babel import format_date, gettext

from portal.kernel.money import format_amount, format_number
from portal.web.locale import current
from portal.web.template import percent

MINUS = "\u2212"


def periods() -> list[tuple[str, str]]:
    """The chips above a dashboard."""
    return [("week", gettext("Week")), ("month", gettext("30 days")), ("quarter", gettext("Quarter"))]


def period_before(period: str) -> str:
    """What the dashed line and the paler figures are."""
    return {
        "week": gettext("the week before"),
        "month": gettext("the 30 days before"),
        "quarter": gettext("the quarter before"),
    }[period]


def change(now: int, then: int, *, good: bool | None = True) -> dict[str, Any]:
    """How a figure moved, for a tile: nothing to compare with says nothing. `good`: whether more is good news."""
    if not then:
        return {"delta": "", "up": None}
    share = (now - then) / then
    sign = "+" if share > 0 else MINUS if share < 0 else "±"
    return {"delta": sign + percent(abs(share)), "up": None if good is None or not share else (share > 0) == good}


def weekdays() -> list[str]:
    """Monday first."""
    return [
        gettext("Mon"),
        gettext("Tue"),
        gettext("Wed"),
        gettext("Thu"),
        gettext("Fri"),
        gettext("Sat"),
        gettext("Sun"),
    ]


def days(rows: list[dict[str, Any]], currency: str) -> list[dict[str, Any]]:
    """Rows of a chart: the later half of `rows` as days, the earlier half beside them as the time before."""
    half = len(rows) // 2
    return [
        {
            "label": _day(now["day"]),
            "value": now["sales"],
            "text": format_amount(now["sales"], currency, current()),
            "then": then["sales"],
            "then_text": format_amount(then["sales"], currency, current()),
        }
        for then, now in zip(rows[:half], rows[half:], strict=True)
    ]


def heat(found: dict[tuple[int, int], int]) -> dict[str, Any] | None:
    """Weekdays by hours for `ui.heat`, each cell with its shade 0 to 9; hours at the ends in which nobody buys are left out."""
    if not found:
        return None
    first, last, most = min(h for _, h in found), max(h for _, h in found), max(found.values())
    rows = [
        {
            "label": name,
            "cells": [
                {"value": format_number(n, current()) if n else "", "step": -(-9 * n // most)}
                for n in (found.get((weekday, hour), 0) for hour in range(first, last + 1))
            ],
        }
        for weekday, name in enumerate(weekdays(), 1)
    ]
    return {"columns": [str(hour) for hour in range(first, last + 1)], "rows": rows}


def _day(value: date) -> str:
    return format_date(value, "d MMM")
