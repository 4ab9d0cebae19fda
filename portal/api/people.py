"""Finding the member that a call speaks of."""

from uuid import UUID

from flask_babel import gettext

from portal.identity import queries
from portal.identity.queries import MemberRow
from portal.kernel.errors import PortalError


class MemberUnknown(PortalError):
    """Nobody of this community is named so."""

    code, status = "member.unknown", 404


def named(text: str) -> MemberRow | None:
    """The member with this id, card, phone or e-mail."""
    if "\x00" in text:
        return None
    try:
        return queries.member(UUID(text))
    except ValueError:
        return queries.find_member(text)


def named_in_body(text: str) -> MemberRow:
    """The same for a field of a call. Raises `MemberUnknown`."""
    found = named(text)
    if found is None:
        raise MemberUnknown(gettext("No member has this card, phone, e-mail or id."), field="member")
    return found
