"""The whole circle on one page: members, sales, bonus owed, shops, and whether events arrive."""

from flask import abort, g, request
from flask_babel import format_time
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.analytics import definitions, history, labels, period
from portal.analytics.today import as_of, health, only_looked, today, totals
from portal.analytics.views.live import answer, wanted
from portal.extensions import db
from portal.home import steps
from portal.kernel.authz import Permission as P
from portal.kernel.authz import PortalBlueprint
from portal.partners.queries import open_businesses
from portal.web.fragments import render

admin = PortalBlueprint("analytics_admin", __name__, room="admin")


@admin.route("/admin", permission=P.DASHBOARD_READ)
def dashboard() -> Response:
    """Today from PostgreSQL, within seconds of the sale; the weeks from ClickHouse."""
    chosen, currency, parts = period.chosen(request.args.get("period", "")), g.tenant.currency, wanted()
    now, sums, state = today(None, currency), totals(currency), health()
    reached = format_time(as_of(), "HH:mm")
    past = {}
    names = {}
    if "period" in parts:
        names = {b.id: b for b in open_businesses()}
        past = period.of_tenant(chosen, currency, now, only_looked())
    return answer(
        "analytics/admin.html",
        {"today": (now, tuple(sums), reached, state.dead, state.pending > 0), "period": past},
        period=chosen,
        periods=labels.periods(),
        before=labels.period_before(chosen),
        change=labels.change,
        today=now,
        totals=sums,
        health=state,
        as_of=reached,
        past=past,
        names=names,
        currency=currency,
        steps=steps.of_tenant()
        if "period" in parts and "today" in parts and current_user.may(P.SETTINGS_UPDATE)
        else [],
    )


@admin.route("/admin/why", permission=P.DASHBOARD_READ)
def why() -> Response:
    """What a figure of the dashboard counts (ANA-6)."""
    figure, currency = request.args.get("figure", "sales"), g.tenant.currency
    now, sums, looked = today(None, currency), totals(currency), only_looked()
    db.session.close()
    bought = history.buyers() if figure == "active" else {}
    found = definitions.of_tenant(figure, now, sums, looked, bought, currency)
    if found is None:
        abort(404)
    return render("analytics/why.html", layout="layouts/admin.html", definition=found)
