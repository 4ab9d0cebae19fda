"""What the home says: a greeting by the hour, and the steps behind the tier."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import g
from flask_babel import format_date, get_timezone, gettext

from portal.kernel import clock
from portal.kernel.money import format_amount
from portal.loyalty.labels import rate
from portal.loyalty.progress import Progress
from portal.web.locale import current as locale

MORNING, AFTERNOON, EVENING = 5, 12, 18


def greeting(person: Any) -> str:
    """Good morning, afternoon or evening where the person is."""
    hour = clock.now().astimezone(ZoneInfo(person.timezone or g.tenant.timezone)).hour
    name = person.name.split(" ")[0]
    if MORNING <= hour < AFTERNOON:
        return gettext("Good morning, %(name)s", name=name)
    if AFTERNOON <= hour < EVENING:
        return gettext("Good afternoon, %(name)s", name=name)
    return gettext("Good evening, %(name)s", name=name)


def near_day(moment: datetime) -> str:
    """A day in the reader's zone, with its year only when that is another one."""
    here = get_timezone()
    day = moment.astimezone(here).date()
    return format_date(day, "d MMM" if day.year == clock.now().astimezone(here).year else "long")


def steps(place: Progress) -> list[dict[str, str]]:
    """The trace of a tier in words: what counts, what is missing, where this pace leads, what keeps it (LOY-12)."""
    said = [
        {
            "label": gettext("Purchases since %(day)s", day=_day(place.window_start)),
            "value": _sum(place, place.qualifying),
            "note": gettext("Until %(day)s all that you pay with money counts, less refunds.", day=_last(place)),
        }
    ]
    if above := place.next_tier:
        said.append(
            {
                "label": gettext("%(tier)s begins at", tier=above.name_i18n.in_(locale())),
                "value": _sum(place, above.threshold),
                "note": gettext(
                    "%(amount)s more to go. It earns %(rate)s of each purchase.",
                    amount=_sum(place, place.to_next),
                    rate=rate(above.rate),
                ),
            }
        )
    said.append(
        {
            "label": gettext("At this pace by %(day)s", day=_last(place)),
            "value": _sum(place, place.projected),
            "note": gettext("That would be %(tier)s.", tier=place.projected_tier.name_i18n.in_(locale())),
        }
    )
    if place.to_keep and place.keep_by:
        said.append(
            {
                "label": gettext("To keep %(tier)s", tier=place.tier.name_i18n.in_(locale())),
                "value": _sum(place, place.to_keep),
                "note": gettext("more until %(day)s", day=_last(place)),
            }
        )
    said.append(
        {
            "label": gettext("Your tier"),
            "value": place.tier.name_i18n.in_(locale()),
            "note": _standing(place),
            "kind": "result",
        }
    )
    return said


def _standing(place: Progress) -> str:
    earns = gettext("It earns %(rate)s of each purchase.", rate=rate(place.tier.rate))
    if place.locked_until:
        return f"{earns} {gettext('Set by hand until %(day)s', day=_day(place.locked_until))}"
    if place.tier_expires_at:
        return f"{earns} {gettext('Yours until %(day)s', day=_day(place.tier_expires_at))}"
    return earns


def _sum(place: Progress, minor: int) -> str:
    return format_amount(minor, place.currency, locale())


def _day(moment: datetime) -> str:
    """A window's day is the tenant's (G11)."""
    return format_date(moment.astimezone(ZoneInfo(g.tenant.timezone)).date(), "long")


def _last(place: Progress) -> str:
    """The last day that still counts: windows are half-open."""
    return format_date(last_day(place), "long")


def last_day(place: Progress) -> date:
    """The window's last day in the tenant's zone."""
    return (place.window_end.astimezone(ZoneInfo(g.tenant.timezone)) - timedelta(microseconds=1)).date()
