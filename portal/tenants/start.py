"""Opening a tenant: its row and hosts, the four default tiers, and who is to look after it."""

from uuid import UUID

from portal.kernel.tenancy import tenant_scope
from portal.settings import MAIN
from portal.tenants.hosts import tenant_by_id
from portal.tenants.service import create_tenant


def open_tenant(
    slug: str,
    *,
    name: str,
    currency: str,
    timezone: str,
    locales: tuple[str, ...],
    kind: str,
    domains: tuple[str, ...] = (),
    admin: tuple[str, str] | None = None,
    businesses: tuple[str, ...] = (),
    brand: dict[str, object] | None = None,
    primary: str = MAIN,
) -> str:
    """Make the tenant usable at once; `businesses` are `slug` or `slug=Name`. Returns its address."""
    from flask import g

    from portal.identity.roles import grant_role
    from portal.identity.service import register_member
    from portal.loyalty.service import create_default_program
    from portal.partners.service import create_business

    tenant_id: UUID = create_tenant(
        slug,
        name=name,
        currency=currency,
        timezone=timezone,
        locales=locales,
        kind=kind,
        domains=domains,
        brand=brand,
        primary=primary,
    )
    with tenant_scope(tenant_id):
        g.tenant = tenant = tenant_by_id(tenant_id)
        create_default_program(currency)
        for item in businesses:
            business_slug, _, title = item.partition("=")
            create_business(slug=business_slug, name=title or business_slug.title(), category="", currency=currency)
        if admin:
            member_id = register_member(
                name=admin[0].partition("@")[0], email=admin[0], password=admin[1], joined_via="cli"
            )
            grant_role(member_id, "admin")
    return tenant.base_url
