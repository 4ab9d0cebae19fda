"""What every template may use: texts, figures, times, addresses."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import segno
from babel.core import Locale
from flask import Flask, g, request
from flask_babel import format_date, format_datetime, format_time, get_timezone, gettext, ngettext
from flask_login import current_user
from jinja2 import StrictUndefined
from markupsafe import Markup

from portal.kernel import money
from portal.kernel.authz import reachable
from portal.kernel.model import I18n
from portal.web import nav
from portal.web.locale import current as locale
from portal.web.locale import direction, in_cyrillic, language_name, offered
from portal.web.paging import url_with


def init_app(app: Flask) -> None:
    """Give the templates their words."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.globals.update(
        _=gettext,
        ngettext=ngettext,
        money=money_text,
        amount=amount_text,
        currency_sign=currency_sign,
        number=number,
        percent=percent,
        day=day,
        day_short=day_short,
        day_number=day_number,
        day_of_year=day_of_year,
        weekday=weekday,
        month=month,
        datetime_=moment,
        time_=clock_time,
        iso=iso,
        i18n=i18n,
        qr_svg=qr_svg,
        url_with=url_with,
        language_name=language_name,
        reachable=reachable,
        settings_pages=nav.settings_pages,
        direction=direction,
        in_cyrillic=in_cyrillic,
    )
    app.context_processor(_context)


def _context() -> dict[str, Any]:
    ops = bool(g.get("ops"))
    return {
        "tenant": g.get("tenant"),
        "current_user": current_user,
        "locale": locale(),
        "languages": offered(),
        "theme": request.cookies.get("theme", "auto") if request.cookies.get("theme") in {"light", "dark"} else "auto",
        "nav": [] if g.get("unknown_host") else nav.rail(ops=ops),
        "finder": "" if ops or g.get("unknown_host") else nav.finder(),
        "bar": [] if ops or g.get("unknown_host") else nav.bar(),
    }


def money_text(minor: int, code: str) -> str:
    """An amount with its sign, e.g. ₽1,240.00."""
    return money.format_amount(minor, code, locale())


def amount_text(minor: int, code: str) -> str:
    """An amount without its sign."""
    return money.format_amount(minor, code, locale(), symbol=False)


def currency_sign(code: str) -> str:
    """The sign that stands beside an amount field."""
    from babel.numbers import get_currency_symbol

    return money.SIGNS.get(code) or get_currency_symbol(code, locale=locale())


def number(value: int | Decimal) -> str:
    """A number with the reader's grouping."""
    return money.format_number(value, locale())


def percent(share: float | Decimal, digits: int = 0) -> str:
    """A share as per cent: 0.124 → 12%."""
    shown = round(Decimal(str(share)) * 100, digits)
    sign = Locale.parse(locale()).percent_formats[None]
    return sign.prefix[0] + money.format_number(shown, locale()) + sign.suffix[0]


def day(value: datetime | date) -> str:
    """A day in words: 3 December 2026."""
    return format_date(value, "long")


def day_short(value: datetime | date) -> str:
    """A day in few letters, without the year: 3 Dec."""
    return format_date(value, "d MMM")


def day_of_year(value: date) -> str:
    """A day of any year: 3 December."""
    return format_date(value, "d MMMM")


def weekday(value: date) -> str:
    """A day of these weeks: Thu, 3 December."""
    return format_date(value, "EEE, d MMMM")


def day_number(value: datetime) -> str:
    """The day of the month in the reader's zone."""
    return format_date(value, "d")


def month(value: datetime | date) -> str:
    """A month and its year."""
    return format_date(value, "LLLL y")


def moment(value: datetime) -> str:
    """Day and time in the reader's zone."""
    return format_datetime(value, "d MMM y, HH:mm")


def clock_time(value: datetime) -> str:
    """The time of day in the reader's zone."""
    return format_time(value, "HH:mm")


def iso(value: datetime) -> str:
    """For `<time datetime=…>`."""
    return value.astimezone(get_timezone()).isoformat()


def i18n(value: dict[str, str] | None) -> str:
    """The text of a `*_i18n` column in the reader's language (ACH-7)."""
    tenant = g.get("tenant")
    return I18n(value or {}).in_(locale(), tenant.default_locale if tenant else "en")


def qr_svg(text: str) -> Markup:
    """A QR code as inline SVG without styles, black on white whatever the theme."""
    return Markup(  # noqa: S704  segno's own markup; the text is inside the modules
        segno.make(text, error="m", micro=False).svg_inline(
            omitsize=True, border=2, svgclass="qr", lineclass=None, light="#fff"
        )
    )
