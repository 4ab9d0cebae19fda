"""Terms that changed stand before everything else until they are agreed to; what was agreed to, and taking it back."""

from typing import Any

from flask import flash, g, redirect, request, session, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.identity import consents, onward
from portal.identity.views.blueprints import identity
from portal.kernel.authz import LOGIN
from portal.tenants import legal
from portal.web.fragments import render
from portal.web.security import reading

KEY = "terms"


def gate() -> Any:
    """Before a request: a member whose terms are old sees the new ones first. Asked once a session and version."""
    if not reading() or not current_user.is_authenticated or g.get("ops") or g.get("looking"):
        return None
    now = consents.version(consents.TERMS)
    if now <= consents.FIRST or dict(session).get(KEY, 0) >= now or not _kept_behind():
        return None
    if consents.outdated(current_user.id):
        here = request.full_path.rstrip("?")
        return redirect(url_for("identity.terms", next=onward.safe_path(here) or None), code=303)
    session[KEY] = now
    return None


def _kept_behind() -> bool:
    """The member's own pages and the door's first page; tills and desks go on, nobody stands in a queue for it."""
    from flask import current_app

    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "room", "") == "member" and request.endpoint not in {
        "identity.terms",
        "identity.consents",
        "identity.card",
        "identity.sign_in",
        "identity.service_worker",
        "identity.manifest",
    }


@identity.route("/me/terms", methods=["GET", "POST"], permission=LOGIN)
def terms() -> Any:
    """The terms that hold now."""
    ahead = onward.safe_path(request.values.get("next"))
    if reading():
        text = legal.found(consents.TERMS)
        return render(
            "identity/terms.html",
            text=text,
            text_html=legal.to_html(text.body) if text else "",
            ahead=ahead or "",
            version=consents.version(consents.TERMS),
            agreed=consents.agreed(current_user.id, consents.TERMS),
        )
    consents.give(current_user.id, consents.TERMS, consents.PRIVACY)
    return redirect(ahead or url_for("identity.first"), code=303)


@identity.route("/me/consents", methods=["GET"], permission=LOGIN, endpoint="consents")
def show_consents() -> Any:
    """What the member agreed to and when."""
    return render(
        "identity/consents.html",
        rows=consents.history(current_user.id),
        purpose_name=consents.purpose_name,
        readable=legal.readable(),
        marketing=consents.agreed(current_user.id, consents.MARKETING) > 0,
    )


@identity.route("/me/consents/marketing", methods=["POST"], permission=LOGIN)
def update_marketing() -> Any:
    """News and offers: on, or off in one tap."""
    if request.form.get("on") == "yes":
        consents.give(current_user.id, consents.MARKETING)
        flash(gettext("News and offers will come. One tap stops them."))
    else:
        consents.withdraw(current_user.id, consents.MARKETING)
        flash(gettext("No more news and offers."))
    back = onward.safe_path(request.form.get("next"))
    return redirect(back or url_for("identity.consents"), code=303)
