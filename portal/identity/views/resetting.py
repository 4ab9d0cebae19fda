"""A forgotten password: /reset asks who it is, /reset/<token> takes the new one (security.md 8, S15)."""

from typing import Any

from flask import Response, flash, redirect, url_for
from flask_babel import gettext

from portal.identity import codes, passwords, resets, sessions
from portal.identity.forms import ResetForm, WhoForm
from portal.identity.limits import JOINS_AN_ADDRESS, TRIES_AN_ADDRESS, limited
from portal.identity.views.blueprints import identity
from portal.kernel.authz import PUBLIC
from portal.web.fragments import render
from portal.web.security import reading


@identity.route("/reset", methods=["GET", "POST"], permission=PUBLIC)
@limited(JOINS_AN_ADDRESS)
def reset() -> Any:
    """Ask for a link. The answer is the same whoever is asked for."""
    form = WhoForm()
    if reading():
        return render("identity/reset.html", form=form, sent="")
    if not form.validate():
        return render("identity/reset.html", form=form, sent="", status=422)
    try:
        resets.ask(form.contact.data or "")
    except codes.TooManyCodes as error:
        page = render("identity/reset.html", form=form, sent="", refusal=error.message, status=429)
        page.headers["Retry-After"] = str(error.extra["retry_after"])
        return page
    return render("identity/reset.html", form=form, sent=form.contact.data)


@identity.route("/reset/<token>", methods=["GET", "POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def new_password(token: str) -> Any:
    """The page behind the link. Programs that scan mail open it too, so that looking changes nothing."""
    form = ResetForm()
    if reading():
        works = resets.works(token)
        return _quiet(
            render("identity/new_password.html", form=form, token=token, works=works, status=200 if works else 410)
        )
    if not form.validate():
        return _quiet(render("identity/new_password.html", form=form, token=token, works=True, status=422))
    try:
        resets.use(token, form.password.data or "")
    except passwords.WeakPassword as error:
        form.password.errors = [error.message]
        return _quiet(render("identity/new_password.html", form=form, token=token, works=True, status=422))
    except resets.LinkOver as error:
        return _quiet(
            render("identity/new_password.html", form=form, token=token, works=False, refusal=error.message, status=410)
        )
    sessions.drop_cookie()
    flash(gettext("The new password holds. Every device is signed out; sign in with it."))
    return _quiet(redirect(url_for("identity.sign_in"), code=303))


def _quiet(answer: Any) -> Response:
    """The address is a secret: no page that is opened from here learns it (security.md 8)."""
    response: Response = answer
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response
