"""The dashboards of a business and of the tenant. They ask again every five seconds while they are looked at."""

import hashlib
from datetime import date
from typing import Any

from flask import g, request
from flask_babel import format_date, gettext
from werkzeug.wrappers import Response

from portal.analytics import history
from portal.analytics.clickhouse import AnalyticsDown
from portal.analytics.today import today, totals
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.money import format_amount
from portal.partners.queries import open_businesses
from portal.purchases import queries as purchases
from portal.wallets.queries import business_balance
from portal.web.fragments import render
from portal.web.locale import current

desk = PortalBlueprint("analytics_desk", __name__, room="desk")
admin = PortalBlueprint("analytics_admin", __name__, room="admin")


@desk.route("/desk/<business>", permission=Permission.DESK_READ)
def dashboard() -> Response:
    """A business's day and month: sales, bonus, people, and what bonus costs."""
    shop, period = g.business, _period()
    context = _history(history.PERIODS[period], shop.currency, shop.id)
    return _live(
        "analytics/desk.html",
        period=period,
        today=today(shop.id),
        recent=purchases.recent_at(shop.id, limit=8),
        issued=-business_balance(shop.id, shop.currency, "issuance"),
        payable=business_balance(shop.id, shop.currency, "payable"),
        currency=shop.currency,
        **context,
    )


@admin.route("/admin", permission=Permission.DASHBOARD_READ, endpoint="dashboard")
def tenant_dashboard() -> Response:
    """The whole circle: members, sales, bonus owed, shops, and whether events arrive."""
    period, currency = _period(), g.tenant.currency
    context = _history(history.PERIODS[period], currency, None)
    names = {b.id: b for b in open_businesses()}
    return _live(
        "analytics/admin.html",
        period=period,
        today=today(None, currency),
        totals=totals(currency),
        names=names,
        currency=currency,
        **context,
    )


def _live(template: str, **context: Any) -> Response:
    answer = render(template, fragment="live", **context)
    if request.headers.get("HX-Request"):
        answer.set_etag(hashlib.sha256(answer.get_data()).hexdigest()[:20])  # type: ignore[attr-defined]
        answer.headers["Cache-Control"] = "private, no-cache"
        answer.make_conditional(request)  # type: ignore[attr-defined]
    return answer


def _period() -> str:
    chosen = request.args.get("period", "month")
    return chosen if chosen in history.PERIODS else "month"


def _history(days: int, currency: str, business_id: Any) -> dict[str, Any]:
    """ClickHouse's part of a dashboard; without it the page says so and shows the rest (F4)."""
    try:
        daily = history.daily(days, currency=currency, business_id=business_id)
        found: dict[str, Any] = {
            "daily": daily,
            "bars": [
                {
                    "label": _short(row["day"]),
                    "value": row["sales"],
                    "text": format_amount(row["sales"], currency, current()),
                }
                for row in daily
            ],
            "people": history.people(days, business_id=business_id),
            "active": history.active() if business_id is None else {},
            "shops": history.shops(days, currency=currency) if business_id is None else [],
            "heat": heat(history.hours(days, business_id)) if business_id else [],
            "sums": {name: sum(row[name] for row in daily) for name in ("sales", "purchases", "given", "spent")},
        }
    except AnalyticsDown as down:
        return {
            "daily": [],
            "bars": [],
            "people": (0, 0),
            "active": {},
            "shops": [],
            "heat": [],
            "sums": {},
            "down": down.message,
        }
    return {**found, "down": ""}


def _short(day: date) -> str:
    return format_date(day, "d MMM")


def heat(found: dict[tuple[int, int], int]) -> list[dict[str, Any]]:
    """Weekdays by hours, each cell with its shade 0 to 9; hours nobody buys in are left out."""
    if not found:
        return []
    hours = range(min(h for _, h in found), max(h for _, h in found) + 1)
    most = max(found.values())
    names = {
        1: gettext("Mon"),
        2: gettext("Tue"),
        3: gettext("Wed"),
        4: gettext("Thu"),
        5: gettext("Fri"),
        6: gettext("Sat"),
        7: gettext("Sun"),
    }
    return [
        {
            "day": names[weekday],
            "cells": [
                {"hour": h, "n": found.get((weekday, h), 0), "shade": -(-9 * found.get((weekday, h), 0) // most)}
                for h in hours
            ],
        }
        for weekday in range(1, 8)
    ]
