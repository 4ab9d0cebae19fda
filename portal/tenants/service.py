"""Tenants are made through one narrow way in the database, and looked after by their admins.

The process that answers the operator's browser may not write `tenants`, and does not hold the owner's password. It may
call `platform.open_tenant`, which inserts one tenant and its hosts and can do nothing else; its owner has no login. A
queued job under the owner's login would do too, but then a process that reads a queue could alter the whole database.
"""

from typing import Any
from uuid import UUID

import psycopg
from flask_babel import gettext
from psycopg.types.json import Jsonb

from portal.kernel import money
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id
from portal.kernel.primaries import connect, names
from portal.settings import MAIN, settings
from portal.tenants import hosts, slugs
from portal.tenants.starters import MODULES
from portal.web.locale import supported

BRAND = {"hue": 264, "chroma": 0.16, "lightness": 45, "mark": "ring"}
_OPEN = "SELECT platform.open_tenant(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


class SlugTaken(Exception):
    """A tenant with this slug, or with one of these hosts, exists."""


class SlugRefused(PortalError):
    """No tenant may be called this; the text says why."""

    code = "tenant.slug_refused"


def create_tenant(
    slug: str,
    *,
    name: str,
    currency: str,
    timezone: str = "UTC",
    locales: tuple[str, ...] = (),
    kind: str = "live",
    brand: dict[str, Any] | None = None,
    domains: tuple[str, ...] = (),
    modules: tuple[str, ...] = MODULES,
    primary: str = MAIN,
    role: str = "portal_owner",
    key: str | None = None,
    opening: dict[str, Any] | None = None,
) -> UUID:
    """A new tenant with its hosts and currency; `role` is portal_owner or portal_platform. Raises `SlugTaken`.

    Without `locales` it speaks every language of the portal. On the primary named; a slug or host that any primary knows is taken. The same `key` again gives the same tenant. With
    `opening`, what `start.finish` is to do for it, it answers nobody before that is done.
    """
    kinds = money.currency(currency)
    config = settings()
    hosts_wanted = (f"{slug}.{config.PUBLIC_HOST or config.BASE_DOMAIN}", *domains)
    _refuse_taken(slug, hosts_wanted, primary, role)
    with connect(role, primary) as connection:
        values = (
            new_id(), slug, name, kind, currency, kinds.exponent, kinds.kind, timezone, list(locales or supported()), list(modules),
            Jsonb(brand or BRAND), list(hosts_wanted), key, Jsonb(opening) if opening is not None else None,
        )  # fmt: skip
        try:
            row = connection.execute(_OPEN, values).fetchone()
        except psycopg.errors.UniqueViolation as error:
            raise SlugTaken(slug) from error
    assert row is not None  # noqa: S101  a function's value
    hosts.forget()
    tenant_id: UUID = row[0]
    return tenant_id


def refuse_slug(slug: str, *, key: str | None = None) -> None:
    """A slug that people may type and trust: well formed, not reserved, like no other. Raises `SlugRefused`.

    `key` is the form's own: the tenant that it made a moment ago is not in its way.
    """
    if not slugs.well_formed(slug):
        raise SlugRefused(gettext("Small Latin letters, digits and hyphens inside, 32 at most."))
    if slugs.reserved(slug):
        raise SlugRefused(gettext("This name is kept for the installation itself."))
    looks = slugs.skeleton(slug)
    for other, others_key in _slugs():
        if key and others_key == key:
            continue
        if other == slug:
            raise SlugRefused(gettext("There is a tenant of this name already."))
        if slugs.skeleton(other) == looks:
            raise SlugRefused(gettext("This looks like %(other)s: people would take one for the other.", other=other))


def _slugs() -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for primary in names():
        with connect("portal_platform", primary) as connection:
            found += connection.execute("SELECT slug, opening_key FROM tenants").fetchall()
    return found


def _refuse_taken(slug: str, wanted: tuple[str, ...], primary: str, role: str) -> None:
    for other in names():
        if other == primary:
            continue
        with connect(role, other) as connection:
            if connection.execute(
                "SELECT 1 FROM tenants WHERE slug = %s UNION ALL SELECT 1 FROM tenant_domains WHERE host = ANY (%s)",
                (slug, list(wanted)),
            ).fetchone():
                raise SlugTaken(slug)
