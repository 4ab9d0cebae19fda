"""Tenants are made by the installation's owner, and looked after by their admins."""

from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from portal.kernel import money
from portal.kernel.model import new_id
from portal.settings import settings
from portal.tenants import hosts

BRAND = {"hue": 264, "chroma": 0.16, "lightness": 45, "mark": "ring"}
MODULES = ("loyalty", "till", "imports", "messages")


class SlugTaken(Exception):
    """A tenant with this slug exists."""


def create_tenant(
    slug: str,
    *,
    name: str,
    currency: str,
    timezone: str = "UTC",
    locales: tuple[str, ...] = ("en", "ru"),
    kind: str = "live",
    brand: dict[str, Any] | None = None,
    domains: tuple[str, ...] = (),
) -> UUID:
    """A new tenant with its hosts and currency; runs as portal_owner, the only role that may. Raises `SlugTaken`."""
    kinds = money.currency(currency)
    config = settings()
    tenant_id = new_id()
    with psycopg.connect(config.database_url("portal_owner")) as connection:
        made = connection.execute(
            "INSERT INTO tenants (id, slug, name, kind, currency, timezone, default_locale, locales, modules, brand)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (slug) DO NOTHING RETURNING id",
            (
                tenant_id,
                slug,
                name,
                kind,
                currency,
                timezone,
                locales[0],
                list(locales),
                list(MODULES),
                Jsonb(brand or BRAND),
            ),
        ).fetchone()
        if made is None:
            raise SlugTaken(slug)
        connection.execute(
            "INSERT INTO currencies VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (kinds.code, kinds.exponent, kinds.kind),
        )
        for n, host in enumerate((f"{slug}.{config.PUBLIC_HOST or config.BASE_DOMAIN}", *domains)):
            connection.execute(
                'INSERT INTO tenant_domains (host, tenant_id, "primary") VALUES (%s, %s, %s) ON CONFLICT (host) DO NOTHING',
                (host, tenant_id, n == 0),
            )
    hosts.forget()
    return tenant_id
