"""Calendar windows in which a member qualifies for a tier (LOY-10), in the tenant's zone, half-open (G11)."""

from dataclasses import dataclass
from datetime import date, datetime
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
        return midnight(self._first_day(moment), self.zone)

    def end(self, moment: datetime) -> datetime:
        """Where the window that holds `moment` ends; that moment is the next window's."""
        return midnight(add_months(self._first_day(moment), MONTHS[self.period]), self.zone)

    def valid_until(self, moment: datetime, end_rule: str) -> datetime:
        """Until when a tier reached in the window of `moment` is kept."""
        own_end = self.end(moment)
        return self.end(own_end) if end_rule == "END_OF_NEXT_PERIOD" else own_end

    def _first_day(self, moment: datetime) -> date:
        local = moment.astimezone(ZoneInfo(self.zone)).date()
        length = MONTHS[self.period]
        return date(local.year, (local.month - 1) // length * length + 1, 1)
