"""Whose birthday it is within a week, by the community's own calendar."""

from calendar import isleap
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import func, select

from portal.extensions import db
from portal.identity import queries
from portal.identity.models import User
from portal.kernel import clock
from portal.profiles.models import Profile

AHEAD = 7  # days, today among them
MOST = 200


@dataclass(frozen=True, slots=True)
class Birthday:
    """A member and the day they celebrate on; how old they get is theirs to tell."""

    id: UUID
    name: str
    on: date


def this_week() -> list[Birthday]:
    """Members whose birthday is today or within the next six days, soonest first."""
    today = clock.now().astimezone(ZoneInfo(g.tenant.timezone)).date()
    days = {key: day for day in (today + timedelta(days=n) for n in range(AHEAD)) for key in _keys(day)}
    key = func.to_char(Profile.born_on, "MMDD")
    statement = (
        select(User.id, User.name, key.label("key"))
        .join(Profile, (Profile.tenant_id == User.tenant_id) & (Profile.id == User.id))
        .where(key.in_(days), User.suspended_at.is_(None), *queries.listed())
        .order_by(User.search_text, User.id)
        .limit(MOST)
    )
    found = [Birthday(row.id, row.name, days[row.key]) for row in db.session.execute(statement)]
    return sorted(found, key=lambda one: one.on)


def _keys(day: date) -> list[str]:
    """Month and day; who was born on 29 February celebrates on the 28th of the other years."""
    leapling = ["0229"] if (day.month, day.day) == (2, 28) and not isleap(day.year) else []
    return [f"{day:%m%d}", *leapling]
