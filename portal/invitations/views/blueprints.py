"""The blueprints of this noun."""

from portal.kernel.authz import PortalBlueprint

invited = PortalBlueprint("invited", "portal.invitations", room="public")
admin = PortalBlueprint("invitations_admin", "portal.invitations", room="admin", url_prefix="/admin/invitations")
shop = PortalBlueprint("invitations_desk", "portal.invitations", room="desk", url_prefix="/desk/<business>/invitations")
