"""Pages of businesses: the admin's, and the owner's for staff and keys."""

from portal.partners.views import businesses, keys, staff
from portal.partners.views.blueprints import admin, desk

__all__ = ["admin", "businesses", "desk", "keys", "staff"]
