"""Calendar windows in which a member qualifies for a tier (LOY-10), in the tenant's zone, half-open (G11)."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from portal.loyalty.durations import add_months, midnight

MONTHS = {"MONTH": 1, "QUARTER": 3, "HALF_YEAR": 6, "YEAR": 12}


@dataclass(frozen=True, slots=True)
class Calendar:
    """The windows of a program: `period` long each, counted from January of the tenant's calendar."""

    period: str
    zone: str

    def start(self, moment: datetime) -> datetime:
        """Where the window that holds `moment` begins, in UTC."""
        return _bounds(self.period, self.zone, moment)[0]

    def end(self, moment: datetime) -> datetime:
        """Where the window that holds `moment` ends; that moment is the next window's."""
        return _bounds(self.period, self.zone, moment)[1]

    def valid_until(self, moment: datetime, end_rule: str) -> datetime:
        """Until when a tier reached in the window of `moment` is kept."""
        own_end = self.end(moment)
        return self.end(own_end) if end_rule == "END_OF_NEXT_PERIOD" else own_end


@lru_cache(maxsize=4096)
def _bounds(period: str, zone: str, moment: datetime) -> tuple[datetime, datetime]:
    """An import has the same days again and again."""
    local, length = moment.astimezone(ZoneInfo(zone)).date(), MONTHS[period]
    first = date(local.year, (local.month - 1) // length * length + 1, 1)
    return midnight(first, zone), midnight(add_months(first, length), zone)
