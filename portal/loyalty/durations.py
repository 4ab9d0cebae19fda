"""How long something lasts, in the grammar of LOY-4: `unlimited`, `90D`, `6M`, `1Y_U`.

`<int><s|m|h|D|W|M|Y>` counts on from a moment; `_D` goes back to the start of that day, `_U` on to the end of the day,
week, month or year. Ends are exclusive: what lasts to the end of January is gone at 00:00 on 1 February.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask_babel import gettext

from portal.kernel.errors import PortalError

WORDS = ("unlimited", "immediate", "on_action")
SECONDS = {"s": 1, "m": 60, "h": 3600}
CALENDAR = "DWMY"
LONGEST_YEARS = 100
DAYS_IN = {"D": 1, "W": 7, "M": 31, "Y": 366}
FORM = re.compile(r"([0-9]{1,9})([smhDWMY])(?:_([DU]))?", re.ASCII)


class DurationError(PortalError):
    """The text is no duration of LOY-4."""

    code = "loyalty.invalid_duration"


@dataclass(frozen=True, slots=True)
class Duration:
    """A parsed duration: a `word`, or `count` of `unit` with `rounding` '', 'D' or 'U'."""

    word: str = ""
    count: int = 0
    unit: str = ""
    rounding: str = ""

    def __str__(self) -> str:
        return self.word or f"{self.count}{self.unit}" + (f"_{self.rounding}" if self.rounding else "")

    def after(self, moment: datetime, zone: str) -> datetime | None:
        """The moment, in UTC, at which what began at `moment` ends; None when it never does or waits for an act.

        Days and longer are counted on the calendar of `zone`, where 31 January and a month is the last of February;
        seconds to hours are counted exactly, whatever the clocks do.
        """
        if self.word:
            return moment.astimezone(UTC) if self.word == "immediate" else None
        if self.unit in SECONDS:
            return moment.astimezone(UTC) + timedelta(seconds=self.count * SECONDS[self.unit])
        local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        day = _shifted(local.date(), self.count, self.unit)
        if self.rounding == "D":
            return midnight(day, zone)
        if self.rounding == "U":
            return midnight(_end_of(day, self.unit), zone)
        return datetime.combine(day, local.time(), ZoneInfo(zone)).astimezone(UTC)


def parse(text: str) -> Duration:
    """Read a duration; raises `DurationError`. A count of 0 means the unit that is running, so it needs `_U`."""
    if text in WORDS:
        return Duration(word=text)
    found = FORM.fullmatch(text)
    if found is None:
        raise DurationError(gettext("“%(typed)s” is no duration: type it like 90D, 6M or 1Y_U.", typed=text))
    count, unit, rounding = int(found[1]), found[2], found[3] or ""
    if (rounding == "D" and unit != "D") or (rounding == "U" and unit not in CALENDAR):
        raise DurationError(gettext("“%(typed)s”: this unit cannot be rounded so.", typed=text))
    if count == 0 and rounding != "U":
        raise DurationError(gettext("“%(typed)s” lasts no time at all.", typed=text))
    days = count * DAYS_IN[unit] if unit in DAYS_IN else count * SECONDS[unit] // 86400
    if days > LONGEST_YEARS * 366:
        raise DurationError(gettext("“%(typed)s” is longer than a hundred years: say unlimited.", typed=text))
    return Duration(count=count, unit=unit, rounding=rounding)


def midnight(day: date, zone: str) -> datetime:
    """The first moment of a day in `zone`, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def add_months(day: date, months: int) -> date:
    """The same day so many months on, or that month's last one."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _shifted(day: date, count: int, unit: str) -> date:
    if unit in "DW":
        return day + timedelta(days=count * DAYS_IN[unit])
    return add_months(day, count if unit == "M" else 12 * count)


def _end_of(day: date, unit: str) -> date:
    """The day after the last one of the day, week, month or year that `day` is in."""
    if unit == "D":
        return day + timedelta(days=1)
    if unit == "W":
        return day + timedelta(days=7 - day.weekday())
    if unit == "M":
        return add_months(day.replace(day=1), 1)
    return date(day.year + 1, 1, 1)
