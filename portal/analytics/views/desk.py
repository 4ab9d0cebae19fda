"""The desk of a business: its day, its weeks, and what its bonus costs."""

from flask import abort, g, request
from flask_babel import format_time
from werkzeug.wrappers import Response

from portal.analytics import definitions, labels, period
from portal.analytics.today import as_of, costs, today
from portal.analytics.views.live import answer, wanted
from portal.kernel.authz import Permission, PortalBlueprint
from portal.purchases import queries as purchases
from portal.web.fragments import render

desk = PortalBlueprint("analytics_desk", __name__, room="desk")
RECENT = 8


@desk.route("/desk/<business>", permission=Permission.DESK_READ)
def dashboard() -> Response:
    """Today from PostgreSQL, within seconds of the sale; the weeks from ClickHouse."""
    shop, chosen = g.business, period.chosen(request.args.get("period", ""))
    now, spent = today(shop.id), costs(shop.id, shop.currency)
    parts, reached = wanted(), format_time(as_of(), "HH:mm")
    recent = purchases.recent_at(shop.id, limit=RECENT) if "today" in parts else []
    past = period.of_business(chosen, shop.id, shop.currency, now) if "period" in parts else {}
    return answer(
        "analytics/desk.html",
        {"today": (now, reached, [(r.id, r.version) for r in recent]), "period": (past, tuple(spent))},
        period=chosen,
        periods=labels.periods(),
        before=labels.period_before(chosen),
        change=labels.change,
        today=now,
        as_of=reached,
        recent=recent,
        past=past,
        costs=spent,
        currency=shop.currency,
    )


@desk.route("/desk/<business>/why", permission=Permission.DESK_READ)
def why() -> Response:
    """What a figure of the dashboard counts."""
    shop = g.business
    figure = request.args.get("figure", "sales")
    found = definitions.of_business(figure, today(shop.id), costs(shop.id, shop.currency), shop.currency)
    if found is None:
        abort(404)
    return render("analytics/why.html", layout="layouts/partner.html", definition=found)
