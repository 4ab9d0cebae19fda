"""The delivery monitor: lag, what waits, what was given up, and the way to send it again."""

import hashlib
from typing import Any
from uuid import UUID

from flask import flash, make_response, redirect, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from portal.delivery import labels, queries, service
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.outbox import OutboxDelivery, OutboxMessage
from portal.web.fragments import render, wants_fragment
from portal.web.lookup import get_or_404
from portal.web.paging import Sort, filters, page, when

blueprint = PortalBlueprint("delivery_admin", __name__, room="admin")


@blueprint.route("/admin/outbox", permission=Permission.DELIVERIES_READ)
def monitor() -> Response:
    """Every receiver's state, and the list of what is stuck; the states ask again every five seconds."""
    chosen, receivers = filters("status", "subscriber"), queries.summary()
    mark = hashlib.sha256(repr(receivers).encode()).hexdigest()[:16]
    if wants_fragment():
        if request.args.get("seen") == mark:
            return make_response("", 204)
        return render("delivery/monitor.html", fragment="receivers", receivers=receivers, mark=mark, **_words())
    rows = page(
        queries.listed(chosen.get("status", "dead"), chosen.get("subscriber", "")),
        sorts={"date": Sort(OutboxDelivery.recorded_at, when)},
        default="-date",
        key=OutboxDelivery.id,
        filters=chosen,
    )
    return render("delivery/monitor.html", receivers=receivers, mark=mark, page=rows, **_words())


@blueprint.route("/admin/outbox/messages/<uuid:message_id>", permission=Permission.DELIVERIES_READ)
def message(message_id: UUID) -> Response:
    """One event: its envelope, what it says, and where it went."""
    row = get_or_404(OutboxMessage, message_id)
    deliveries = queries.deliveries_of(message_id)
    everywhere = (
        None
        if any(d.open or d.dead for d in deliveries)
        else max((d.delivered_at for d in deliveries), default=row.recorded_at)
    )
    return render("delivery/message.html", message=row, deliveries=deliveries, everywhere=everywhere, **_words())


@blueprint.route(
    "/admin/outbox/deliveries/<uuid:delivery_id>/replays", methods=["POST"], permission=Permission.DELIVERIES_MANAGE
)
def create_replay(delivery_id: UUID) -> Response:
    """Send one again."""
    row = get_or_404(OutboxDelivery, delivery_id)
    try:
        service.replay(row.id)
    except service.NotDead as error:
        flash(error.message, "error")
    else:
        service.wake()
        flash(gettext("It goes out again now."))
    return redirect(url_for("delivery_admin.monitor", **_kept()), code=303)


@blueprint.route("/admin/outbox/replays", methods=["POST"], permission=Permission.DELIVERIES_MANAGE)
def create_replays() -> Response:
    """Send everything given up again, or that of one receiver."""
    count = service.replay_dead(request.form.get("subscriber") or None)
    service.wake()
    flash(ngettext("%(num)s message goes out again now.", "%(num)s messages go out again now.", count))
    return redirect(url_for("delivery_admin.monitor"), code=303)


def _kept() -> dict[str, Any]:
    """The filter that the button stood under."""
    name = request.form.get("subscriber", "")
    return {"f.subscriber": name} if name else {}


def _words() -> dict[str, Any]:
    return {"receiver": labels.receiver, "state": labels.state, "dot": labels.dot}
