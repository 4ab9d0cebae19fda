"""The delivery monitor: lag, what waits, what died, and the way to send it again."""

from uuid import UUID

from flask import abort, flash, redirect, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from portal.delivery import queries, service
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.outbox import OutboxDelivery
from portal.web.fragments import render
from portal.web.paging import Sort, filters, page, when

blueprint = PortalBlueprint("delivery_admin", __name__, room="admin")


@blueprint.route("/admin/outbox", permission=Permission.DELIVERIES_READ)
def monitor() -> Response:
    """Every subscriber's state, and the list of what is stuck."""
    chosen = filters("status", "subscriber")
    rows = page(
        queries.listed(chosen.get("status", "dead"), chosen.get("subscriber", "")),
        sorts={"date": Sort(OutboxDelivery.recorded_at, when)},
        default="-date",
        key=OutboxDelivery.id,
        filters=chosen,
    )
    return render("delivery/monitor.html", summary=queries.summary(), page=rows)


@blueprint.route("/admin/outbox/messages/<uuid:message_id>", permission=Permission.DELIVERIES_READ)
def message(message_id: UUID) -> Response:
    """One event: its envelope and where it went."""
    row = queries.message(message_id)
    if row is None:
        abort(404)
    return render("delivery/message.html", message=row, deliveries=queries.deliveries_of(message_id))


@blueprint.route(
    "/admin/outbox/deliveries/<uuid:delivery_id>/replays", methods=["POST"], permission=Permission.DELIVERIES_MANAGE
)
def create_replay(delivery_id: UUID) -> Response:
    """Send one again."""
    service.replay(delivery_id)
    service.wake()
    flash(gettext("It goes out again now."))
    return redirect(url_for("delivery_admin.monitor"), code=303)


@blueprint.route("/admin/outbox/replays", methods=["POST"], permission=Permission.DELIVERIES_MANAGE)
def create_replays() -> Response:
    """Send all dead ones again, or those of one subscriber."""
    count = service.replay_dead(request.form.get("subscriber") or None)
    service.wake()
    flash(ngettext("%(num)s delivery goes out again now.", "%(num)s deliveries go out again now.", count))
    return redirect(url_for("delivery_admin.monitor"), code=303)
