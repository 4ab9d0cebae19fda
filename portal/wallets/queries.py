"""Reads of balances and lots, as Core rows. Balances always come from PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from portal.extensions import db
from portal.identity.queries import ACCOUNTS
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id


@dataclass(frozen=True, slots=True)
class Balance:
    """A member's account: what stands there, what can be spent now, and what burns next."""

    account_id: UUID
    type: str
    currency: str
    posted: int
    held: int
    spendable: int
    pending: int
    pending_at: datetime | None
    next_expiry: datetime | None
    expiring: int
    owner_id: UUID


_BALANCES = """
SELECT w.id AS account_id, w.type, w.currency, w.posted, w.held,
       CASE WHEN w.type IN ('bonus', 'points') THEN coalesce(l.spendable, 0)::bigint ELSE w.posted - w.held END AS spendable,
       coalesce(l.pending, 0)::bigint AS pending, l.pending_at, l.next_expiry,
       coalesce((SELECT sum(x.remaining) FROM lots x WHERE x.tenant_id = w.tenant_id AND x.account_id = w.id AND x.remaining > 0
                    AND x.expires_at = l.next_expiry), 0)::bigint AS expiring, w.owner_id
  FROM wallet_accounts w
  LEFT JOIN LATERAL (
       SELECT sum(remaining - held) FILTER (WHERE activates_at <= :at AND (expires_at IS NULL OR expires_at > :at)) AS spendable,
              sum(remaining) FILTER (WHERE activates_at > :at) AS pending, min(activates_at) FILTER (WHERE activates_at > :at) AS pending_at,
              min(expires_at) FILTER (WHERE expires_at > :at) AS next_expiry
         FROM lots WHERE tenant_id = w.tenant_id AND account_id = w.id AND remaining > 0) l ON true
 WHERE w.tenant_id = :tenant AND w.owner_kind = 'member' AND w.owner_id {whose}
 ORDER BY w.type, w.currency
"""
_OWN, _MERGED = (text(_BALANCES.format(whose=whose)) for whose in ("= :member", ACCOUNTS))


def balances(member_id: UUID, *, merged: bool = False) -> list[Balance]:
    """Every account of a member; none before the first movement.

    With `merged`, also those of whoever was merged into them, which are empty: their movements are still there (D28).
    """
    values = {"tenant": current_tenant_id(), "member": member_id, "at": clock.now()}
    return [Balance(*row) for row in db.session.execute(_MERGED if merged else _OWN, values)]


def balance_of(member_id: UUID, currency: str, kind: str = "bonus") -> int:
    """What stands on one account."""
    return next((b.posted for b in balances(member_id) if (b.currency, b.type) == (currency, kind)), 0)


def spendable(member_id: UUID, currency: str, kind: str = "bonus") -> int:
    """What can be spent now."""
    return next((b.spendable for b in balances(member_id) if (b.currency, b.type) == (currency, kind)), 0)


def business_balance(business_id: UUID, currency: str, kind: str) -> int:
    """A business's `issuance` (negative: bonus given less taken back) or `payable`, up to this moment (D19)."""
    statement = text(
        "SELECT coalesce(sum(ledger.balance(id)), 0) FROM wallet_accounts WHERE tenant_id = :tenant AND owner_kind = 'business'"
        " AND owner_id = :business AND currency = :currency AND type = :kind"
    )
    values = {"tenant": current_tenant_id(), "business": business_id, "currency": currency, "kind": kind}
    return int(db.session.scalar(statement, values) or 0)


def lots_of(account_id: UUID) -> Sequence[Any]:
    """Lots with something left, in the order in which they will be spent (LOY-3), with the purchase that gave them."""
    statement = text("""
        SELECT l.id, l.amount, l.remaining, l.held, l.activates_at, l.expires_at, l.state, l.created_at, x.id AS transaction_id, x.type,
               x.caused_by, x.business_id, x.metadata
          FROM lots l JOIN ledger_transactions x ON x.tenant_id = l.tenant_id AND x.id = l.source_transaction_id
         WHERE l.tenant_id = :tenant AND l.account_id = :account AND l.remaining > 0
         ORDER BY l.priority, l.granted DESC, l.expires_at NULLS LAST, l.created_at, l.seq""")
    return db.session.execute(statement, {"tenant": current_tenant_id(), "account": account_id}).all()


def lots_left(account_id: UUID, most: int) -> list[tuple[UUID, int]]:
    """What can be drawn from each lot, whatever its dates, `most` in all: how an account is emptied."""
    drawn = []
    for lot in lots_of(account_id):
        amount = min(lot.remaining - lot.held, most)
        if amount > 0:
            drawn.append((lot.id, amount))
            most -= amount
    return drawn


def expiries(account_id: UUID) -> Sequence[Any]:
    """What burns when: one row a day to come, in order (LOY-1)."""
    statement = text("""
        SELECT expires_at, sum(remaining)::bigint AS amount, count(*) AS lots FROM lots
         WHERE tenant_id = :tenant AND account_id = :account AND remaining > 0 AND expires_at > :at
         GROUP BY expires_at ORDER BY expires_at LIMIT 60""")
    return db.session.execute(
        statement, {"tenant": current_tenant_id(), "account": account_id, "at": clock.now()}
    ).all()
