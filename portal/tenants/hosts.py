"""The host names the tenant: an exact look-up and nothing else (security.md 2, D10)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from cachetools import TTLCache
from flask import abort, current_app, g, request
from sqlalchemy import text

from portal.kernel.connect import own_transaction
from portal.settings import settings

OPS_LABEL = "ops"
FRESH_S = 5  # how long a process may show an old brand or name
_known: TTLCache[str, "TenantView | None"] = TTLCache(maxsize=2048, ttl=FRESH_S)
_FIND = text(
    "SELECT t.id, t.slug, t.name, t.kind, t.currency, t.timezone, t.default_locale, t.locales, t.modules, t.clock_offset,"
    " t.brand, t.settings, coalesce((SELECT p.host FROM tenant_domains p WHERE p.tenant_id = t.id AND p.primary LIMIT 1),"
    " d.host) AS host FROM tenant_domains d JOIN tenants t ON t.id = d.tenant_id"
    " WHERE d.host = :host AND d.status = 'active'"
)


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


def is_ops(host: str) -> bool:
    """Whether the host is the operator's room."""
    return host in {f"{OPS_LABEL}.{settings().BASE_DOMAIN}", f"{OPS_LABEL}.{settings().PUBLIC_HOST}"}


def tenant_at(host: str) -> TenantView | None:
    """The tenant of a host, remembered for five seconds a process."""
    name = plain_host(host)
    if not name:
        return None
    if name not in _known:
        _known[name] = _look_up(_FIND, {"host": name})
    return _known[name]


def tenant_by_id(tenant_id: UUID) -> TenantView:
    """The tenant as jobs and commands see it."""
    key = str(tenant_id)
    if _known.get(key) is None:
        by_id = text(
            str(_FIND).replace("d.host = :host AND d.status = 'active'", "t.id = :id ORDER BY d.primary DESC LIMIT 1")
        )
        found = _look_up(by_id, {"id": tenant_id})
        if found is None:
            raise LookupError(f"no tenant {tenant_id} with an address")
        _known[key] = found
    tenant = _known[key]
    assert tenant is not None  # noqa: S101
    return tenant


def forget() -> None:
    """Drop what is remembered, after a tenant was changed in this process."""
    _known.clear()


def _look_up(statement: Any, values: dict[str, Any]) -> TenantView | None:
    with own_transaction() as connection:
        row = connection.execute(statement, values).one_or_none()
    return TenantView(**row._mapping) if row else None


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
