"""The loader: the only code that writes and names ClickHouse's tables (D47)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from portal.analytics.clickhouse import client
from portal.extensions import db
from portal.kernel.tenancy import current_tenant_id

COLUMNS = (
    "tenant_id",
    "transaction_id",
    "business_id",
    "member_id",
    "ts",
    "amount_minor",
    "paid_with_bonus",
    "bonus_accrued",
    "refunded_minor",
    "bonus_taken_back",
    "bonus_given_back",
    "currency",
    "category",
    "source",
    "tier",
    "till",
    "historical",
    "version",
)
SELECT = """
SELECT p.tenant_id, p.id AS transaction_id, p.business_id, p.member_id, p.occurred_at AS ts, p.amount AS amount_minor, p.paid_with_bonus,
       p.bonus_accrued, p.refunded_total AS refunded_minor, p.bonus_taken_back, p.bonus_given_back, p.currency, p.category, p.source,
       coalesce(t.code, '') AS tier, p.till, p.historical::int AS historical, p.version
  FROM purchases p LEFT JOIN status_tiers t ON t.tenant_id = p.tenant_id AND t.id = p.tier_id
"""
_BY_ID = text(SELECT + " WHERE p.tenant_id = :tenant AND p.id = ANY(:ids) ORDER BY p.occurred_at, p.id")


def ship(purchase_ids: Sequence[UUID]) -> int:
    """Send these purchases as they stand now; sent again they replace themselves. Returns how many."""
    rows = db.session.execute(_BY_ID, {"tenant": current_tenant_id(), "ids": list(dict.fromkeys(purchase_ids))}).all()
    db.session.rollback()  # nothing is held open while ClickHouse works
    insert(rows)
    return len(rows)


def insert(rows: Sequence[Any]) -> None:
    """Insert rows of `SELECT`, column by column."""
    if rows:
        client().insert(
            "transaction_facts", list(zip(*rows, strict=True)), column_names=list(COLUMNS), column_oriented=True
        )


def forget_tenant(tenant_id: UUID) -> None:
    """Drop a tenant's facts before they are built anew."""
    client().command("DELETE FROM transaction_facts WHERE tenant_id = {tenant:UUID}", parameters={"tenant": tenant_id})
