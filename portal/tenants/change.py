"""What a tenant's admin may change of the tenant (audited)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from portal.extensions import db
from portal.kernel.commands import command, journal
from portal.kernel.tenancy import current_tenant_id
from portal.tenants import hosts

_FIELDS = ("name", "timezone", "default_locale", "locales")


@command("tenant.update")
def update_tenant(before: Any, values: Mapping[str, Any]) -> None:
    """Set name, time zone, languages and brand; `before` is what the page was made from."""
    tenant_id = current_tenant_id()
    statement = text(
        "UPDATE tenants SET name = :name, timezone = :timezone, default_locale = :default_locale, locales = :locales,"
        " brand = cast(:brand AS jsonb) WHERE id = :id"
    )
    import json

    db.session.execute(
        statement, {**{f: values[f] for f in _FIELDS}, "brand": json.dumps(values["brand"]), "id": tenant_id}
    )
    changed = {f: [getattr(before, f), values[f]] for f in (*_FIELDS, "brand") if getattr(before, f) != values[f]}
    journal().note("tenants", tenant_id, changed)
    journal().about("tenant", tenant_id)
    hosts.forget()


@command("tenant.move_clock")
def move_clock(days: int) -> None:
    """Move a sandbox tenant's clock; a live tenant's cannot move (the database refuses)."""
    tenant_id = current_tenant_id()
    db.session.execute(
        text("UPDATE tenants SET clock_offset = clock_offset + :days WHERE id = :id AND kind = 'sandbox'"),
        {"days": timedelta(days=days), "id": tenant_id},
    )
    journal().note("tenants", tenant_id, {"clock_offset": [None, f"+{days} d"]})
    journal().about("tenant", tenant_id)
    hosts.forget()
