"""The page of a tenant's addresses."""

from typing import Any
from uuid import UUID

from flask import flash, redirect, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from portal.identity.stepup import fresh_to_write
from portal.kernel.authz import Permission, PortalBlueprint
from portal.tenants import domains
from portal.web.forms import REQUIRED, PortalForm, no_nul
from portal.web.fragments import render
from portal.web.security import reading

addresses = PortalBlueprint("tenants_domains", __name__, room="admin", url_prefix="/admin/settings/domains")
P = Permission.SETTINGS_UPDATE


class DomainForm(PortalForm):
    """A host of one's own."""

    host = StringField(
        _l("Your domain"),
        [DataRequired(REQUIRED), no_nul, Length(max=253)],
        render_kw={"placeholder": "club.example.com", "autocapitalize": "none", "spellcheck": "false"},
    )


class ActForm(PortalForm):
    """A button."""

    host = StringField(validators=[Length(max=253)])


@addresses.route("", methods=["GET", "POST"], permission=P)
@fresh_to_write
def index() -> Response:
    """Every address with its state and the next step; a new one is claimed here."""
    form = DomainForm()
    if reading():
        return _page(form)
    if form.validate():
        try:
            domains.claim(form.host.data or "")
        except domains.DomainRefused as error:
            form.host.errors = [error.message]
        else:
            flash(gettext("Now put the record into the DNS of the domain, then check."))
            return _back()
    return _page(form, status=422)


@addresses.route("/<uuid:claim_id>/check", methods=["POST"], permission=P)
def verify(claim_id: UUID) -> Response:
    """Ask the DNS."""
    failure = domains.verify(claim_id)
    flash(domains.said(failure), "error" if failure else "message")
    return _back()


@addresses.route("/<uuid:claim_id>/service", methods=["POST"], permission=P)
@fresh_to_write
def activate(claim_id: UUID) -> Response:
    """Let a proved address answer."""
    return _do(domains.activate, claim_id)


@addresses.route("/<uuid:claim_id>/drop", methods=["POST"], permission=P)
@fresh_to_write
def drop(claim_id: UUID) -> Response:
    """Give up a claim."""
    return _do(domains.drop, claim_id)


@addresses.route("/first", methods=["POST"], permission=P)
@fresh_to_write
def make_primary() -> Response:
    """Make an address the first one."""
    return _do(domains.make_primary, ActForm().host.data or "")


@addresses.route("/retire", methods=["POST"], permission=P)
@fresh_to_write
def retire() -> Response:
    """Let an address only lead to the first one."""
    return _do(domains.retire, ActForm().host.data or "")


def _do(act: Any, value: Any) -> Response:
    try:
        domains.then(act, value)
    except domains.DomainRefused as error:
        flash(error.message, "error")
    else:
        flash(gettext("Done. Everybody sees it within seconds."))
    return _back()


def _back() -> Response:
    return redirect(url_for("tenants_domains.index"), code=303)


def _page(form: DomainForm, status: int = 200) -> Response:
    return render(
        "tenants/domains.html",
        form=form,
        act=ActForm(formdata=None),
        rows=domains.all_of_tenant(),
        said=domains.said,
        status=status,
    )
