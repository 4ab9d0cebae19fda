"""Small endpoints: is the key right, and who is this member?"""

from typing import Any

from flask import abort, g, jsonify
from flask_openapi3 import Tag

from portal.api import people, shown
from portal.api.blueprint import ApiBlueprint
from portal.api.schemas import MemberOut, MemberPath, PingOut
from portal.api.words import _
from portal.kernel import clock
from portal.kernel.authz import LOGIN, Permission
from portal.loyalty import queries as loyalty
from portal.wallets import queries as wallets

blueprint = ApiBlueprint(
    "api",
    __name__,
    url_prefix="/api/v1",
    abp_security=[{"key": []}],
    operation_id_callback=lambda *, name, path, method: name,  # noqa: ARG005  the view's name, which is unique
)
ABOUT, MEMBERS = Tag(name=_("The key")), Tag(name=_("Members"))


@blueprint.get(
    "/ping",
    permission=LOGIN,
    tags=[ABOUT],
    summary=_("Is the key right?"),
    responses={200: PingOut},
    description=_("Answers with the tenant, the business and the scopes of the key. Any key in force may ask."),
)
def ping() -> Any:
    """The tenant, the business and the scopes of the key."""
    return jsonify(
        tenant=g.tenant.slug,
        business=g.business.slug,
        currency=g.business.currency,
        key=g.api_key.name,
        scopes=sorted(g.api_key.scopes),
        time=shown.moment(clock.now()),
    )


@blueprint.get(
    "/members/<card_or_phone>",
    permission=Permission.MEMBERS_FIND,
    tags=[MEMBERS],
    summary=_("Find a member"),
    description=_(
        "The member with this card, phone, e-mail or id, with balances in your currency. 404 when there is none.\n\n"
        "When two accounts of one person were merged, the card, phone, e-mail and id of the one that went find the one that"
        " stays: compare `id` with the one you asked for. Purchases of both answer with the `member_id` of the one that"
        " stays."
    ),
    responses={200: MemberOut},
)
def member(path: MemberPath) -> Any:
    """The member whom the address names (D28: or the one into whom they were merged)."""
    found = people.named(path.card_or_phone)
    if found is None:
        abort(404)
    return jsonify(
        id=found.id,
        name=found.name,
        card=found.card_number,
        tier=shown.tier(loyalty.tier_of(found.id)),
        currency=g.business.currency,
        balances=shown.balances(
            {b.type: b.posted for b in wallets.balances(found.id) if b.currency == g.business.currency},
            g.business.currency,
        ),
        suspended=found.suspended_at is not None,
    )
