"""The page that waits for a one-time code, for whoever signs in or joins by one.

What was asked for stands in the browser's own session, so that a code read by somebody else opens nothing elsewhere.
"""

from typing import Any
from uuid import UUID

from flask import flash, redirect, request, session, url_for
from flask_babel import gettext

from portal.identity import access, codes, joining, onward, referrals, sessions
from portal.identity.failures import TooManyTries
from portal.identity.forms import CodeForm
from portal.identity.limits import TRIES_AN_ADDRESS, limited
from portal.identity.views.blueprints import identity
from portal.kernel.authz import PUBLIC
from portal.kernel.errors import PortalError
from portal.web.client import client_address
from portal.web.fragments import render
from portal.web.security import reading

KEY = "asked"


def ask(purpose: str, channel: str, to: str, *, ahead: str | None = None, **more: Any) -> None:
    """Ask for a code and remember in the browser that it is waited for. Raises `codes.TooManyCodes`."""
    remember(codes.issue(purpose, channel, to, **more), purpose, channel, to, ahead=ahead)


def remember(challenge: UUID, purpose: str, channel: str, to: str, *, ahead: str | None = None) -> None:
    """This browser waits for this code."""
    session[KEY] = {"id": str(challenge), "purpose": purpose, "channel": channel, "to": to, "next": ahead or ""}


def waited() -> dict[str, str] | None:
    """What this browser waits for."""
    asked: dict[str, str] | None = dict(session).get(KEY)
    return asked


@identity.route("/login/code", methods=["GET", "POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def code() -> Any:
    """Six digits let in."""
    asked = waited()
    if asked is None or asked["purpose"] not in {codes.OF_ACCOUNT, joining.PURPOSE}:
        return redirect(url_for("identity.sign_in"), code=303)
    form = CodeForm()
    if reading():
        return render("identity/code.html", form=form, asked=asked)
    if not form.validate():
        return render("identity/code.html", form=form, asked=asked, status=422)
    whence: dict[str, Any] = {
        "user_agent": request.user_agent.string,
        "ip": client_address(),
        "replaces": access.current_session_id(),
    }
    try:
        if asked["purpose"] == joining.PURPOSE:
            token = joining.finish(UUID(asked["id"]), form.code.data or "", **whence)
            session.pop(referrals.ASKED, None)
        else:
            token = access.sign_in_by_code(UUID(asked["id"]), form.code.data or "", purpose=codes.OF_ACCOUNT, **whence)
    except PortalError as error:
        status = 429 if isinstance(error, TooManyTries) else 422
        return render("identity/code.html", form=form, asked=asked, refusal=error.message, status=status)
    sessions.hand_cookie(token)
    return redirect(onward.safe_path(asked["next"]) or url_for("identity.first"), code=303)


@identity.route("/login/code/sendings", methods=["POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def create_sending() -> Any:
    """Another code to the same contact."""
    asked = waited()
    if asked is None or asked["purpose"] not in {codes.OF_ACCOUNT, joining.PURPOSE}:
        return redirect(url_for("identity.sign_in"), code=303)
    try:
        again = codes.issue_again(UUID(asked["id"]), asked["purpose"])
    except (codes.TooManyCodes, codes.WrongCode) as error:
        form, status = CodeForm(formdata=None), max(422, error.status)
        return render("identity/code.html", form=form, asked=asked, refusal=error.message, status=status)
    session[KEY] = {**asked, "id": str(again)}
    flash(gettext("Another code is on its way; type the newest one."))
    return redirect(url_for("identity.code"), code=303)
