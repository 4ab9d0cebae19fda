"""What a tenant's admin may change of the tenant (audited). The caller drops `hosts`' memory after the commit.

Every change is also a version: which fields, from what to what, by whom (`tenant_versions`). Each entry of `settings` and
of `brand` is a field of its own, `settings.<name>` and `brand.<name>`; None is an entry that is not there.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import func, select, text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command, journal
from portal.kernel.errors import Conflict, NotFound
from portal.kernel.tenancy import current_tenant_id
from portal.tenants.models import TenantVersion

FIELDS = ("name", "timezone", "default_locale", "locales", "modules")
BAGS = ("brand", "settings")
OWN_PAGES = {"settings.legal", "settings.second_factor", "settings.kyc"}  # versions of their own, or rules of safety
_READ = text(
    f"SELECT {', '.join((*FIELDS, *BAGS))}, allowed_modules, kind, clock_offset FROM tenants WHERE id = :id FOR UPDATE"
)
_WRITE = text("""
UPDATE tenants SET name = :name, timezone = :timezone, default_locale = :default_locale, locales = :locales,
       modules = :modules, brand = cast(:brand AS jsonb), settings = cast(:settings AS jsonb)
 WHERE id = :id
""")
_MOVE = text("UPDATE tenants SET clock_offset = :offset WHERE id = :id")


class ChangedMeanwhile(Conflict):
    """Somebody else has changed the same thing since the page was opened."""

    code = "tenant.changed_meanwhile"


@command("tenant.update")
def update_tenant(page: str, values: Mapping[str, Any], *, seen: int | None = None) -> None:
    """Set fields of the tenant; `page` names the page of settings on which it was done, `seen` the version it showed.

    Raises `ChangedMeanwhile` when a later version has changed one of the same fields to something else.
    """
    _change(page, values, seen=seen)


@command("tenant.set")
def put_setting(name: str, value: Any) -> None:
    """Set one entry of the tenant's `settings`."""
    _change(name, {f"settings.{name}": value})


@command("tenant.restore")
def restore(version: int, *, seen: int | None = None) -> list[str]:
    """Put everything back as it was after `version` (0: before the first), as a new version; returns which fields.

    Legal pages, the rules of second factors and of verification stay: they have pages, and versions, of their own. Raises
    `NotFound` and `ChangedMeanwhile`.
    """
    current = _locked()
    if not 0 <= version < latest():
        raise NotFound
    if seen is not None and latest() != seen:
        raise ChangedMeanwhile(_meanwhile())
    wanted = {name: value for name, value in state_after(version, current).items() if name not in OWN_PAGES}
    wanted["modules"] = [name for name in wanted["modules"] if name in current["allowed_modules"]]
    return _change("restore", wanted, restored=version)


def state_after(version: int, current: Mapping[str, Any]) -> dict[str, Any]:
    """Every field as it was once `version` was there, worked back from `current`."""
    state = {name: value for name, value in current.items() if name != "allowed_modules"}
    later = select(TenantVersion.before).where(TenantVersion.version > version).order_by(TenantVersion.version.desc())
    for (before,) in db.session.execute(later):
        state.update(before)
    return state


def current_state() -> dict[str, Any]:
    """The tenant's fields as they are, nothing held."""
    return _flat(db.session.execute(text(str(_READ).removesuffix(" FOR UPDATE")), {"id": current_tenant_id()}).one())


def latest() -> int:
    """The number of the newest version; 0 while nothing has been changed."""
    return db.session.scalar(select(func.max(TenantVersion.version))) or 0


def locked_settings() -> dict[str, Any]:
    """The tenant's `settings` as they are, the row held until the transaction ends."""
    settings: dict[str, Any] = db.session.execute(_READ, {"id": current_tenant_id()}).one().settings
    return settings


def _change(page: str, values: Mapping[str, Any], *, seen: int | None = None, restored: int | None = None) -> list[str]:
    tenant_id = current_tenant_id()
    before = _locked()
    changed = [name for name, value in values.items() if before.get(name) != value]
    if not changed:
        journal().unchanged()
        return []
    if seen is not None:
        _refuse_moved(seen, set(changed))
    after = {**before, **values}
    plain = {name: after[name] for name in FIELDS}
    bags = {bag: json.dumps(_bag(after, bag)) for bag in BAGS}
    db.session.execute(_WRITE, {**plain, **bags, "id": tenant_id})
    actor: UUID | None = g.get("actor_id") if g.get("actor_kind") == "member" else None
    db.session.add(
        TenantVersion(
            version=latest() + 1,
            page=page,
            before={name: before.get(name) for name in changed},
            after={name: values[name] for name in changed},
            actor_id=actor,
            restored=restored,
            at=clock.now(),
        )
    )
    db.session.flush()
    journal().note("tenants", tenant_id, {name: [before.get(name), values[name]] for name in changed})
    journal().about("tenant", tenant_id)
    return changed


def _refuse_moved(seen: int, wanted: set[str]) -> None:
    """Two people at once: whoever saves second is told, if it is the same thing that they change."""
    others = db.session.execute(select(TenantVersion.after).where(TenantVersion.version > seen))
    if any(wanted & set(after) for (after,) in others):
        raise ChangedMeanwhile(_meanwhile())


def _meanwhile() -> str:
    return gettext("Somebody else changed this while you had the page open. Load it again to see what they did.")


def _locked() -> dict[str, Any]:
    return _flat(db.session.execute(_READ, {"id": current_tenant_id()}).one())


def _flat(row: Any) -> dict[str, Any]:
    plain = {name: getattr(row, name) for name in (*FIELDS, "allowed_modules")}
    return plain | {f"{bag}.{name}": value for bag in BAGS for name, value in getattr(row, bag).items()}


def _bag(state: Mapping[str, Any], bag: str) -> dict[str, Any]:
    """The entries of one bag, put together again."""
    start = f"{bag}."
    return {name.removeprefix(start): v for name, v in state.items() if name.startswith(start) and v is not None}


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
