"""A member's second factors: passkeys, an app, recovery codes; made, named and taken away."""

from typing import Any
from uuid import UUID

from flask import abort, flash, g, redirect, request, url_for
from flask import session as browser
from flask_babel import gettext
from flask_login import current_user
from sqlalchemy import select

from portal.extensions import db
from portal.identity import codes, factors, onward, passkeys, queries, second, sessions, stepup
from portal.identity.failures import TooManyTries
from portal.identity.forms import AppForm, PasskeyForm
from portal.identity.models import User
from portal.identity.stepup import fresh
from portal.identity.views.blueprints import identity
from portal.identity.views.second import SENT, enrolling
from portal.kernel.authz import HALF, LOGIN
from portal.kernel.errors import PortalError
from portal.web.client import client_address
from portal.web.forms import typed
from portal.web.fragments import render
from portal.web.security import reading


@identity.route("/me/security/second", permission=HALF)
def enrol() -> Any:
    """Choose a second factor: where the role needs one this page comes before anything else."""
    member = _owner()
    if not isinstance(member, User):
        return member
    first = bool(factors.STRONG_FIRST & set(queries.role_keys(member.id)))
    return render("identity/enrol.html", passkey=PasskeyForm(), first=first, ahead=_ahead(), send=_ways_to_send(member))


@identity.route("/me/security/passkeys", methods=["POST"], permission=HALF)
def add_passkey() -> Any:
    member = _owner()
    if not isinstance(member, User):
        return member
    form = PasskeyForm()
    if not form.validate():
        return render("identity/enrol.html", passkey=form, first=True, ahead=_ahead(), status=422)
    try:
        with sessions.acting_as(member.id, "member"):
            codes = passkeys.add(member.id, form.credential.data or "", form.name.data or "")
    except PortalError as error:
        return render(
            "identity/enrol.html", passkey=form, first=True, ahead=_ahead(), refusal=error.message, status=error.status
        )
    flash(gettext("The passkey is kept."))
    return _made(member.id, codes, "swk")


@identity.route("/me/security/app", methods=["GET", "POST"], permission=HALF)
def app() -> Any:
    """Set up an authenticator app: POST draws a secret, GET shows its picture, the first code makes it count."""
    member = _owner()
    if not isinstance(member, User):
        return member
    if request.method == "POST":
        with sessions.acting_as(member.id, "member"):
            factors.start_app(member.id)
        return redirect(url_for("identity.app", next=_ahead()), code=303)
    return _picture(member, AppForm())


@identity.route("/me/security/app/confirmation", methods=["POST"], permission=HALF)
def confirm_app() -> Any:
    member = _owner()
    if not isinstance(member, User):
        return member
    form = AppForm()
    if not form.validate():
        return _picture(member, form, status=422)
    member_id = member.id
    try:
        tried = second.counted(member_id, factors.APP, client_address())
        with sessions.acting_as(member_id, "member"):
            codes = factors.confirm_app(member_id, form.code.data or "")
        tried.undo()
    except PortalError as error:
        form.code.errors = [error.message]
        status = 429 if isinstance(error, TooManyTries) else 422
        return _picture(db.session.scalars(select(User).where(User.id == member_id)).one(), form, status=status)
    flash(gettext("The app is set up. It is asked for when you sign in."))
    return _made(member_id, codes, factors.APP)


@identity.route("/me/security/codes", methods=["GET", "POST"], permission=HALF)
def codes_sent() -> Any:
    """Codes by mail or SMS: POST sends the first one, GET asks for it."""
    member = _owner()
    if not isinstance(member, User):
        return member
    if reading():
        return _ask_code(member.id, AppForm())
    way = request.form.get("way", "")
    if way not in factors.CODES:
        abort(404)
    try:
        with sessions.acting_as(member.id, "member"):
            browser[SENT] = [way, str(factors.send_code(member.id, way, factors.SETTING_UP))]
    except PortalError as error:
        flash(error.message, "error")
        return redirect(url_for("identity.enrol", next=_ahead()), code=303)
    return redirect(url_for("identity.codes_sent", next=_ahead()), code=303)


@identity.route("/me/security/codes/confirmation", methods=["POST"], permission=HALF)
def confirm_codes() -> Any:
    member = _owner()
    if not isinstance(member, User):
        return member
    form, member_id = AppForm(), member.id
    if not form.validate():
        return _ask_code(member_id, form, status=422)
    way, challenge_id = browser.get(SENT, ("", ""))
    if not challenge_id:
        return redirect(url_for("identity.enrol", next=_ahead()), code=303)
    try:
        with sessions.acting_as(member_id, "member"):
            made = factors.add_codes(member_id, UUID(challenge_id), form.code.data or "")
    except PortalError as error:
        form.code.errors = [error.message]
        return _ask_code(member_id, form, status=422)
    browser.pop(SENT)
    flash(gettext("Codes are sent from now on when you sign in."))
    return _made(member_id, made, way)


def _ask_code(member_id: UUID, form: AppForm, status: int = 200) -> Any:
    way = browser.get(SENT, ("", ""))[0]
    if not way:
        return redirect(url_for("identity.enrol", next=_ahead()), code=303)
    where = factors.contact(member_id, way)
    return render("identity/codes.html", form=form, where=where, ahead=_ahead(), status=status)


def _ways_to_send(member: User) -> list[tuple[str, str]]:
    """The kinds of codes that can still be chosen, and where each would go."""
    had = {method.kind for method in factors.methods(member.id)}
    targets = ((factors.EMAIL, member.email), (factors.SMS, member.phone))
    return [(kind, target) for kind, target in targets if target and kind not in had and codes.offered(kind)]


@identity.route("/me/security/methods/<uuid:method_id>/name", methods=["POST"], permission=LOGIN)
@fresh
def name_method(method_id: UUID) -> Any:
    factors.rename(current_user.id, method_id, typed("name"))
    flash(gettext("Saved."))
    return redirect(url_for("identity.security"), code=303)


@identity.route("/me/security/methods/<uuid:method_id>/removal", methods=["POST"], permission=LOGIN)
@fresh
def remove_method(method_id: UUID) -> Any:
    try:
        factors.remove(current_user.id, method_id)
    except factors.StillNeeded as error:
        flash(error.message, "error")
    else:
        flash(gettext("Removed. Nobody signs in with it any more."))
    return redirect(url_for("identity.security"), code=303)


@identity.route("/me/security/recovery-codes", methods=["POST"], permission=LOGIN)
@fresh
def renew_codes() -> Any:
    """Ten new codes, shown by this answer and never again."""
    codes = factors.renew_codes(current_user.id)
    return render("identity/recovery_codes.html", codes=codes, ahead=url_for("identity.security"))


def _owner() -> Any:
    """Whose factors these are; else an answer that sends the person to show one first."""
    user_id = enrolling()
    if user_id is not None:
        return db.session.scalars(select(User).where(User.id == user_id)).one()
    if g.get("half"):
        return redirect(url_for("identity.second_factor", next=_ahead()), code=303)
    if g.device_session.impersonator_id is not None:
        abort(403)
    return stepup.ask()


def _made(member_id: UUID, codes: list[str], amr: str) -> Any:
    """After a factor was made: a half session becomes a full one; new recovery codes are shown, once."""
    ahead = _ahead()
    half = g.get("half")
    if half is not None:
        with sessions.acting_as(member_id, "member"):
            token = second.complete(
                member_id, half.id, f"{half.amr}+{amr}", user_agent=request.user_agent.string, ip=client_address()
            )
        sessions.hand_cookie(token)
        ahead = ahead or url_for("identity.first")
    ahead = ahead or url_for("identity.security")
    if codes:
        return render("identity/recovery_codes.html", codes=codes, ahead=ahead)
    return redirect(ahead, code=303)


def _picture(member: User, form: AppForm, status: int = 200) -> Any:
    account = member.email or member.phone or member.card_number
    found = factors.setup(member.id, account)
    if found is None:
        return redirect(url_for("identity.enrol", next=_ahead()), code=303)
    return render(
        "identity/app.html",
        form=form,
        setup=found,
        ahead=_ahead(),
        confirm_url=url_for("identity.confirm_app"),
        back_url=url_for("identity.enrol", next=_ahead()),
        status=status,
    )


def _ahead() -> str | None:
    return onward.safe_path(request.values.get("next"))
