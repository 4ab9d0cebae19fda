"""The three statements of a purchase: lock the member, read what the decision needs, write what was decided."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext

from portal.kernel.driver import driver_sql, run
from portal.kernel.errors import NotFound
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty import moves
from portal.loyalty import queries as loyalty
from portal.loyalty.service import RECOUNT_LOCK
from portal.purchases.wanted import Line, Sale

_LOCK = driver_sql(f"""
SELECT u.suspended_at, u.suspended_reason, {RECOUNT_LOCK}
  FROM users u WHERE u.tenant_id = :tenant AND u.id = :member AND u.archived_at IS NULL AND u.merged_into IS NULL
   FOR NO KEY UPDATE""")
_SURVIVOR = driver_sql(
    "SELECT merged_into FROM users WHERE tenant_id = :tenant AND id = :member AND merged_into IS NOT NULL"
)
_LOAD = driver_sql(f"""
SELECT b.currency, b.category, b.archived_at, b.max_bonus_share, b.spend_confirmation,
       (SELECT true FROM business_locations l
         WHERE l.tenant_id = b.tenant_id AND l.business_id = b.id AND l.id = :location) AS location_is_own,
       (SELECT jsonb_build_object('id', p.id, 'request_hash', p.request_hash, 'amount', p.amount, 'currency', p.currency,
               'paid_with_bonus', p.paid_with_bonus, 'bonus_accrued', p.bonus_accrued, 'occurred_at', p.occurred_at,
               'receipt_number', p.receipt_number, 'trace', p.trace, 'member_id', p.member_id)
          FROM purchases p
         WHERE p.tenant_id = b.tenant_id AND p.business_id = b.id AND p.external_id = :external_id) AS existing,
       coalesce((SELECT a.posted FROM wallet_accounts a
                  WHERE a.tenant_id = b.tenant_id AND a.owner_kind = 'member' AND a.owner_id = :member AND a.owner_key = ''
                    AND a.currency = b.currency AND a.type = 'bonus'), 0) AS balance,
       {loyalty.position_sql()}
  FROM businesses b WHERE b.tenant_id = :tenant AND b.id = :business""")
_WRITE = driver_sql(
    """
WITH made AS (
    INSERT INTO purchases (tenant_id, id, business_id, member_id, location_id, till, category, receipt_number, external_id,
        request_hash, amount, paid_with_bonus, earn_base, bonus_accrued, currency, rate_num, rate_den, tier_id, source,
        cashier_id, device_id, historical, trace, occurred_at)
    VALUES (:tenant, :id, :business, :member, :location, :till, :category, :receipt_number, :external_id, :request_hash,
        :amount, :paid_with_bonus, :earn_base, :bonus_accrued, :currency, :rate_num, :rate_den, :tier_id, :source,
        :cashier, :device, :historical, cast(:trace AS jsonb), :occurred_at)
    ON CONFLICT (tenant_id, business_id, external_id) DO NOTHING
    RETURNING id
), line AS (
    INSERT INTO purchase_lines (tenant_id, id, purchase_id, number, sku, name, category, quantity, amount, earns)
    SELECT :tenant, l.id, made.id, l.number, l.sku, l.name, l.category, l.quantity, l.amount, l.earns
      FROM made, jsonb_to_recordset(cast(:lines AS jsonb)) AS l (id uuid, number int, sku text, name text, category text,
           quantity numeric, amount bigint, earns boolean)
)"""
    + moves.WRITE.format(source="", name="made")
    + "SELECT id FROM made"
)
_THEIRS = driver_sql("""
SELECT trace -> 'request' FROM purchases
 WHERE tenant_id = :tenant AND business_id = :business AND external_id = :external_id""")


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
    member_id: UUID | None = None


def load(sale: Sale) -> Found:
    """Lock the member, then read: in this order nobody else's purchase of this member can come between (D18).

    One who was merged into another is that other one (D28).
    """
    values: dict[str, Any] = {
        "tenant": current_tenant_id(),
        "business": sale.business_id,
        "member": sale.member_id,
        "location": sale.location_id,
        "external_id": sale.external_id,
    }
    member = run(_LOCK, values).fetchone()
    if member is None and (leads := run(_SURVIVOR, values).fetchone()):
        values["member"] = leads.merged_into
        member = run(_LOCK, values).fetchone()
    if member is None:
        raise NotFound(gettext("There is no such member."))
    row = run(_LOAD, values).fetchone()
    if row is None:
        raise NotFound(gettext("There is no such shop."))
    return Found(
        currency=row.currency,
        category=row.category,
        archived_at=row.archived_at,
        max_bonus_share=row.max_bonus_share,
        spend_confirmation=row.spend_confirmation,
        location_is_own=row.location_is_own,
        existing=row.existing,
        balance=row.balance,
        position=loyalty.position_of(row),
        suspended_reason=member.suspended_reason,
        suspended=member.suspended_at is not None,
        member_id=values["member"],
    )


def write(
    sale: Sale, made: Mapping[str, Any], trace: Mapping[str, Any], move: moves.Move | None
) -> dict[str, Any] | None:
    """Write the purchase, its lines and the member's step in one statement; `made` is what was decided about it.

    Returns None, or the stored request of another member's purchase that took the same key a moment ago.
    """
    values = {
        "tenant": current_tenant_id(),
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
        "trace": json.dumps(trace),
        "lines": json.dumps([_stored_line(n, line) for n, line in enumerate(sale.lines, 1)]),
        **made,
        **moves.parameters(move, made["id"]),
    }
    if run(_WRITE, values).fetchone() is not None:
        return None
    theirs = run(_THEIRS, values).fetchone()
    return (theirs and theirs[0]) or {}


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
