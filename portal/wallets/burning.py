"""The calendar of what burns: a month of days, each with its sum (LOY-1)."""

from calendar import Calendar
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from babel.core import Locale
from babel.dates import get_day_names
from flask_babel import format_date, gettext

from portal.kernel.money import format_amount
from portal.web.locale import current as locale

DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Month:
    """A month as `ui.month` draws it. `total` burns in it; `before` and `after` are the months to turn to."""

    first: date
    weekdays: Sequence[tuple[str, str]]
    weeks: Sequence[Sequence[Mapping[str, Any]]]
    total: int
    before: str | None
    after: str


def by_day(expiries: Sequence[Any], zone: str) -> dict[date, int]:
    """What burns on each day of the reader's zone, in order."""
    days: dict[date, int] = defaultdict(int)
    for row in expiries:
        days[row.expires_at.astimezone(ZoneInfo(zone)).date()] += row.amount
    return dict(days)


def month(days: Mapping[date, int], wanted: str, today: date, code: str) -> Month:
    """The month `wanted` (`2026-12`), else the first in which something burns; the day with most is marked apart."""
    soonest = min((day for day in days if day >= today), default=today)
    first = max(_first(wanted) or soonest.replace(day=1), today.replace(day=1))
    inside = {day: n for day, n in days.items() if (day.year, day.month) == (first.year, first.month)}
    most = max(inside.values(), default=0)
    spoken = Locale.parse(locale())
    weeks = [
        [_day(day, first, today, days.get(day, 0), most, code) for day in week]
        for week in Calendar(spoken.first_week_day).monthdatescalendar(first.year, first.month)
    ]
    short, full = get_day_names("abbreviated", "stand-alone", spoken), get_day_names("wide", "stand-alone", spoken)
    order = [(spoken.first_week_day + n) % 7 for n in range(7)]
    return Month(
        first=first,
        weekdays=[(short[n], full[n]) for n in order],
        weeks=weeks,
        total=sum(inside.values()),
        before=_name(first, -1) if first > today.replace(day=1) else None,
        after=_name(first, 1),
    )


def _day(day: date, first: date, today: date, burns: int, most: int, code: str) -> dict[str, Any]:
    if burns and day >= today:
        sum_ = format_amount(burns, code, locale(), symbol=False)
        return {
            "n": day.day,
            "kind": "much" if burns == most and day.month == first.month else "exp",
            "href": f"#burns-{day.isoformat()}",
            "label": gettext("%(day)s: %(sum)s burn", day=format_date(day, "d MMMM"), sum=sum_),
        }
    if day == today and day.month == first.month:
        return {"n": day.day, "kind": "now"}
    return {"n": day.day, "kind": "out" if day.month != first.month or day < today else ""}


def _first(name: str) -> date | None:
    try:
        found = date.fromisoformat(f"{name}-01")
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2200 else None  # noqa: PLR2004  what a calendar is good for


def _name(first: date, step: int) -> str:
    months = first.year * DECEMBER + first.month - 1 + step
    return f"{months // DECEMBER:04d}-{months % DECEMBER + 1:02d}"
