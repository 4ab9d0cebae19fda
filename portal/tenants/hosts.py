"""The host names the tenant: an exact look-up and nothing else (security.md 2, D10)."""

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from cachetools import TTLCache
from flask import abort, current_app, g, redirect, request
from flask_babel import gettext
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.kernel import primaries
from portal.kernel.errors import PortalError
from portal.settings import settings

OPS_LABEL = "ops"
SHOWN_SUSPENDED = {"static", "tenants.brand", "tenant_icons.icon"}
FRESH_S = 5  # how long a process may show an old brand or name
_lock = threading.Lock()  # the cache itself keeps no two threads apart
_known: TTLCache[str, "tuple[TenantView | None]"] = TTLCache(maxsize=2048, ttl=FRESH_S)
_FIND = text(
    "SELECT t.id, t.slug, t.name, t.kind, t.currency, t.timezone, t.default_locale, t.locales, t.modules, t.clock_offset,"
    " t.brand, t.settings, t.status, t.suspended_reason, t.allowed_modules, t.limits, d.status AS domain, coalesce((SELECT p.host FROM tenant_domains p WHERE p.tenant_id = t.id AND p.primary LIMIT 1),"
    " d.host) AS host FROM tenant_domains d JOIN tenants t ON t.id = d.tenant_id"
    " WHERE d.host = :host AND t.status <> 'opening'"
)


class Suspended(PortalError):
    """The operator has stopped this tenant: nobody signs in, no page and no call is answered, jobs wait."""

    code, status = "tenant.suspended", 503

    def __init__(self) -> None:
        super().__init__(gettext("This community is paused for now. Nothing is lost."), retry_after=3600)


@dataclass(frozen=True, slots=True)
class TenantView:
    """What a request needs to know of its tenant; `host` is the stored one, used in mails and QR codes."""

    id: UUID
    slug: str
    name: str
    kind: str
    currency: str
    timezone: str
    default_locale: str
    locales: list[str]
    modules: list[str]
    clock_offset: timedelta
    brand: dict[str, Any]
    settings: dict[str, Any]
    status: str
    suspended_reason: str | None
    allowed_modules: list[str]
    limits: dict[str, int]
    domain: str
    host: str

    @property
    def base_url(self) -> str:
        """The tenant's address as it stands in mails, never taken from a header (T5)."""
        return f"{settings().SCHEME}://{self.host}{settings().authority_port}"


def plain_host(raw: str) -> str:
    """A Host header as the table holds it: lower case, no port, no trailing dot; '' when it is no name."""
    name = raw.strip().lower()
    if name.startswith("["):
        name = name.partition("]")[0] + "]"
    else:
        name = name.partition(":")[0]
    name = name.removesuffix(".")
    try:
        return name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        return ""


def ops_url() -> str:
    """Where operators sign in."""
    config = settings()
    host = f"{OPS_LABEL}.{config.PUBLIC_HOST or config.BASE_DOMAIN}"
    return f"{config.SCHEME}://{host}{config.authority_port}/"


def is_ops(host: str) -> bool:
    """Whether the host is the operator's room."""
    return host in {f"{OPS_LABEL}.{settings().BASE_DOMAIN}", f"{OPS_LABEL}.{settings().PUBLIC_HOST}"}


def tenant_at(host: str) -> TenantView | None:
    """The tenant of a host, remembered for five seconds a process."""
    name = plain_host(host)
    if not name:
        return None
    if found := _remembered(name):
        return found[0]
    tenant = _look_up(name, _FIND, {"host": name})
    _remember(name, tenant)
    return tenant


def tenant_by_id(tenant_id: UUID) -> TenantView:
    """The tenant as jobs and commands see it."""
    key = str(tenant_id)
    found = _remembered(key)
    tenant = found[0] if found else None
    if tenant is None:
        by_id = text(
            str(_FIND).replace("d.host = :host AND t.status <> 'opening'", "t.id = :id ORDER BY d.primary DESC LIMIT 1")
        )
        tenant = _look_up(tenant_id, by_id, {"id": tenant_id})
        if tenant is None:
            raise LookupError(f"no tenant {tenant_id} with an address")
        _remember(key, tenant)
    return tenant


def _remembered(key: str) -> tuple[TenantView | None] | None:
    """One look, since between two the clock or another thread may forget it; None when it has to be asked for."""
    with _lock:
        return _known.get(key)


def _remember(key: str, tenant: TenantView | None) -> None:
    with _lock:
        _known[key] = (tenant,)


def forget() -> None:
    """Drop what is remembered, after a tenant was changed in this process."""
    with _lock:
        _known.clear()
    primaries.forget()


def every_tenant() -> list[tuple[UUID, str]]:
    """Id and slug of the tenants of every primary; one that does not answer is raised when the others were asked."""
    found, down = tenants_that_answer("true")
    if down:
        raise down
    return found


def tenants_that_answer(which: str = "status = 'active'") -> tuple[list[tuple[UUID, str]], Exception | None]:
    """Those that are open and not suspended, without the ones of a primary that is down; its error goes with them."""
    found: list[tuple[UUID, str]] = []
    down: Exception | None = None
    for primary in primaries.names():
        try:
            with primaries.own_transaction(primary) as connection:
                rows = connection.execute(text(f"SELECT id, slug FROM tenants WHERE {which} ORDER BY slug")).all()
        except (OperationalError, PoolTimeout) as error:
            down = error
            continue
        for row in rows:
            primaries.settle(row.id, primary)
            found.append((row.id, row.slug))
    return sorted(found, key=lambda pair: pair[1]), down


def tenant_named(slug: str) -> UUID | None:
    """The tenant of this slug, on whatever primary."""
    ask = text("SELECT id FROM tenants WHERE slug = :slug")
    found = primaries.search(slug, lambda connection: connection.execute(ask, {"slug": slug}).scalar())
    return found[1] if found else None


def _look_up(key: Any, statement: Any, values: dict[str, Any]) -> TenantView | None:
    found = primaries.search(key, lambda connection: connection.execute(statement, values).one_or_none())
    if found is None:
        return None
    primary, row = found
    primaries.settle(row.id, primary)
    return TenantView(**row._mapping)


def enter_tenant() -> None:
    """Before each request: whose house is this? An unknown host shows nothing of any tenant."""
    host = plain_host(request.host)
    if is_ops(host):
        g.ops = True
        return
    tenant = tenant_at(request.host)
    if tenant is None:
        g.unknown_host = True
        if request.endpoint in current_app.extensions["any_host"]:
            return
        abort(404)
    g.tenant, g.tenant_id = tenant, tenant.id
    if request.endpoint in current_app.extensions["any_host"]:
        return
    if tenant.status == "suspended" and request.endpoint not in SHOWN_SUSPENDED:
        raise Suspended
    if tenant.domain == "retired" and not request.path.startswith("/.well-known/"):
        abort(redirect(tenant.base_url + request.full_path.rstrip("?"), code=308))
