"""The words of this noun as people read them (G16)."""

from decimal import Decimal
from fractions import Fraction

from babel.numbers import format_percent
from flask_babel import gettext, ngettext

from portal.kernel import money
from portal.loyalty.durations import Duration, parse
from portal.web.locale import current as locale


def cause(code: str) -> str:
    """Why a tier changed."""
    return {
        "earned": gettext("Reached"),
        "expired": gettext("The period ended"),
        "manual": gettext("Set by hand"),
        "merge": gettext("Two accounts were joined or parted"),
        "refund": gettext("After a refund"),
    }.get(code, code)


def periods() -> list[tuple[str, str]]:
    """How long a window is."""
    return [
        ("MONTH", gettext("a calendar month")),
        ("QUARTER", gettext("a calendar quarter")),
        ("HALF_YEAR", gettext("half a calendar year")),
        ("YEAR", gettext("a calendar year")),
    ]


def end_rules() -> list[tuple[str, str]]:
    """Until when a tier that was reached is kept."""
    return [
        ("END_OF_PERIOD", gettext("to the end of that period")),
        ("END_OF_NEXT_PERIOD", gettext("to the end of the next period")),
    ]


def downgrades() -> list[tuple[str, str]]:
    """What happens to a tier that was not reached again."""
    return [
        ("one_down", gettext("one step down")),
        ("balance_based", gettext("straight to the tier that was reached")),
    ]


def refund_policy(code: str) -> str:
    """What a refund does to the bonus it had brought (LOY-6)."""
    return {
        "only_pending": gettext("only bonus that is not active yet is taken back"),
        "within_balance": gettext("earned bonus is taken back, but a balance never goes below zero"),
        "unlimited": gettext("earned bonus is taken back, and a balance may go below zero"),
    }.get(code, code)


def expiry(text: str) -> str:
    """How long bonus lasts, in words."""
    duration = parse(text)
    if duration.word:
        return gettext("never burns")
    if duration.rounding == "U":
        return gettext("burns at the end of a %(unit)s, %(after)s", unit=_unit(duration.unit), after=_after(duration))
    return gettext("burns %(after)s", after=_after(duration))


def _after(duration: Duration) -> str:
    count = duration.count
    if count == 0:
        return gettext("the one it was given in")
    return {
        "D": ngettext("%(num)s day after it was given", "%(num)s days after it was given", count),
        "W": ngettext("%(num)s week after it was given", "%(num)s weeks after it was given", count),
        "M": ngettext("%(num)s month after it was given", "%(num)s months after it was given", count),
        "Y": ngettext("%(num)s year after it was given", "%(num)s years after it was given", count),
    }.get(duration.unit, str(duration))


def _unit(unit: str) -> str:
    return {"D": gettext("day"), "W": gettext("week"), "M": gettext("month"), "Y": gettext("year")}.get(unit, unit)


def rate(value: Fraction) -> str:
    """A rate as per cent, e.g. 5%, 2.5%; as a fraction where per cent would not be exact."""
    text = rate_typed(value)
    if "/" in text:
        return text
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return format_percent(exact, locale=locale(), decimal_quantization=False)


def rate_typed(value: Fraction) -> str:
    """A rate as it stands in its field: `2.5`, or `1/18`."""
    share = value * 100
    shown = Decimal(share.numerator) / Decimal(share.denominator)
    if shown != round(shown, 6):
        return f"{value.numerator}/{value.denominator}"
    return money.format_number(Decimal(f"{shown.normalize():f}"), locale())
