"""API keys on the owner's desk; a key's secret is on one answer and nowhere else (security.md 9)."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from flask import abort, flash, g, redirect, url_for
from flask_babel import gettext
from sqlalchemy import select
from werkzeug.wrappers import Response

from portal.api import sandbox
from portal.identity.stepup import fresh_to_write
from portal.kernel import clock
from portal.kernel.authz import Permission as P
from portal.kernel.commands import command, journal
from portal.kernel.errors import Conflict, PortalError
from portal.partners import keys, queries
from portal.partners.forms import KeyForm, scope_name
from portal.partners.models import ApiKey
from portal.partners.views.blueprints import desk
from portal.web.forms import PortalForm, remember, repeated
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.security import reading

Made = tuple[UUID, str]


@desk.route("/keys", methods=["GET", "POST"], permission=P.KEYS_MANAGE, endpoint="keys")
@fresh_to_write
def list_keys() -> Response:
    """Keys of tills and programs; a new one is shown once."""
    form = KeyForm()
    if reading():
        return _page(form)
    if repeated(form) is not None:
        return _made_already()
    if form.validate():
        days = int(form.days.data)
        ends = clock.now() + timedelta(days=days) if days else None
        name, scopes = form.name.data or "", form.scopes.data or []
        try:
            _, secret = _create(form, lambda: keys.create_key(g.business.id, name, scopes, expires_at=ends))
        except PortalError as refused:
            form.name.errors = [*form.name.errors, refused.message]
        else:
            return _page(KeyForm(formdata=None), secret=secret, status=201)
    return _page(form, status=422)


@desk.route("/keys/<uuid:key_id>/renewal", methods=["POST"], permission=P.KEYS_MANAGE)
@fresh_to_write
def create_renewal(key_id: UUID) -> Response:
    """A new key in the place of an old one, which works for another day."""
    _own_key(key_id)
    form = PortalForm()
    if repeated(form) is not None:
        return _made_already()
    try:
        _, secret = _rotate(form, lambda: keys.rotate_key(key_id))
    except PortalError as refused:
        return _page(KeyForm(formdata=None), refusal=refused.message, status=refused.status)
    return _page(KeyForm(formdata=None), secret=secret, status=201)


@desk.route("/keys/<uuid:key_id>/revocation", methods=["POST"], permission=P.KEYS_MANAGE)
def create_revocation(key_id: UUID) -> Response:
    """A key that opens nothing any more."""
    _own_key(key_id)
    keys.revoke_key(key_id)
    flash(gettext("The key opens nothing any more."))
    return _to_list()


@desk.route("/keys/test", methods=["POST"], permission=P.KEYS_MANAGE)
@fresh_to_write
def create_test_key() -> Response:
    """A key for the sandbox, where nothing counts; the one before it opens nothing any more."""
    secret = sandbox.test_key(g.business.slug, g.business.name) if g.tenant.kind == "live" else None
    if secret is None:
        abort(404)
    return _page(KeyForm(formdata=None), secret=secret, status=201)


@command("key.create")
def _create(form: PortalForm, make: Callable[[], Made]) -> Made:
    return _once(form, make)


@command("key.rotate")
def _rotate(form: PortalForm, make: Callable[[], Made]) -> Made:
    return _once(form, make)


def _once(form: PortalForm, make: Callable[[], Made]) -> Made:
    """A form sent twice makes one key. Raises `Conflict` for the second of two at the same moment."""
    made = make()
    if not remember(form, "partners_desk.keys", business=g.business.slug):
        raise Conflict(gettext("This form was sent twice at once; the key is there."))
    journal().about("api_key", made[0])
    return made


def _made_already() -> Response:
    flash(gettext("That key was made before, and is not shown again. If nobody copied it, revoke it."), "error")
    return _to_list()


def _page(form: KeyForm, *, secret: str = "", refusal: str = "", status: int = 200) -> Response:
    return render(
        "partners/keys.html",
        form=form,
        own_prefix=keys.own_prefix(),
        sandbox=sandbox.url() if g.tenant.kind == "live" else None,
        keys=queries.keys_of(g.business.id),
        secret=secret,
        refusal=refusal,
        scope_name=scope_name,
        now=clock.now(),
        status=status,
    )


def _own_key(key_id: UUID) -> None:
    get_or_404(select(ApiKey).where(ApiKey.business_id == g.business.id), key_id)


def _to_list() -> Response:
    return redirect(url_for("partners_desk.keys", business=g.business.slug), code=303)
