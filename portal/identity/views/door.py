"""The door: sign in, sign out, join; language and theme for whoever stands before it."""

from typing import Any

from flask import Response, g, make_response, redirect, request, url_for
from flask import session as browser
from flask_babel import gettext
from flask_limiter import RateLimitExceeded
from flask_login import current_user

from portal.identity import access, codes, contacts, joining, onward, referrals, service, sessions
from portal.identity.failures import TooManyTries
from portal.identity.forms import JoinForm, SignInForm
from portal.identity.limits import JOINS_AN_ADDRESS, TRIES_AN_ADDRESS, TRIES_IN_ALL, limited, waited_for
from portal.identity.views import asking
from portal.identity.views.blueprints import identity
from portal.kernel.authz import PUBLIC
from portal.kernel.errors import PortalError
from portal.settings import settings
from portal.web.client import client_address
from portal.web.errors import on_portal_error
from portal.web.fragments import render
from portal.web.locale import COOKIE, offered
from portal.web.security import reading

A_YEAR = 365 * 24 * 3600
THEMES = ("auto", "light", "dark")
WAITS = (TooManyTries, codes.TooManyCodes)


@identity.route("/login", methods=["GET", "POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
@limited(TRIES_IN_ALL, of="tenant")
def sign_in() -> Any:
    """By a password, or by a code to the e-mail or phone that is typed."""
    form = SignInForm()
    ahead = onward.safe_path(form.next.data or request.args.get("next"))
    form.next.data = ahead or ""
    if reading():
        if g.get("half"):
            return redirect(url_for("identity.second_factor", next=ahead), code=303)
        if current_user.is_authenticated:
            return redirect(ahead or onward.first_page(current_user), code=303)
        return _sign_in_page(form)
    if not form.validate():
        return _sign_in_page(form, status=422)
    if form.by_code:
        return _send_code(form, ahead)
    try:
        token = access.sign_in(
            form.email.data or "",
            form.password.data or "",
            user_agent=request.user_agent.string,
            ip=client_address(),
            replaces=access.current_session_id(),
        )
    except PortalError as error:
        return _sign_in_page(form, error)
    sessions.hand_cookie(token)
    return redirect(ahead or url_for("identity.first"), code=303)


def _send_code(form: SignInForm, ahead: str | None) -> Any:
    typed = form.email.data or ""
    way = codes.TELEGRAM if form.by_code == "telegram" else codes.channel_of(codes.canonical(typed))
    if not codes.offered(way):
        form.email.errors = [gettext("No code can be sent there from here. Type your e-mail.")]
        return _sign_in_page(form, status=422)
    try:
        asking.ask(codes.OF_ACCOUNT, way, typed, ahead=ahead)
    except codes.TooManyCodes as error:
        return _sign_in_page(form, error)
    return redirect(url_for("identity.code"), code=303)


def _sign_in_page(form: SignInForm, error: PortalError | None = None, status: int = 200) -> Any:
    if error is not None:
        status = error.status if isinstance(error, WAITS) else 422
    page = render(
        "identity/sign_in.html",
        form=form,
        telegram=codes.offered(codes.TELEGRAM),
        refusal=error.message if error else "",
        status=status,
    )
    if error and "retry_after" in error.extra:
        page.headers["Retry-After"] = str(error.extra["retry_after"])
    return page


@identity.app_errorhandler(RateLimitExceeded)
def too_often(error: RateLimitExceeded) -> Response:
    """Every limit of the house answers in one way, whatever it guards."""
    return on_portal_error(waited_for(error))


@identity.route("/welcome", permission=PUBLIC)
def first() -> Any:
    """The room that the person works in; a stranger comes to the front."""
    if g.get("half"):
        return redirect(url_for("identity.second_factor"), code=303)
    return redirect(onward.first_page(current_user) if current_user.is_authenticated else "/", code=303)


@identity.route("/logout", methods=["POST"], permission=PUBLIC)
def sign_out() -> Any:
    session_id = access.current_session_id()
    if session_id is not None:
        with sessions.acting_as(g.device_session.user_id, "member"):
            access.sign_out(g.device_session.user_id, session_id)
    sessions.drop_cookie()
    answer = make_response(redirect("/", code=303))
    answer.headers["Clear-Site-Data"] = '"storage"'  # the card kept for offline goes with the person
    return answer


@identity.route("/join", methods=["GET", "POST"], permission=PUBLIC)
@limited(JOINS_AN_ADDRESS)
def join() -> Any:
    """A name and a contact; the code that is sent there lets in. Members and strangers get the same answer (S7)."""
    form = JoinForm()
    ahead = onward.safe_path(form.next.data or request.args.get("next"))
    form.next.data = ahead or ""
    form.ref.data = referrals.clean(form.ref.data or request.args.get("ref")) or browser.get(referrals.ASKED, "")
    if form.ref.data:
        browser[referrals.ASKED] = form.ref.data
    if reading():
        if current_user.is_authenticated:
            return redirect(onward.first_page(current_user), code=303)
        return render("identity/join.html", form=form)
    if not form.validate():
        return render("identity/join.html", form=form, status=422)
    contact = form.contact.data or ""
    try:
        if not codes.offered(codes.channel_of(contact)):
            raise contacts.InvalidPhone(gettext("No code can be sent there from here. Type your e-mail."))
        challenge = joining.begin(
            name=form.name.data or "",
            contact=contact,
            password=form.password.data or None,
            marketing=bool(form.marketing.data),
            ref=form.ref.data,
        )
    except PortalError as error:
        form.refuse(error)
        return render("identity/join.html", form=form, status=max(422, error.status))
    asking.remember(challenge, joining.PURPOSE, codes.channel_of(contact), contact, ahead=ahead)
    return redirect(url_for("identity.code"), code=303)


@identity.route("/language", methods=["POST"], permission=PUBLIC)
def language() -> Any:
    return remember_language()


@identity.route("/theme", methods=["POST"], permission=PUBLIC)
def theme() -> Any:
    return remember_theme()


def remember_language() -> Response:
    """The language in a cookie, and in the member's row when somebody is signed in."""
    chosen = request.form.get("locale", "")
    answer = make_response(redirect(_back(), code=303))
    if chosen in offered():
        if current_user.is_authenticated and not g.get("ops"):
            service.choose_language(current_user.id, chosen)
        _keep(answer, COOKIE, chosen)
    return answer


def remember_theme() -> Response:
    """Light, dark, or as the device has it."""
    chosen = request.form.get("theme", "")
    answer = make_response(redirect(_back(), code=303))
    if chosen in THEMES:
        _keep(answer, "theme", chosen)
    return answer


def _keep(answer: Response, name: str, value: str) -> None:
    answer.set_cookie(name, value, max_age=A_YEAR, secure=settings().secure, samesite="Lax", httponly=True)


def _back() -> str:
    """The page that the switch stood on."""
    asked = onward.safe_path(request.form.get("next"))
    return asked or onward.referred(request.referrer, request.host_url) or "/"
