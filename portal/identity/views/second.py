"""The second half of signing in; and confirming who one is before something that matters."""

from typing import Any
from uuid import UUID

from flask import Response, abort, flash, g, redirect, request, url_for
from flask import session as browser
from flask_babel import gettext
from flask_login import current_user
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from portal.extensions import db
from portal.identity import access, factors, onward, passkeys, second, sessions, signing, stepup
from portal.identity.failures import TooManyTries
from portal.identity.forms import ProofForm
from portal.identity.limits import TRIES_AN_ADDRESS, limited
from portal.identity.models import User
from portal.identity.views.blueprints import identity
from portal.kernel.authz import HALF, LOGIN, PUBLIC
from portal.kernel.errors import PortalError
from portal.web.client import client_address
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.security import reading

SENT = "code_sent"  # where the session keeps the kind and the id of the code that was sent


@identity.route("/login/second", methods=["GET", "POST"], permission=HALF)
def second_factor() -> Any:
    """Ask for the second factor, or, where the role needs one and there is none, lead to making one (S4)."""
    ahead = onward.safe_path(request.values.get("next"))
    half = g.get("half")
    if half is None:
        return redirect(ahead or onward.first_page(current_user), code=303)
    offered = _ordered(factors.ways(half.user_id, half.amr, _password_hash(half.user_id)))
    if not offered:
        return redirect(url_for("identity.enrol", next=ahead), code=303)
    if factors.codes_left(half.user_id):
        offered.append(factors.RECOVERY)
    form = ProofForm(way=request.args.get("way"), offered=offered)
    if reading():
        return _ask_second(form, offered, ahead)
    if not form.validate():
        return _ask_second(form, offered, ahead, status=422)
    browser = {"user_agent": request.user_agent.string, "ip": client_address()}
    try:
        if form.way.data == factors.PASSKEY:
            token = passkeys.enter(half, form.credential.data or "", **browser)
        else:
            token = second.enter(half, form.way.data, form.typed, challenge_id=sent(form.way.data), **browser)
    except PortalError as error:
        return _refused(_ask_second, form, offered, ahead, error)
    sessions.hand_cookie(token)
    return redirect(ahead or url_for("identity.first"), code=303)


@identity.route("/login/second/code", methods=["POST"], permission=HALF)
@limited(TRIES_AN_ADDRESS)
def send_second_code() -> Any:
    """Send the code of the second factor by mail or SMS, to whom it belongs."""
    ahead, way = onward.safe_path(request.form.get("next")), request.form.get("way", "")
    half = g.get("half")
    if half is None:
        return redirect(ahead or "/me", code=303)
    if way not in factors.ways(half.user_id, half.amr) & factors.CODES:
        abort(404)
    try:
        with sessions.acting_as(half.user_id, "member"):
            browser[SENT] = [way, str(factors.send_code(half.user_id, way, factors.SIGNING_IN))]
    except PortalError as error:
        flash(error.message, "error")
    return redirect(url_for("identity.second_factor", way=way, next=ahead), code=303)


def sent(way: str) -> UUID | None:
    """The code that was sent this way in this session."""
    kind, challenge_id = browser.get(SENT, ("", ""))
    return UUID(challenge_id) if challenge_id and kind == way else None


@identity.route("/me/confirm", methods=["GET", "POST"], permission=LOGIN)
def confirm() -> Any:
    """Show a factor once more, then go back to what one was about to do (`stepup.fresh`)."""
    ahead = onward.safe_path(request.values.get("next")) or "/me"
    offered = _offered_again()
    if g.device_session.impersonator_id is not None:
        abort(403)
    form = ProofForm(way=request.args.get("way"), offered=offered)
    if reading():
        return _ask_again(form, offered, ahead)
    if not form.validate():
        return _ask_again(form, offered, ahead, status=422)
    try:
        if form.way.data == factors.PASSKEY:
            passkeys.confirm(current_user.id, current_user.session_id, form.credential.data or "")
        else:
            way = form.way.data or ""
            code = sent(way) if way in factors.CODES else None
            session_id = current_user.session_id
            second.confirm(current_user.id, session_id, way, form.typed, ip=client_address(), challenge_id=code)
    except PortalError as error:
        return _refused(_ask_again, form, offered, ahead, error)
    return redirect(url_for("identity.resume") if stepup.kept() else ahead, code=303)


@identity.route("/me/confirm/code", methods=["POST"], permission=LOGIN)
@limited(TRIES_AN_ADDRESS)
def send_confirming_code() -> Any:
    """Send the code by which somebody without password and app shows who they are, to the contact they have proved."""
    ahead, way = onward.safe_path(request.form.get("next")), request.form.get("way", "")
    if g.device_session.impersonator_id is not None:
        abort(403)
    if way not in factors.CODES & {*_offered_again()}:
        return redirect(url_for("identity.confirm", next=ahead), code=303)
    try:
        browser[SENT] = [way, str(factors.send_code(current_user.id, way, factors.SIGNING_IN))]
    except PortalError as error:
        flash(error.message, "error")
    return redirect(url_for("identity.confirm", way=way, next=ahead), code=303)


@identity.route("/me/confirm/resume", permission=LOGIN)
def resume() -> Any:
    """The form that had to wait, ready to be sent again by one button; it is shown once."""
    waiting = stepup.kept()
    if waiting is None or not stepup.is_fresh():
        return redirect("/me", code=303)
    browser.pop(stepup.KEPT)
    return render("identity/resume.html", to=waiting["to"], fields=waiting["fields"])


@identity.route("/passkeys/options", methods=["POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def passkey_options() -> Response:
    """What a browser is asked to sign."""
    half = g.get("half")
    return signing.question(passkeys, half.user_id if half else None, _to_register)


def _to_register() -> str | None:
    user_id = enrolling()
    return passkeys.to_register(db.session.scalars(select(User).where(User.id == user_id)).one()) if user_id else None


@identity.route("/login/passkey", methods=["POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def sign_in_by_passkey() -> Any:
    """Sign in by a passkey alone."""
    ahead = onward.safe_path(request.form.get("next"))
    try:
        token = passkeys.sign_in(
            request.form.get("credential", ""),
            user_agent=request.user_agent.string,
            ip=client_address(),
            replaces=access.current_session_id(),
        )
    except PortalError as error:
        from portal.identity.forms import SignInForm

        form = SignInForm(MultiDict())
        form.next.data = ahead or ""
        return render("identity/sign_in.html", form=form, refusal=error.message, status=error.status)
    sessions.hand_cookie(token)
    return redirect(ahead or url_for("identity.first"), code=303)


def enrolling() -> Any:
    """Whose factors this request may change: a full and fresh session's, or a half one's that has none to show yet."""
    half = g.get("half")
    if half is not None:
        return None if factors.ways(half.user_id, half.amr, _password_hash(half.user_id)) else half.user_id
    return current_user.id if current_user.is_authenticated and stepup.is_fresh() else None


def _ask_second(form: ProofForm, offered: list[str], ahead: str | None, refusal: str = "", status: int = 200) -> Any:
    elsewhere = sorted(
        {m.rp_id for m in factors.methods(g.half.user_id) if m.kind == factors.PASSKEY} - {signing.rp_id()}
    )
    return render(
        "identity/second.html",
        form=form,
        offered=offered,
        ahead=ahead,
        refusal=refusal,
        elsewhere=elsewhere,
        sent=sent(form.way.data or ""),
        where=factors.contact(g.half.user_id, form.way.data) if form.way.data in factors.CODES else "",
        status=status,
    )


def _ask_again(form: ProofForm, offered: list[str], ahead: str | None, refusal: str = "", status: int = 200) -> Any:
    return render(
        "identity/confirm.html",
        sent=sent(form.way.data or ""),
        where=factors.contact(current_user.id, form.way.data) if form.way.data in factors.CODES else "",
        form=form,
        offered=offered,
        ahead=ahead,
        refusal=refusal,
        status=status,
    )


def _refused(ask: Any, form: ProofForm, offered: list[str], ahead: str | None, error: PortalError) -> Any:
    """The page again with what was wrong, and how long to wait where that is it."""
    status = 429 if isinstance(error, TooManyTries) else 422
    words = error.message
    if status == 429 and len(offered) > 1:  # noqa: PLR2004
        words = gettext("%(wait)s Or use another way below.", wait=words)
    answer = ask(form, offered, ahead, refusal=words, status=status)
    if status == 429:  # noqa: PLR2004
        answer.headers["Retry-After"] = str(error.extra["retry_after"])
    return answer


def _offered_again() -> list[str]:
    return _ordered(factors.ways_again(get_or_404(User, current_user.id)))


def _ordered(kinds: set[str]) -> list[str]:
    order = (factors.PASSKEY, factors.APP, factors.EMAIL, factors.SMS, factors.PASSWORD)
    return [kind for kind in order if kind in kinds]


def _password_hash(user_id: Any) -> str | None:
    return db.session.scalar(select(User.password_hash).where(User.id == user_id))
