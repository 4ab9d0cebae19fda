"""People's pages: the door, the member's own, the admin's."""

from portal.identity.views import card, door, factors, me, member, members, roles, rules, second, security
from portal.identity.views.blueprints import admin, identity, roles_admin
from portal.identity.views.rules import settings

__all__ = [
    "admin",
    "card",
    "door",
    "factors",
    "identity",
    "me",
    "member",
    "members",
    "roles",
    "roles_admin",
    "rules",
    "second",
    "security",
    "settings",
]
