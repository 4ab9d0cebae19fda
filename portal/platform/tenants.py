"""What the operator does to a tenant: open it, stop it, let it go on, set its terms, name its owner, see to its addresses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from flask import g
from psycopg.types.json import Jsonb

from portal.kernel.primaries import home_of
from portal.kernel.tenancy import tenant_scope
from portal.platform import audit
from portal.platform.database import connected
from portal.settings import MAIN
from portal.tenants import domains, hosts, owner, start, starters
from portal.tenants.service import create_tenant, refuse_slug


def open_one(
    operator_id: UUID,
    *,
    key: str,
    slug: str,
    name: str,
    currency: str,
    timezone: str,
    locales: tuple[str, ...],
    kind: str,
    starter: str,
    admin: str,
    primary: str = MAIN,
) -> UUID:
    """A tenant that is usable when this returns; the same `key` twice, at once or after a crash, is one tenant.

    `admin` gets an invitation by mail. Raises `SlugRefused`, `SlugTaken`.
    """
    refuse_slug(slug, key=key)
    tenant_id = create_tenant(
        slug,
        name=name,
        currency=currency,
        timezone=timezone,
        locales=locales,
        kind=kind,
        modules=starters.named(starter).modules,
        primary=primary,
        role="portal_platform",
        key=key,
        opening={"starter": starter, "business": name, "admin": admin},
    )
    audit.note("tenant.open", operator_id, tenant=slug, starter=starter)
    start.finish(tenant_id)
    return tenant_id


def suspend(operator_id: UUID, tenant: Any, reason: str) -> None:
    """Nobody signs in, no page and no call is answered, jobs wait; the reason is for operators."""
    call = ("SELECT platform.set_suspended(%s, %s)", tenant.id, reason)
    _act("tenant.suspend", operator_id, tenant, call, reason=reason)


def resume(operator_id: UUID, tenant: Any) -> None:
    """A suspended tenant goes on where it was."""
    _act("tenant.resume", operator_id, tenant, ("SELECT platform.set_suspended(%s, NULL)", tenant.id))


def set_terms(operator_id: UUID, tenant: Any, *, modules: list[str], limits: dict[str, int]) -> None:
    """Which modules the tenant may use, and how much of everything."""
    call = ("SELECT platform.set_terms(%s, %s, %s)", tenant.id, modules, Jsonb(limits))
    _act("tenant.set_terms", operator_id, tenant, call, modules=" ".join(modules), limits=limits)


def change_owner(operator_id: UUID, tenant: Any, email: str, *, keep: bool) -> None:
    """Another owner; the log of the room names both by their ids, the tenant's own log has the act too (D2).

    Raises what `owner.change_owner` raises.
    """
    with _inside(tenant):
        new, former = owner.change_owner(email, keep=keep)
    shown = {"owner": str(new), "former": str(former) if former else None, "stays_admin": keep}
    audit.note("tenant.change_owner", operator_id, tenant=tenant.slug, **shown)


def check_domain(operator_id: UUID, tenant: Any, claim_id: UUID) -> str:
    """Ask the DNS for a tenant now; returns '' when the claim is proved, else why not. Raises `NotFound`."""
    with _inside(tenant):
        failure = domains.verify(claim_id)
    audit.note("domain.check", operator_id, tenant=tenant.slug, domain=str(claim_id), answer=failure or "proved")
    return failure


def retire_domain(operator_id: UUID, tenant: Any, host: str) -> None:
    """A tenant's address only leads to its first one from now on. Raises `domains.DomainRefused` for the first itself."""
    with _inside(tenant):
        domains.then(domains.retire, host)
    audit.note("domain.retire", operator_id, tenant=tenant.slug, host=host)


@contextmanager
def _inside(tenant: Any) -> Iterator[None]:
    """Act for the tenant for a moment; its own log has the act too (D2)."""
    before = g.get("tenant")
    with tenant_scope(tenant.id):
        g.tenant = hosts.tenant_by_id(tenant.id)
        try:
            yield
        finally:
            g.tenant = before


def _act(action: str, operator_id: UUID, tenant: Any, call: tuple[Any, ...], **detail: Any) -> None:
    """An act and its line in the log, in one transaction (security.md 11).

    The log stands on `main`: for a tenant of another primary the line is there before the act, and one more where it failed.
    """
    home = home_of(tenant.id)
    statement, *values = call
    shown = {"tenant": tenant.slug, **detail}
    with connected() as connection:
        audit.write(connection, action, operator_id, **shown)
        if home == MAIN:
            connection.execute(statement, values)
    if home != MAIN:
        try:
            with connected(home) as connection:
                connection.execute(statement, values)
        except psycopg.Error:
            audit.note(action, operator_id, **shown, failed=True)
            raise
    hosts.forget()
