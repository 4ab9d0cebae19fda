"""The two blueprints of this noun."""

from portal.kernel.authz import PortalBlueprint

admin = PortalBlueprint("partners_admin", "portal.partners", room="admin", url_prefix="/admin/businesses")
desk = PortalBlueprint("partners_desk", "portal.partners", room="desk", url_prefix="/desk/<business>")
