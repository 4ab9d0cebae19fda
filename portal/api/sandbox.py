"""A sandbox: a tenant whose clock may be moved and whose numbers count nowhere, with what the examples of the API name."""

from flask import g

from portal.api.schemas import EXAMPLE_CARD
from portal.identity import cards
from portal.identity.service import register_member
from portal.kernel.commands import command
from portal.partners.keys import SCOPES, create_key
from portal.partners.service import create_business
from portal.settings import settings
from portal.tenants import hosts

SLUG = "sandbox"


@command("sandbox.furnish")
def furnish() -> str:
    """Inside a new sandbox: the shop and the member of the examples; returns a test key with every scope."""
    shop = create_business(slug="test-shop", name="Test shop", category="food", currency=g.tenant.currency)
    card = cards.valid_card(EXAMPLE_CARD)
    register_member(name="Testa Example", card_number=card, joined_via="cli", historical=True)
    return create_key(shop, "Test key", [str(scope) for scope in SCOPES])[1]


def url() -> str | None:
    """The address of this installation's sandbox, for whoever reads the docs elsewhere; None when there is none."""
    config = settings()
    found = hosts.tenant_at(f"{SLUG}.{config.PUBLIC_HOST or config.BASE_DOMAIN}")
    if found is None or found.kind != "sandbox":
        return None
    return found.base_url
