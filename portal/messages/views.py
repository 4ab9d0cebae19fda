"""A member's inbox, what they want to hear, and the way out of a mail."""

import hashlib
from uuid import UUID

from flask import abort, flash, g, make_response, redirect, request, url_for
from flask_babel import gettext
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.extensions import csrf
from portal.identity import consents
from portal.identity.onward import safe_path
from portal.kernel.authz import LOGIN, PUBLIC, PortalBlueprint
from portal.messages import inbox, preferences, queries
from portal.messages.models import Notification
from portal.messages.texts import text_of
from portal.messages.workflows import CHANNELS, WORKFLOWS, channel_name, wanted, workflow_name
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.paging import Sort, filters, page, when

messages = PortalBlueprint("messages", __name__, room="member")
messages_public = PortalBlueprint("messages_public", __name__, room="public")
SIZE = 30
PUT_AWAY = "archived"


@messages.route("/me/notifications", permission=LOGIN, module="messages")
def notifications() -> Response:
    """The inbox, newest first. What stood on the page counts as seen from the next page on."""
    chosen = filters("state")
    rows = page(
        queries.inbox(current_user.id, archived=chosen.get("state") == PUT_AWAY),
        sorts={"date": Sort(Notification.created_at.expression, when)},
        default="-date",
        key=Notification.id.expression,
        size=SIZE,
        filters=chosen,
    )
    answer = render("messages/notifications.html", page=rows, text_of=text_of)
    if not g.get("looking") and (fresh := [row.id for row in rows.rows if row.seen_at is None]):
        inbox.see(current_user.id, fresh)
    return answer


@messages.route("/me/notifications/<uuid:notification_id>", permission=LOGIN, module="messages")
def notification(notification_id: UUID) -> Response:
    """Open one: it is read, unless support looks (S14), and leads to what it speaks of."""
    row = get_or_404(queries.own(current_user.id), notification_id)
    if not g.get("looking"):
        inbox.read(current_user.id, notification_id)
    return redirect(safe_path(text_of(row.kind, row.data).path) or url_for("messages.notifications"), code=303)


@messages.route("/me/notifications/readings", methods=["POST"], permission=LOGIN, module="messages")
def create_reading() -> Response:
    """All of it read."""
    inbox.read(current_user.id)
    return redirect(url_for("messages.notifications"), code=303)


@messages.route(
    "/me/notifications/<uuid:notification_id>/archive", methods=["POST"], permission=LOGIN, module="messages"
)
def create_archive(notification_id: UUID) -> Response:
    """Put one away."""
    get_or_404(queries.own(current_user.id), notification_id)
    inbox.archive(current_user.id, notification_id)
    flash(gettext("Put away. You find it again under “Put away”."))
    return redirect(url_for("messages.notifications"), code=303)


@messages.route(
    "/me/notifications/<uuid:notification_id>/return", methods=["POST"], permission=LOGIN, module="messages"
)
def create_return(notification_id: UUID) -> Response:
    """Take one out of what was put away."""
    get_or_404(queries.own(current_user.id), notification_id)
    inbox.bring_back(current_user.id, notification_id)
    return redirect(url_for("messages.notifications"), code=303)


@messages.route("/me/notifications/unseen", permission=LOGIN, module="messages")
def unseen() -> Response:
    """The bell's number, asked every 20 s while the page is visible; 304 while it is the same (D40)."""
    count = queries.unseen(current_user.id)
    answer = make_response(str(count))
    answer.mimetype = "text/plain"
    answer.set_etag(hashlib.sha256(f"{current_user.id}:{count}".encode()).hexdigest()[:16])
    return answer.make_conditional(request)


@messages.route("/me/notifications/preferences", permission=LOGIN, endpoint="preferences")
def show_preferences() -> Response:
    """What a member hears and where."""
    chosen = preferences.chosen_by(current_user.id)
    return render(
        "messages/preferences.html",
        table={w: {c: wanted(w, c, chosen) for c in CHANNELS} for w in WORKFLOWS},
        critical={w.name for w in WORKFLOWS.values() if w.critical},
        channels=CHANNELS,
        workflow_name=workflow_name,
        channel_name=channel_name,
        marketing=consents.agreed(current_user.id, consents.MARKETING) > 0,
    )


@messages.route("/me/notifications/preferences", methods=["POST"], permission=LOGIN)
def update_preferences() -> Response:
    """Take the ticks; what is critical is not asked."""
    ticked = set(request.form.getlist("on"))
    asked = [w.name for w in WORKFLOWS.values() if not w.critical]
    preferences.choose(current_user.id, {(w, c): f"{w}.{c}" in ticked for w in asked for c in CHANNELS})
    flash(gettext("Saved. It holds from the next message on."))
    return redirect(url_for("messages.preferences"), code=303)


@messages.route("/me/notifications/mail-stop", methods=["POST"], permission=LOGIN)
def create_mail_stop() -> Response:
    """No more mail, in one tap."""
    preferences.stop_mail(current_user.id)
    flash(gettext("No more mail. The inbox here goes on."))
    return redirect(url_for("messages.preferences"), code=303)


@messages_public.route("/unsubscribe/<token>", permission=PUBLIC)
def unsubscribe(token: str) -> Response:
    """The link at the foot of a mail: it asks, since programs that scan mail follow links too (S15)."""
    if preferences.unsubscribing(token) is None:
        abort(404)
    return render("messages/unsubscribe.html", token=token, done=False)


@messages_public.route("/unsubscribe/<token>", methods=["POST"], permission=PUBLIC)
@csrf.exempt
def create_unsubscription(token: str) -> Response:
    """The page's button, or the mail program's one click (RFC 8058): the signed token is the whole authority."""
    member_id = preferences.unsubscribing(token)
    if member_id is None:
        abort(404)
    g.actor_id, g.actor_kind = member_id, "member"
    preferences.stop_mail(member_id)
    return render("messages/unsubscribe.html", token=token, done=True)
