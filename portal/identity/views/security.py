"""Where a person is signed in, and their password."""

from typing import Any
from uuid import UUID

from flask import abort, flash, g, redirect, request, url_for
from flask_babel import gettext, ngettext
from flask_login import current_user

from portal.identity import access, devices, factors, failures, labels, passwords, queries, service, sessions
from portal.identity.forms import PasswordForm
from portal.identity.limits import PASSWORDS_A_PERSON, limited
from portal.identity.stepup import fresh
from portal.identity.views.blueprints import identity
from portal.kernel.authz import LOGIN
from portal.web.client import client_address
from portal.web.fragments import render


@identity.route("/me/security", permission=LOGIN)
def security() -> Any:
    return _page(PasswordForm())


@identity.route("/me/security/password", methods=["POST"], permission=LOGIN)
@limited(PASSWORDS_A_PERSON, of="person")
@fresh
def change_password() -> Any:
    form = PasswordForm()
    if not form.validate():
        return _page(form, status=422)
    counted = failures.attempt(str(current_user.id), client_address())
    try:
        token = service.change_password(
            current_user.id,
            current=form.current.data or "",
            new=form.new.data or "",
            user_agent=request.user_agent.string,
            ip=client_address(),
        )
    except passwords.WeakPassword as error:  # the one they have now was right
        counted.take_back()
        form.new.errors = [error.message]
        return _page(form, status=422)
    except service.WrongPassword as error:
        form.current.errors = [error.message]
        return _page(form, status=422)
    counted.take_back()
    sessions.hand_cookie(token)
    return redirect(url_for("identity.security", changed=1), code=303)


@identity.route("/me/security/sessions/<uuid:session_id>/revocation", methods=["POST"], permission=LOGIN)
def revoke_session(session_id: UUID) -> Any:
    access.revoke(current_user.id, session_id)
    flash(gettext("That device is signed out."))
    return redirect(url_for("identity.security"), code=303)


@identity.route("/me/security/revocations", methods=["POST"], permission=LOGIN)
def revoke_other_sessions() -> Any:
    count = access.revoke_others(current_user.id, current_user.session_id)
    flash(ngettext("%(num)s device is signed out.", "%(num)s devices are signed out.", count))
    return redirect(url_for("identity.security"), code=303)


@identity.route("/looking/end", methods=["POST"], permission=LOGIN)
def stop_looking() -> Any:
    """Back to one's own session, whose cookie was kept aside."""
    row = g.get("looking")
    if row is None:
        abort(404)
    access.stop_looking(row.user_id, row.id)
    if own := sessions.own_kept():
        sessions.hand_cookie(own)
        answer = redirect(url_for("identity_admin.member", member_id=row.user_id), code=303)
    else:
        sessions.drop_cookie()
        answer = redirect(url_for("identity.sign_in"), code=303)
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'  # nothing of the member's stays in this browser
    return answer


def _page(form: PasswordForm, status: int = 200) -> Any:
    open_ones = queries.open_sessions(current_user.id, g.device_session.auth_epoch, sessions.real_now())
    return render(
        "identity/security.html",
        status=status,
        form=form,
        sessions=open_ones,
        devices=devices,
        methods=factors.methods(current_user.id),
        method_name=labels.method,
        left=factors.codes_left(current_user.id),
    )
