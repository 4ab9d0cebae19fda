"""A sandbox: a tenant whose clock may be moved and whose numbers count nowhere, with what the examples of the API name."""

import hashlib

from flask import g
from sqlalchemy import select

from portal.api.schemas import EXAMPLE_CARD
from portal.extensions import db
from portal.identity import cards
from portal.identity.service import register_member
from portal.identity.sessions import acting_as
from portal.kernel.commands import command, journal
from portal.kernel.tenancy import tenant_scope
from portal.partners.keys import SCOPES, create_key, revoke_key
from portal.partners.models import ApiKey, Business
from portal.partners.service import create_business
from portal.settings import settings
from portal.tenants import hosts

SLUG = "sandbox"
LONGEST = 27  # of 40, with what keeps two shops of one name apart


@command("sandbox.furnish")
def furnish() -> str:
    """Inside a new sandbox: the shop and the member of the examples; returns a test key with every scope."""
    shop = create_business(slug="test-shop", name="Test shop", category="food", currency=g.tenant.currency)
    card = cards.valid_card(EXAMPLE_CARD)
    register_member(name="Testa Example", card_number=card, joined_via="cli", historical=True)
    return create_key(shop, "Test key", [str(scope) for scope in SCOPES])[1]


def test_key(shop: str, name: str) -> str | None:
    """A test key for a live business, which gets a shop of its own in the sandbox; the key before it ends. None without a sandbox."""
    found, live = _tenant(), g.tenant
    if found is None:
        return None
    apart = hashlib.sha256(f"{live.id}/{shop}".encode()).hexdigest()[:12]  # two communities may have a shop of one name
    slug = f"{shop[:LONGEST]}-{apart}"
    with tenant_scope(found.id), acting_as(None, "system"):
        g.tenant = found
        try:
            return _test_key(slug, name)
        finally:
            g.tenant = live


@command("sandbox.test_key")
def _test_key(slug: str, name: str) -> str:
    shop = db.session.scalar(select(Business.id).where(Business.slug == slug).with_for_update())
    if shop is None:
        shop = create_business(slug=slug, name=name, category="", currency=g.tenant.currency)
    for old in db.session.scalars(select(ApiKey.id).where(ApiKey.business_id == shop, ApiKey.revoked_at.is_(None))):
        revoke_key(old)
    made, secret = create_key(shop, "Test key", [str(scope) for scope in SCOPES])
    journal().about("api_key", made)
    return secret


def url() -> str | None:
    """The address of this installation's sandbox, for whoever reads the docs elsewhere; None when there is none."""
    found = _tenant()
    return found.base_url if found else None


def _tenant() -> hosts.TenantView | None:
    config = settings()
    found = hosts.tenant_at(f"{SLUG}.{config.PUBLIC_HOST or config.BASE_DOMAIN}")
    return found if found and found.kind == "sandbox" else None
