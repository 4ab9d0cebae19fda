"""Which roles must have a second factor: the tenant's choice (security.md 7)."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select, text

from portal.extensions import db
from portal.identity import sessions
from portal.identity.factors import REQUIRED
from portal.identity.models import CustomRole
from portal.kernel.commands import command, journal
from portal.kernel.tenancy import current_tenant_id
from portal.tenants.change import put_setting

ROLES = ("admin", "finance", "support", "editor", "owner", "manager", "cashier", "member")
SETTING = "second_factor"
NOT_REQUIRED = "not_required"
_HALVE = text("""
UPDATE device_sessions d SET state = 'half', proved_at = NULL, expires_at = least(d.expires_at, clock_timestamp() + :life)
 WHERE d.tenant_id = :tenant AND d.state = 'full' AND d.revoked_at IS NULL
   AND d.amr NOT LIKE '%swk' AND d.impersonator_id IS NULL
   AND (:everybody
        OR EXISTS (SELECT 1 FROM tenant_roles r
                    WHERE r.tenant_id = d.tenant_id AND r.user_id = d.user_id AND r.role = ANY(:roles))
        OR EXISTS (SELECT 1 FROM business_staff f WHERE f.tenant_id = d.tenant_id AND f.user_id = d.user_id
                      AND f.archived_at IS NULL AND f.role = ANY(:roles))
        OR EXISTS (SELECT 1 FROM role_assignments a
                    WHERE a.tenant_id = d.tenant_id AND a.user_id = d.user_id AND a.role_id::text = ANY(:roles)))
   AND NOT EXISTS (SELECT 1 FROM two_factor_methods m WHERE m.tenant_id = d.tenant_id AND m.user_id = d.user_id
                      AND m.confirmed_at IS NOT NULL)
RETURNING d.id
""")


def wanted(settings: Mapping[str, Any]) -> list[str]:
    """The roles of which a tenant with these settings wants a second factor, as `require_factor` takes them."""
    said = settings.get(SETTING, {})
    own = (str(one) for one in db.session.scalars(select(CustomRole.id)))
    return [role for role in (*ROLES, *own) if said.get(role, None if role in ROLES else said.get("admin")) == REQUIRED]


@command("security.require_factor")
def require_factor(roles: Collection[str]) -> int:
    """Want a second factor of these roles and of no others: frozen ones by name, the tenant's own by id; `member` is everybody.

    Whoever has such a role, no factor, and is signed in is led to make one at their next page (S4). Returns how many
    sessions that were. The caller drops `hosts`' memory after the commit.
    """
    own = [str(one) for one in db.session.scalars(select(CustomRole.id).order_by(CustomRole.id))]
    kept = {role: REQUIRED for role in ROLES if role in roles}
    put_setting(SETTING, kept | {role: REQUIRED if role in roles else NOT_REQUIRED for role in own})
    values = {
        "tenant": current_tenant_id(),
        "roles": list(roles),
        "everybody": "member" in roles,
        "life": sessions.LIVES["half"][1],
    }
    halved = len(db.session.execute(_HALVE, values).all())
    journal().about("tenant", current_tenant_id())
    return halved
