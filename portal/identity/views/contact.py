"""A member's e-mail and phone: proved by a code, and changed by a code to the new one."""

from typing import Any
from uuid import UUID

from flask import flash, redirect, session, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.identity import codes, contacts, failures, service, stepup
from portal.identity.forms import CodeForm, EmailForm, PhoneForm
from portal.identity.limits import PASSWORDS_A_PERSON, limited
from portal.identity.models import User
from portal.identity.views.blueprints import identity
from portal.kernel.authz import LOGIN
from portal.kernel.errors import PortalError
from portal.web.client import client_address
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.security import reading

KEY = "contact"
PURPOSE = "contact"


@identity.route("/me/contacts", methods=["GET"], permission=LOGIN, endpoint="contacts")
def show_contacts() -> Any:
    return _page()


@identity.route("/me/contacts/email", methods=["POST"], permission=LOGIN)
@limited(PASSWORDS_A_PERSON, of="person")
def create_email() -> Any:
    """A code to an e-mail, the member's own to confirm it or another to take its place."""
    form = EmailForm()
    return _send(form, form.email, codes.EMAIL, contacts.clean_email)


@identity.route("/me/contacts/phone", methods=["POST"], permission=LOGIN)
@limited(PASSWORDS_A_PERSON, of="person")
def create_phone() -> Any:
    """A code to a phone."""
    form = PhoneForm()
    return _send(form, form.phone, codes.SMS, contacts.clean_phone)


@identity.route("/me/contacts/code", methods=["GET", "POST"], permission=LOGIN)
@limited(PASSWORDS_A_PERSON, of="person")
def contact_code() -> Any:
    """The code that came there."""
    asked = dict(session).get(KEY)
    if asked is None:
        return redirect(url_for("identity.contacts"), code=303)
    form = CodeForm()
    if reading():
        return render("identity/contact_code.html", form=form, asked=asked)
    if not form.validate():
        return render("identity/contact_code.html", form=form, asked=asked, status=422)
    try:
        counted = failures.attempt(asked["id"], client_address())
        service.change_contact(
            current_user.id, UUID(asked["id"]), form.code.data or "", session_id=current_user.session_id
        )
        counted.take_back()
    except PortalError as error:
        status = max(422, error.status)
        return render("identity/contact_code.html", form=form, asked=asked, refusal=error.message, status=status)
    del session[KEY]
    flash(gettext("Confirmed: %(contact)s", contact=asked["to"]))
    return redirect(url_for("identity.contacts"), code=303)


def _send(form: Any, field: Any, channel: str, clean: Any) -> Any:
    if not stepup.is_fresh():
        return stepup.ask()
    if not form.validate():
        return _page(form, status=422)
    try:
        target = clean(field.data or "")
        challenge = codes.issue(PURPOSE, channel, target, member_id=current_user.id)
    except PortalError as error:
        field.errors = [error.message]
        return _page(form, status=max(422, error.status))
    session[KEY] = {"id": str(challenge), "to": target, "channel": channel}
    return redirect(url_for("identity.contact_code"), code=303)


def _page(form: Any = None, status: int = 200) -> Any:
    member: User = get_or_404(User, current_user.id)
    email = form if isinstance(form, EmailForm) else EmailForm(formdata=None, email=member.email)
    phone = form if isinstance(form, PhoneForm) else PhoneForm(formdata=None, phone=member.phone)
    return render(
        "identity/my_contacts.html",
        member=member,
        email=email,
        phone=phone,
        wrong=form,
        sms=codes.offered(codes.SMS),
        status=status,
    )
