"""Pages of invitations: the link's own, the admin's, a shop's."""

from portal.invitations.views import admin as _admin
from portal.invitations.views import coming, desk
from portal.invitations.views.blueprints import admin, invited, shop

__all__ = ["_admin", "admin", "coming", "desk", "invited", "shop"]
