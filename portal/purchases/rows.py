"""The two statements of a sale: read what the decision needs, write what was decided; both are `migrations/sql/portal.sql`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from pydantic_core import to_json

from portal.kernel.driver import run
from portal.kernel.errors import NotFound
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty import queries as loyalty
from portal.purchases.wanted import Line, Sale

Ask = Callable[[str, Sequence[Any]], Any]
_READ = "SELECT portal.sale_read(%s, %s, %s, %s::uuid, %s, %s)"
_WRITE = "SELECT portal.sale_write(%s, %s::jsonb)"


@dataclass(frozen=True, slots=True)
class Found:
    """What the decision needs to know, read with the member's row locked; `member_id` is None where there are several."""

    currency: str
    category: str
    archived_at: datetime | None
    max_bonus_share: int
    spend_confirmation: str
    location_is_own: bool | None
    existing: dict[str, Any] | None
    balance: int
    position: loyalty.Position | None
    suspended_reason: str | None
    suspended: bool
    now: datetime
    member_id: UUID | None = None
    seen: str | None = None


def inside(statement: str, values: Sequence[Any]) -> Any:
    """Ask within the session's transaction."""
    return run(statement, values).fetchone()[0]  # type: ignore[index]


def read(sale: Sale, ask: Ask, *, hold: bool) -> Found:
    """Read in one statement. With `hold` the member is locked first: nobody else's sale of theirs can come between (D18).

    Without, `seen` goes along to `write`, which then finds out whether something came between. One who was merged into
    another is that other one (D28): `member_id` says who it is.
    """
    values = (current_tenant_id(), sale.business_id, sale.member_id, sale.location_id, sale.external_id, hold)
    now, who, member, shop, location_is_own, existing, balance, program, standing, windows, seen = ask(_READ, values)
    if member is None:
        raise NotFound(gettext("There is no such member."))
    if shop is None:
        raise NotFound(gettext("There is no such shop."))
    currency, category, archived_at, max_bonus_share, spend_confirmation = shop
    return Found(
        currency=currency,
        category=category,
        archived_at=archived_at,
        max_bonus_share=max_bonus_share,
        spend_confirmation=spend_confirmation,
        location_is_own=location_is_own,
        existing=existing,
        balance=balance or 0,
        position=loyalty.position_from(program, standing, windows),
        suspended=member[0],
        suspended_reason=member[1],
        now=datetime.fromisoformat(now),
        member_id=UUID(who),
        seen=seen,
    )


def write(sale: Sale, found: Found, made: Mapping[str, Any], ask: Ask) -> int | None:
    """Write a decided sale in one statement; `made` is what was decided about it, its ids and postings among it.

    Returns the member's bonus. Where the member was not held, None says that what was decided upon has changed since and
    nothing was written. Raises what the driver raises.
    """
    values = {
        "business": sale.business_id,
        "member": sale.member_id,
        "location": sale.location_id,
        "till": sale.till,
        "external_id": sale.external_id,
        "amount": sale.amount,
        "paid_with_bonus": sale.bonus_to_spend,
        "source": sale.source,
        "historical": sale.historical,
        "cashier": g.get("actor_id") if g.get("actor_kind") == "member" else None,
        "device": g.device_session.id if g.get("device_session") else None,
        "now": found.now,
        "balance": found.balance,
        **made,
    }
    if sale.lines:
        values["lines"] = [_stored_line(n, line) for n, line in enumerate(sale.lines, 1)]
    if found.seen is not None:
        values["seen"] = found.seen
    bonus: int | None = ask(_WRITE, (current_tenant_id(), to_json(values).decode()))
    return bonus


def _stored_line(number: int, line: Line) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "number": number,
        "sku": line.sku,
        "name": line.name,
        "category": line.category,
        "quantity": str(line.quantity),
        "amount": line.amount,
        "earns": line.earns,
    }
