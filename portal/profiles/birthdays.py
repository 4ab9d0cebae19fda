"""Whose birthday it is within a week, by the community's own calendar: for its staff, and for a shop's."""

from calendar import isleap
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import aliased

from portal.extensions import db
from portal.identity import queries
from portal.identity.models import User
from portal.kernel import clock
from portal.profiles.models import Profile
from portal.purchases.models import Purchase

AHEAD = 7  # days, today among them
MOST = 200
REGULAR = timedelta(days=365)  # whoever bought within it is known at a shop


@dataclass(frozen=True, slots=True)
class Birthday:
    """A member and the day they celebrate on; how old they get is theirs to tell."""

    id: UUID
    name: str
    on: date


def of(member_id: UUID) -> date | None:
    """When a member was born, if they said so."""
    return db.session.scalar(select(Profile.born_on).where(Profile.id == member_id))


def this_week(business_id: UUID | None = None) -> list[Birthday]:
    """Members whose birthday is today or within the next six days, soonest first.

    A business is told of those who agreed to it and bought there within a year, by whichever of their accounts (D28).
    """
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
    if business_id:
        statement = statement.where(Profile.birthday_shared, _buys_at(business_id))
    found = [Birthday(row.id, row.name, days[row.key]) for row in db.session.execute(statement)]
    return sorted(found, key=lambda one: one.on)


def _buys_at(business_id: UUID) -> ColumnElement[bool]:
    account = aliased(User)
    accounts = select(account.id).where(
        account.tenant_id == User.tenant_id, or_(account.id == User.id, account.merged_into == User.id)
    )
    bought = select(Purchase.id).where(
        Purchase.tenant_id == User.tenant_id,
        Purchase.business_id == business_id,
        Purchase.member_id.in_(accounts.correlate(User)),
        Purchase.occurred_at > clock.now() - REGULAR,
    )
    return bought.correlate(User).exists()


def _keys(day: date) -> list[str]:
    """Month and day; who was born on 29 February celebrates on the 28th of the other years."""
    leapling = ["0229"] if (day.month, day.day) == (2, 28) and not isleap(day.year) else []
    return [f"{day:%m%d}", *leapling]
