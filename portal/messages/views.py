"""A member's inbox and what they want to hear."""

import hashlib
from uuid import UUID

from flask import Response, abort, flash, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response as Answer

from portal.extensions import csrf
from portal.kernel.authz import LOGIN, PUBLIC, PortalBlueprint
from portal.messages import queries, service
from portal.messages.models import Notification
from portal.messages.texts import text_of, workflow_names
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.paging import Sort, page, when

blueprint = PortalBlueprint("messages", __name__, room="member")
public = PortalBlueprint("messages_public", __name__, room="public")


@blueprint.route("/me/notifications", permission=LOGIN)
def notifications() -> Answer:
    """The inbox, newest first; what was on the page counts as seen."""
    rows = page(
        queries.inbox(current_user.id),
        sorts={"date": Sort(Notification.created_at, when)},
        default="-date",
        key=Notification.id,
        size=30,
    )
    answer = render("messages/notifications.html", page=rows, text_of=text_of)
    if any(row.seen_at is None for row in rows.rows):
        service.mark(current_user.id)
    return answer


@blueprint.route("/me/notifications/readings", methods=["POST"], permission=LOGIN)
def create_reading() -> Answer:
    """All of it read."""
    service.mark(current_user.id, read=True)
    return redirect(url_for("messages.notifications"), code=303)


@blueprint.route("/me/notifications/<uuid:notification_id>/archive", methods=["POST"], permission=LOGIN)
def create_archive(notification_id: UUID) -> Answer:
    """Put one away."""
    row = get_or_404(select(Notification).where(Notification.member_id == current_user.id), notification_id)
    service.mark(current_user.id, archive=row.id)
    return redirect(url_for("messages.notifications"), code=303)


@blueprint.route("/me/notifications/unseen", permission=LOGIN)
def unseen() -> Response:
    """The bell, asked every 20 s while the page is visible; 304 while nothing is new (D40)."""
    count = queries.unseen(current_user.id)
    response = make_response(render_template("messages/_bell.html", unseen=count))
    response.set_etag(hashlib.sha256(f"{current_user.id}:{count}".encode()).hexdigest()[:16])
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


@blueprint.route("/me/notifications/preferences", methods=["GET", "POST"], permission=LOGIN)
def preferences() -> Answer:
    """What to hear and where; one tap stops all mail."""
    if request.method == "POST":
        if "stop_all" in request.form:
            service.stop_mail(current_user.id)
        else:
            ticked = set(request.form.getlist("on"))
            service.choose(
                current_user.id, {(w, c): f"{w}.{c}" in ticked for w in service.WORKFLOWS for c in service.CHANNELS}
            )
        flash(gettext("Saved. It holds from the next message on."))
        return redirect(url_for("messages.preferences"), code=303)
    chosen = service.preferences(current_user.id)
    table = {w: {c: service.wanted(chosen, w, c) for c in service.CHANNELS} for w in service.WORKFLOWS}
    return render("messages/preferences.html", table=table, names=workflow_names())


@public.route("/unsubscribe/<token>", methods=["GET", "POST"], permission=PUBLIC)
@csrf.exempt
def unsubscribe(token: str) -> Answer:
    """Out of a mail: the page asks, the button or the mail program's one click (RFC 8058) does it."""
    member_id = service.unsubscribing(token)
    if member_id is None:
        abort(404)
    if request.method == "POST":
        g.actor_id, g.actor_kind = member_id, "member"
        service.stop_mail(member_id)
    return render("messages/unsubscribe.html", token=token, done=request.method == "POST")
