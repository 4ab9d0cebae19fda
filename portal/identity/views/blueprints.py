"""The blueprints of this noun."""

from portal.kernel.authz import PortalBlueprint

identity = PortalBlueprint("identity", "portal.identity", room="member")
admin = PortalBlueprint("identity_admin", "portal.identity", room="admin", url_prefix="/admin/members")
roles_admin = PortalBlueprint("roles_admin", "portal.identity", room="admin", url_prefix="/admin/roles")
