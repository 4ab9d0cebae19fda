"""A tenant's look, its settings, its legal pages and addresses."""

from portal.tenants.views.addresses import addresses
from portal.tenants.views.brand import brand_admin
from portal.tenants.views.icons import icons
from portal.tenants.views.legal import legal, legal_admin
from portal.tenants.views.plan import plan
from portal.tenants.views.settings import admin, blueprint
from portal.tenants.views.texts import announcements, texts
from portal.tenants.views.versions import versions

__all__ = [
    "addresses",
    "admin",
    "announcements",
    "blueprint",
    "brand_admin",
    "icons",
    "legal",
    "legal_admin",
    "plan",
    "texts",
    "versions",
]
