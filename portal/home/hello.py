"""What the home says: a greeting by the hour, and the steps behind the tier."""

from typing import Any
from zoneinfo import ZoneInfo

from flask import g
from flask_babel import format_date, gettext

from portal.kernel import clock
from portal.kernel.money import format_amount
from portal.loyalty.progress import Progress
from portal.web.locale import current

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


def steps(place: Progress) -> list[dict[str, str]]:
    """The trace of the tier in words (LOY-12)."""
    locale = current()

    def sum_(minor: int) -> str:
        return format_amount(minor, place.currency, locale)

    def day(moment: Any) -> str:
        return format_date(moment.astimezone(ZoneInfo(g.tenant.timezone)), "long")

    said = [
        {
            "label": gettext("Purchases since %(day)s", day=day(place.window_start)),
            "value": sum_(place.qualifying),
            "note": gettext("What you paid with money, less refunds, counts until %(day)s.", day=day(place.window_end)),
            "kind": "",
        }
    ]
    if place.next_tier:
        said.append(
            {
                "label": gettext("%(tier)s begins at", tier=place.next_tier.name_i18n.in_(locale)),
                "value": sum_(place.next_tier.threshold),
                "note": gettext("%(amount)s more to go.", amount=sum_(place.to_next)),
                "kind": "",
            }
        )
    said.append(
        {
            "label": gettext("At your pace by the end of the period"),
            "value": sum_(place.projected),
            "note": gettext("That would be %(tier)s.", tier=place.projected_tier.name_i18n.in_(locale)),
            "kind": "",
        }
    )
    if place.to_keep and place.keep_by:
        said.append(
            {
                "label": gettext("To keep %(tier)s", tier=place.tier.name_i18n.in_(locale)),
                "value": sum_(place.to_keep),
                "note": gettext("until %(day)s", day=day(place.keep_by)),
                "kind": "",
            }
        )
    said.append(
        {
            "label": gettext("Your tier"),
            "value": place.tier.name_i18n.in_(locale),
            "note": _until(place, day),
            "kind": "result",
        }
    )
    return said


def _until(place: Progress, day: Any) -> str:
    if place.locked_until:
        return gettext("Set by hand until %(day)s.", day=day(place.locked_until))
    return gettext("Yours until %(day)s.", day=day(place.tier_expires_at)) if place.tier_expires_at else ""
