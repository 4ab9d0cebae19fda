"""Which roles must have a second factor: the tenant's choice (security.md 7)."""

from collections.abc import Collection

from sqlalchemy import text

from portal.extensions import db
from portal.identity import sessions
from portal.kernel.commands import command, journal
from portal.kernel.tenancy import current_tenant_id
from portal.tenants.change import put_setting

ROLES = ("admin", "finance", "support", "editor", "owner", "manager", "cashier", "member")
SETTING = "second_factor"
_HALVE = text("""
UPDATE device_sessions d SET state = 'half', proved_at = NULL, expires_at = least(d.expires_at, clock_timestamp() + :life)
 WHERE d.tenant_id = :tenant AND d.state = 'full' AND d.revoked_at IS NULL
   AND d.amr NOT LIKE '%swk' AND d.impersonator_id IS NULL
   AND (:everybody
        OR EXISTS (SELECT 1 FROM tenant_roles r
                    WHERE r.tenant_id = d.tenant_id AND r.user_id = d.user_id AND r.role = ANY(:roles))
        OR EXISTS (SELECT 1 FROM business_staff f WHERE f.tenant_id = d.tenant_id AND f.user_id = d.user_id
                      AND f.archived_at IS NULL AND f.role = ANY(:roles)))
   AND NOT EXISTS (SELECT 1 FROM two_factor_methods m WHERE m.tenant_id = d.tenant_id AND m.user_id = d.user_id
                      AND m.confirmed_at IS NOT NULL)
RETURNING d.id
""")


@command("security.require_factor")
def require_factor(roles: Collection[str]) -> int:
    """Want a second factor of these roles and of no others; `member` is everybody.

    Whoever has such a role, no factor, and is signed in is led to make one at their next page (S4). Returns how many
    sessions that were. The caller drops `hosts`' memory after the commit.
    """
    put_setting(SETTING, {role: "required" for role in ROLES if role in roles})
    values = {
        "tenant": current_tenant_id(),
        "roles": list(roles),
        "everybody": "member" in roles,
        "life": sessions.LIVES["half"][1],
    }
    halved = len(db.session.execute(_HALVE, values).all())
    journal().about("tenant", current_tenant_id())
    return halved
