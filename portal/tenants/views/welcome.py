"""The first admin of a new tenant chooses a password: GET shows the form, POST uses the link up (security.md 8, S15)."""

from flask import redirect, request
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from portal.kernel.authz import PUBLIC, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.tenants import start
from portal.web.client import client_address
from portal.web.fragments import render
from portal.web.security import reading

welcome = PortalBlueprint("tenant_welcome", __name__, room="public")


@welcome.route("/begin/<token>", methods=["GET", "POST"], permission=PUBLIC)
def begin(token: str) -> Response:
    """One form, one password; then the admin is in."""
    from portal.identity import access, sessions
    from portal.identity.forms import new_password
    from portal.web.forms import PortalForm

    class BeginForm(PortalForm):
        password = new_password(_l("Password"))

    form = BeginForm()
    if reading():
        start.invited(token)
        return _page(form, token)
    if not form.validate():
        return _page(form, token, status=422)
    try:
        member_id = start.begin(token, form.password.data or "")
    except start.InvitationUsed:
        raise
    except PortalError as error:
        form.password.errors = [error.message]
        return _page(form, token, status=422)
    sessions.hand_cookie(access.admit(member_id, user_agent=request.user_agent.string, ip=client_address()))
    return redirect("/admin", code=303)


def _page(form: object, token: str, status: int = 200) -> Response:
    answer = render("tenants/begin.html", form=form, token=token, status=status)
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
