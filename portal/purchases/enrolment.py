"""Joining at the till: the shop's staff write down a name and a telephone of somebody who agreed to it."""

from uuid import UUID

from flask_babel import gettext

from portal.identity.service import register_member
from portal.kernel.commands import command, journal
from portal.kernel.errors import Conflict
from portal.purchases.forms import EnrolForm
from portal.web.forms import remember


@command("member.enrol_at_till")
def enrol_member(form: EnrolForm, business: str) -> UUID:
    """Register the person of the form; sending it twice is one member. Raises what `register_member` raises."""
    member_id = register_member(name=form.name.data or "", phone=form.phone.data, joined_via="till")
    journal().about("member", member_id)
    journal().reason("consent given at the till")
    if not remember(form, "purchases_till.member", business=business, member_id=member_id):
        raise Conflict(gettext("This form was sent already."))
    return member_id
