"""ClickHouse's part of a dashboard, put together for the page; without it the page says so and shows the rest (F4)."""

from typing import Any
from uuid import UUID

from portal.analytics import history, labels
from portal.analytics.clickhouse import AnalyticsDown
from portal.analytics.today import Today
from portal.extensions import db

MEASURES = ("sales", "purchases", "given", "spent")


def chosen(text: str) -> str:
    """The period of an address; 30 days unless it names another."""
    return text if text in history.PERIODS else "month"


def of_business(period: str, business_id: UUID, currency: str, now: Today) -> dict[str, Any]:
    """Days, people and hours of one business."""
    return _asked(
        lambda days: {
            **_days(days, currency, business_id, now),
            "people": history.people(days, business_id=business_id),
            "heat": labels.heat(history.hours(days, business_id)),
        },
        period,
    )


def of_tenant(period: str, currency: str, now: Today, looked: Any) -> dict[str, Any]:
    """Days, people and shops of the whole circle; `looked` are those who were here without buying."""

    def ask(days: int) -> dict[str, Any]:
        bought = history.buyers()
        return {
            **_days(days, currency, None, now),
            "people": history.people(days),
            "active": {name: bought[name] + getattr(looked, name) for name in ("day", "week", "month")},
            "bought": bought,
            "shops": history.shops(days, currency=currency),
        }

    return _asked(ask, period)


def _asked(ask: Any, period: str) -> dict[str, Any]:
    db.session.close()  # a slow ClickHouse holds no connection of PostgreSQL (F7)
    try:
        return {"down": "", **ask(history.PERIODS[period])}
    except AnalyticsDown as down:
        return {"down": down.message}


def _days(days: int, currency: str, business_id: UUID | None, now: Today) -> dict[str, Any]:
    """Today's bar is PostgreSQL's, so that it never lags behind the tile above it."""
    rows = history.daily(days, currency=currency, business_id=business_id)
    rows[-1] = rows[-1] | {"sales": now.sales, "purchases": now.purchases, "given": now.given, "spent": now.spent}
    return {
        "days": labels.days(rows, currency),
        "sums": {name: sum(row[name] for row in rows[days:]) for name in MEASURES},
        "sums_then": {name: sum(row[name] for row in rows[:days]) for name in MEASURES},
        "sparks": {name: [row[name] for row in rows[days:]] for name in MEASURES},
    }
