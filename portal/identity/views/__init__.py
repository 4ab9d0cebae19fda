"""People's pages: the door, the member's own, the admin's."""

from portal.identity.views import (
    agreeing,
    asking,
    card,
    contact,
    door,
    factors,
    me,
    member,
    members,
    notes,
    resetting,
    roles,
    rules,
    second,
    security,
    sharing,
)
from portal.identity.views.blueprints import admin, identity, roles_admin
from portal.identity.views.rules import settings

__all__ = [
    "admin",
    "agreeing",
    "asking",
    "card",
    "contact",
    "door",
    "factors",
    "identity",
    "me",
    "member",
    "members",
    "notes",
    "resetting",
    "roles",
    "roles_admin",
    "rules",
    "second",
    "security",
    "settings",
    "sharing",
]
