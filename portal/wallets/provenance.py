"""Where bonus came from and where it went: lots and the postings that made them or drew on them (LOY-1)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from portal.extensions import db
from portal.kernel.tenancy import current_tenant_id

MOST = 50
# `other` is the posting at the far end: the one that brought the lot, or the one that drew on it. `entry_id` is its line
# in the same account's statement.
_FAR = """
       other.type, other.occurred_at, other.metadata ->> 'receipt_number' AS receipt_number, b.name AS business,
       (SELECT e.id FROM ledger_entries e
         WHERE e.tenant_id = other.tenant_id AND e.transaction_id = other.id AND e.account_id = l.account_id) AS entry_id
"""
_SHOP = "LEFT JOIN businesses b ON b.tenant_id = other.tenant_id AND b.id = other.business_id"
_DRAWN = text(f"""
SELECT a.amount, l.amount AS lot_amount, l.remaining, l.expires_at, {_FAR}
  FROM lot_allocations a
  JOIN lots l ON l.tenant_id = a.tenant_id AND l.id = a.lot_id AND l.account_id = :account
  JOIN ledger_transactions other ON other.tenant_id = l.tenant_id AND other.id = l.source_transaction_id
  {_SHOP}
 WHERE a.tenant_id = :tenant AND a.debit_transaction_id = :id ORDER BY a.seq LIMIT {MOST}""")
_MADE = text("""
SELECT l.id, l.amount, l.remaining, l.activates_at, l.expires_at, l.state FROM lots l
 WHERE l.tenant_id = :tenant AND l.source_transaction_id = :id AND l.account_id = :account ORDER BY l.seq""")
_USES = text(f"""
SELECT a.amount, {_FAR}
  FROM lots l
  JOIN lot_allocations a ON a.tenant_id = l.tenant_id AND a.lot_id = l.id
  JOIN ledger_transactions other ON other.tenant_id = a.tenant_id AND other.id = a.debit_transaction_id
  {_SHOP}
 WHERE l.tenant_id = :tenant AND l.source_transaction_id = :id AND l.account_id = :account ORDER BY a.seq LIMIT {MOST}""")


def drawn(entry: Any) -> Sequence[Any]:
    """Lots that this entry's posting took from (`amount` > 0) or gave back to (< 0), each with what had brought it."""
    return _rows(_DRAWN, entry)


def made(entry: Any) -> Sequence[Any]:
    """Lots that this entry's posting brought to the account, with what is left of them."""
    return _rows(_MADE, entry)


def uses(entry: Any) -> Sequence[Any]:
    """What later drew on the lots that this posting brought, in order; negative where a refund gave back."""
    return _rows(_USES, entry)


def _rows(statement: Any, entry: Any) -> Sequence[Any]:
    values = {"tenant": current_tenant_id(), "id": entry.transaction_id, "account": entry.account_id}
    return db.session.execute(statement, values).all()
