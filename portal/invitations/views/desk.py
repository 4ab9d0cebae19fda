"""A shop's invitations: its owner asks people to work there."""

from uuid import UUID

from flask import g, request, url_for
from flask_babel import gettext
from sqlalchemy import Select, select
from werkzeug.wrappers import Response

from portal.identity import labels, roles
from portal.identity.stepup import fresh, fresh_to_write
from portal.invitations import service
from portal.invitations.forms import PostForm
from portal.invitations.models import Invitation
from portal.invitations.views import listing
from portal.invitations.views.blueprints import shop
from portal.kernel.authz import BUSINESS_ROLES
from portal.kernel.authz import Permission as P
from portal.partners.queries import locations_of
from portal.web.fragments import render
from portal.web.lookup import get_or_404


@shop.route("", methods=["GET", "POST"], permission=P.STAFF_MANAGE)
@fresh_to_write
def invitations() -> Response:
    """Who was asked to work here, and asking one more."""
    form = PostForm(g.business.id, _roles(), locations_of(g.business.id))
    if request.method == "POST" and (led := listing.invite(form, _list())) is not None:
        return led
    status = 422 if form.errors else 200
    return render(
        "invitations/desk.html", fragment="invitations_list", form=form, status=status, **listing.found(g.business.id)
    )


@shop.route("/file", methods=["GET", "POST"], permission=P.STAFF_MANAGE)
@fresh
def table() -> Response:
    """Invite everybody of a list to work here."""
    return listing.people("invitations/desk_table.html", _list(), business_id=g.business.id)


@shop.route("/<uuid:invitation_id>/again", methods=["POST"], permission=P.STAFF_MANAGE)
def again(invitation_id: UUID) -> Response:
    row = get_or_404(_own(), invitation_id)
    said = gettext("A new link is on its way; the one before ends.")
    return listing.told(lambda: service.send_again(invitation_id), row, said, _list())


@shop.route("/<uuid:invitation_id>/withdrawal", methods=["POST"], permission=P.STAFF_MANAGE)
def withdraw(invitation_id: UUID) -> Response:
    row = get_or_404(_own(), invitation_id)
    said = gettext("Withdrawn: the link opens nothing any more.")
    return listing.told(lambda: service.withdraw(invitation_id), row, said, _list())


def _roles() -> list[tuple[str, str]]:
    """What may be offered here: the frozen roles and the circle's own, none with more than the inviter may do."""
    mine = roles.held_by(g.actor_id, g.business.id)
    frozen = [(name, labels.role(name)) for name, may in BUSINESS_ROLES.items() if mine.issuperset(may)]
    own = [one for one in roles.custom_roles() if one.reach == "business" and mine.issuperset(one.permissions)]
    return [*frozen, *((str(one.id), one.name) for one in own)]


def _own() -> Select[Invitation]:
    return select(Invitation).where(Invitation.business_id == g.business.id)


def _list() -> str:
    return url_for("invitations_desk.invitations", business=g.business.slug)
