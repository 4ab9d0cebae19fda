"""What the admin's and a shop's pages of invitations have in common: the list, a list of people read from a file."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import flash, redirect, request
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from portal.identity import stepup
from portal.imports.reading import FileUnreadable
from portal.invitations import labels, queries, service
from portal.invitations.forms import TableForm, plain_table
from portal.invitations.models import Invitation
from portal.invitations.table import MOST, read, text_in
from portal.kernel.errors import PortalError
from portal.web import paging
from portal.web.fragments import render
from portal.web.security import reading


def found(business_id: UUID | None = None) -> dict[str, Any]:
    """The list as its address narrows it."""
    filters = paging.filters("state")
    page = paging.page(
        queries.invitations(filters.get("state", ""), paging.query_text(), business_id),
        sorts={"asked": paging.Sort(Invitation.asked_at.expression, paging.when)},
        default="-asked",
        key=Invitation.id.expression,
        filters=filters,
    )
    return {
        "page": page,
        "labels": labels,
        "inviter_name": queries.inviter_name,
        "states": [("", gettext("All")), *((s, labels.state(s)) for s in queries.STATES)],
    }


def told(act: Callable[[], None], row: Any, said: str, to: str) -> Response:
    """Do it and say so, or say why not; what concerns a role asks who one is first."""
    if row.kind == "staff" and not stepup.is_fresh():
        return stepup.ask()
    try:
        act()
    except PortalError as refused:
        flash(refused.message, "error")
    else:
        flash(said)
    return redirect(to, code=303)


def invite(form: Any, to: str) -> Response | None:
    """Invite whoever the form names; None when it was refused, which the form says."""
    if not form.validate():
        return None
    try:
        service.invite(form.guest)
    except PortalError as refused:
        form.refuse(refused)
        return None
    flash(gettext("The invitation is on its way."))
    return redirect(to, code=303)


def people(template: str, to: str, *, business_id: UUID | None = None, **given: Any) -> Response:
    """A list of people: read and shown with what is wrong in it; sent once that was seen."""
    form = TableForm()
    if reading():
        return render(template, form=form, lines=None, most=MOST, **given)
    if not form.validate():
        return render(template, form=form, lines=None, most=MOST, status=422, **given)
    try:
        content = plain_table(text_in(form.file.data.stream)) if form.file.data else form.text.data or ""
        lines = read(content, business_id=business_id)
    except FileUnreadable as refused:
        form.file.errors = [refused.message]
        return render(template, form=form, lines=None, most=MOST, status=422, **given)
    good = [line.guest for line in lines if line.guest is not None]
    if "send" in request.form and good:
        asked, left = service.invite_all(good)
        flash(ngettext("%(num)s invitation is on its way.", "%(num)s invitations are on their way.", asked))
        if left:
            flash(
                ngettext("%(num)s line was refused meanwhile.", "%(num)s lines were refused meanwhile.", left),
                "error",
            )
        return redirect(to, code=303)
    form.text.data = content
    return render(template, form=form, lines=lines, good=len(good), most=MOST, **given)
