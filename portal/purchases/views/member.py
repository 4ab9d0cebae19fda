"""What a member sees of purchases: the code that lets a shop take bonus, and why a purchase earned what it did."""

from uuid import UUID

from flask import abort
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.kernel.authz import LOGIN, PortalBlueprint
from portal.purchases import confirmations, queries
from portal.purchases.views.trace import steps
from portal.web.fragments import render

purchases = PortalBlueprint("purchases", __name__, room="member", url_prefix="/me")


@purchases.route("/spend-code", permission=LOGIN)
def spend_code() -> Response:
    """The six digits to say at the till, while a shop is asking."""
    return render("till/spend_code.html", fragment="codes", codes=confirmations.open_codes(current_user.id))


@purchases.route("/purchases/<uuid:purchase_id>/why", permission=LOGIN)
def why(purchase_id: UUID) -> Response:
    """Why this purchase of mine earned so much."""
    row = queries.purchase(purchase_id)
    if row is None or row.member_id != current_user.id:
        abort(404)
    return render("till/why_member.html", purchase=row, steps=steps(row.trace.get("earn", {})))
