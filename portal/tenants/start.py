"""Opening a tenant: its row and hosts first, then in one transaction all that makes it usable.

A process that dies between the two leaves a tenant that is `opening`: it answers nobody, and `finish` is called for it
again by whoever comes next, the second click of the same form or the periodic task.
"""

import json
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import money
from portal.kernel.commands import command, journal
from portal.kernel.failpoint import failpoint
from portal.kernel.tenancy import current_tenant_id, tenant_scope
from portal.settings import MAIN
from portal.tenants import hosts, starters
from portal.tenants.owner import name_owner, own
from portal.tenants.service import create_tenant
from portal.web.locale import spoken_in

_OPENING = text("SELECT opening FROM tenants WHERE id = :id AND status = 'opening' FOR UPDATE")
_SETTINGS = text("UPDATE tenants SET settings = settings || cast(:settings AS jsonb) WHERE id = :id")


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
    starter: str = "blank",
) -> str:
    """Make the tenant usable at once, for the command line; `businesses` are `slug` or `slug=Name`. Returns its address."""
    from portal.identity.roles import grant_role
    from portal.identity.service import register_member
    from portal.partners.service import create_business

    tenant_id = create_tenant(
        slug,
        name=name,
        currency=currency,
        timezone=timezone,
        locales=locales,
        kind=kind,
        domains=domains,
        brand=brand,
        primary=primary,
        modules=starters.named(starter).modules,
        opening={"starter": starter, "business": "" if businesses else name},
    )
    finish(tenant_id)
    with tenant_scope(tenant_id):
        g.tenant = tenant = hosts.tenant_by_id(tenant_id)
        for item in businesses:
            business_slug, _, title = item.partition("=")
            create_business(slug=business_slug, name=title or business_slug.title(), category="", currency=currency)
        if admin:
            member_id = register_member(
                name=admin[0].partition("@")[0], email=admin[0], password=admin[1], joined_via="cli"
            )
            grant_role(member_id, "admin")
            name_owner(member_id)
    return tenant.base_url


def finish(tenant_id: UUID) -> None:
    """Do what is still to be done for a tenant that is opening; nothing for one that is open."""
    failpoint("before_furnish")
    before = g.get("tenant")
    with tenant_scope(tenant_id):
        g.tenant = hosts.tenant_by_id(tenant_id)
        try:
            _furnish()
        finally:
            if before is None:
                g.pop("tenant")
            else:
                g.tenant = before
    hosts.forget()


@command("tenant.open")
def _furnish() -> None:
    """Tiers, a first business, roles, texts, the first admin and their invitation: all of it or nothing."""
    from portal.identity.roles import create_role, grant_role
    from portal.identity.service import register_member
    from portal.invitations.service import invite_owner
    from portal.loyalty.service import create_default_program
    from portal.partners.service import add_staff, create_business

    tenant_id = current_tenant_id()
    row = db.session.execute(_OPENING, {"id": tenant_id}).one_or_none()
    if row is None:
        journal().unchanged()
        return
    plan: dict[str, Any] = row.opening
    tenant, starter = g.tenant, starters.named(plan["starter"])
    unit = 10 ** money.currency(tenant.currency).exponent
    create_default_program(
        tenant.currency,
        [tier.from_ * unit for tier in starter.tiers],
        rates=[tier.rate for tier in starter.tiers],
        names=[(tier.code, tier.name) for tier in starter.tiers],
        bonus_expiry=starter.bonus_expiry,
        period=starter.period,
    )
    business_id = None
    if starter.business and plan.get("business"):
        business_id = create_business(
            slug="main", name=plan["business"], category=starter.business, currency=tenant.currency
        )
    for role in starter.roles:
        create_role(spoken_in(role.name, tenant.locales), role.reach, role.permissions)
    _put_settings({**starters.settings_of(starter, tuple(tenant.locales)), "first_steps": "open"})
    if plan.get("admin"):
        member_id = register_member(
            name=plan.get("admin_name") or plan["admin"].partition("@")[0],
            email=plan["admin"],
            locale=tenant.default_locale,
            joined_via="invitation",
            historical=True,  # the invitation is the only mail
        )
        grant_role(member_id, "admin")
        if business_id:
            add_staff(business_id, member_id, "owner")
        own(member_id)
        invite_owner(member_id)
    db.session.execute(text("SELECT platform.finish_opening()"))
    journal().note("tenants", tenant_id, ["status"])
    journal().about("tenant", tenant_id)


def _put_settings(values: dict[str, Any]) -> None:
    if values:
        db.session.execute(_SETTINGS, {"settings": json.dumps(values), "id": current_tenant_id()})


def left_open() -> list[UUID]:
    """Tenants that a process died over, on every primary that answers."""
    return [tenant_id for tenant_id, _ in hosts.tenants_that_answer("status = 'opening'")[0]]
