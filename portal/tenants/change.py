"""What a tenant's admin may change of the tenant (audited). The caller drops `hosts`' memory after the commit."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from portal.extensions import db
from portal.kernel.commands import command, journal
from portal.kernel.errors import NotFound
from portal.kernel.tenancy import current_tenant_id

FIELDS = ("name", "timezone", "default_locale", "locales", "brand", "settings")
_READ = text(f"SELECT {', '.join(FIELDS)}, kind, clock_offset FROM tenants WHERE id = :id FOR UPDATE")
_WRITE = text("""
UPDATE tenants SET name = :name, timezone = :timezone, default_locale = :default_locale, locales = :locales,
       brand = cast(:brand AS jsonb), settings = cast(:settings AS jsonb)
 WHERE id = :id
""")
_PUT = text("UPDATE tenants SET settings = cast(:settings AS jsonb) WHERE id = :id")
_MOVE = text("UPDATE tenants SET clock_offset = :offset WHERE id = :id")


@command("tenant.update")
def update_tenant(*, region: str, **values: Any) -> None:
    """Set name, time zone, languages, brand and the region of telephone numbers; the rest of `settings` stays."""
    tenant_id = current_tenant_id()
    before = db.session.execute(_READ, {"id": tenant_id}).one()
    after = {**values, "settings": _with(before.settings, region)}
    changed = {name: [getattr(before, name), after[name]] for name in FIELDS if getattr(before, name) != after[name]}
    if not changed:
        journal().unchanged()
        return
    plain = {name: json.dumps(after[name]) if name in {"brand", "settings"} else after[name] for name in FIELDS}
    db.session.execute(_WRITE, {**plain, "id": tenant_id})
    journal().note("tenants", tenant_id, changed)
    journal().about("tenant", tenant_id)


def locked_settings() -> dict[str, Any]:
    """The tenant's `settings` as they are, the row held until the transaction ends."""
    settings: dict[str, Any] = db.session.execute(_READ, {"id": current_tenant_id()}).one().settings
    return settings


@command("tenant.set")
def put_setting(name: str, value: Any) -> None:
    """Set one entry of the tenant's `settings`; the caller drops `hosts`' memory after the commit."""
    tenant_id = current_tenant_id()
    before = db.session.execute(_READ, {"id": tenant_id}).one().settings
    if before.get(name) == value:
        journal().unchanged()
        return
    db.session.execute(_PUT, {"settings": json.dumps({**before, name: value}), "id": tenant_id})
    journal().note("tenants", tenant_id, {f"settings.{name}": [before.get(name), value]})
    journal().about("tenant", tenant_id)


def _with(settings: Mapping[str, Any], region: str) -> dict[str, Any]:
    kept = {name: value for name, value in settings.items() if name != "region"}
    return {**kept, "region": region} if region else kept


@command("tenant.move_clock")
def move_clock(days: int) -> None:
    """Move a sandbox tenant's clock forward. Raises `NotFound` for a live tenant, whose clock cannot move."""
    tenant_id = current_tenant_id()
    before = db.session.execute(_READ, {"id": tenant_id}).one()
    if before.kind != "sandbox":
        raise NotFound
    after = before.clock_offset + timedelta(days=days)
    db.session.execute(_MOVE, {"offset": after, "id": tenant_id})
    journal().note("tenants", tenant_id, {"clock_offset": [str(before.clock_offset), str(after)]})
    journal().about("tenant", tenant_id)
