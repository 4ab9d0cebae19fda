"""People's pages: the door, the member's own, the admin's."""

from portal.identity.views import card, door, factors, me, member, members, second, security
from portal.identity.views.blueprints import admin, identity

__all__ = ["admin", "card", "door", "factors", "identity", "me", "member", "members", "second", "security"]
