"""The page behind an invitation: GET shows who invites and to what, POST uses the link up (security.md 8, S15)."""

from typing import Any

from flask import Response, flash, g, redirect, request, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.identity import queries, sessions
from portal.identity.limits import TRIES_AN_ADDRESS, limited
from portal.invitations import labels, service
from portal.invitations.forms import AcceptForm
from portal.invitations.queries import invitation, inviter_name
from portal.invitations.views.blueprints import invited
from portal.kernel.authz import PUBLIC
from portal.kernel.errors import PortalError
from portal.web.client import client_address
from portal.web.fragments import render
from portal.web.security import reading


@invited.route("/invite/<token>", methods=["GET", "POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def accept(token: str) -> Any:
    """Programs that scan mail open it too, so that looking changes nothing."""
    found = service.look(token)
    row = invitation(found) if found else None
    if row is None:
        return _over()
    person = current_user.id if current_user.is_authenticated and not g.get("looking") else None
    way = _way(row, person)
    form = AcceptForm()
    form.narrow(named=way == "first", plain=way in {"account", "own", "wrong"})
    if reading() or way == "wrong":
        return _page(row, token, way, form, status=200 if reading() else 409)
    if not form.validate():
        return _page(row, token, way, form, status=422)
    try:
        done = service.accept(
            token,
            person_id=person,
            amr=g.device_session.amr if person else None,
            name=form.name.data or "" if form.name else "",
            password=form.password.data or None if form.password else None,
            marketing=bool(form.marketing and form.marketing.data),
            user_agent=request.user_agent.string,
            ip=client_address(),
        )
    except service.InvitationOver:
        return _over()
    except PortalError as error:
        refusal = "" if form.refuse(error) else error.message
        return _page(row, token, way, form, refusal=refusal, status=max(422, error.status))
    if done.cookie is None:
        flash(gettext("Accepted. Sign in as always, and it is there."))
        return _quiet(redirect(url_for("identity.sign_in"), code=303))
    sessions.hand_cookie(done.cookie)
    flash(gettext("Welcome!") if way in {"new", "first"} else gettext("Accepted."))
    return _quiet(redirect(url_for("identity.first"), code=303))


def _way(row: Any, person: Any) -> str:
    """new: joins; first: a member who never signed in; account: signs in elsewhere; own: signed in; wrong: as another."""
    account = queries.account(row.target)
    own = row.member_id or (account.id if account else None)
    if person is not None:
        return "own" if own in {None, person} else "wrong"
    if own is None:
        return "new"
    member = service.member_of(own)
    return "account" if member is None or service.signs_in(member) else "first"


def _page(row: Any, token: str, way: str, form: AcceptForm, *, refusal: str = "", status: int = 200) -> Response:
    if way == "new" and reading():
        form.name.data = row.name
    return _quiet(
        render(
            "invitations/accept.html",
            row=row,
            token=token,
            way=way,
            form=form,
            inviter=inviter_name(row),
            gives=labels.gives(row),
            refusal=refusal,
            status=status,
        )
    )


def _over() -> Response:
    return _quiet(render("invitations/accept.html", row=None, way="over", status=410))


def _quiet(answer: Any) -> Response:
    """The address is a secret: no page that is opened from here learns it (security.md 8)."""
    response: Response = answer
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response
