"""Tenants are made by the installation's owner, and looked after by their admins."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from portal.kernel import money
from portal.kernel.model import new_id
from portal.kernel.primaries import connect, names
from portal.settings import MAIN, settings
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
    primary: str = MAIN,
) -> UUID:
    """A new tenant with its hosts and currency; runs as portal_owner, the only role that may. Raises `SlugTaken`.

    On the primary named; a slug or host that any primary knows is taken.
    """
    kinds = money.currency(currency)
    config = settings()
    tenant_id = new_id()
    hosts_wanted = (f"{slug}.{config.PUBLIC_HOST or config.BASE_DOMAIN}", *domains)
    _refuse_taken(slug, hosts_wanted, primary)
    with connect("portal_owner", primary) as connection:
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
        for n, host in enumerate(hosts_wanted):
            connection.execute(
                'INSERT INTO tenant_domains (host, tenant_id, "primary") VALUES (%s, %s, %s) ON CONFLICT (host) DO NOTHING',
                (host, tenant_id, n == 0),
            )
    hosts.forget()
    return tenant_id


def _refuse_taken(slug: str, wanted: tuple[str, ...], primary: str) -> None:
    for other in names():
        if other == primary:
            continue
        with connect("portal_owner", other) as connection:
            if connection.execute(
                "SELECT 1 FROM tenants WHERE slug = %s UNION ALL SELECT 1 FROM tenant_domains WHERE host = ANY (%s)",
                (slug, list(wanted)),
            ).fetchone():
                raise SlugTaken(slug)
