"""People's pages: the door, the member's own, the admin's."""

from portal.identity.views import card, door, me, member, members, security
from portal.identity.views.blueprints import admin, identity

__all__ = ["admin", "card", "door", "identity", "me", "member", "members", "security"]
