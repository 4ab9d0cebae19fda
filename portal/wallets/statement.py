"""The member's statement: entries in the order in which they happened, with the balance after each (LOY-1, WAL-2).

Ordered by `occurred_at`, since a bought coffee belongs to its day however late its till came online. A line's `running`
is reckoned in that order, back from what stands on the account now; `balance_after`, in the order of booking, stays the
ledger's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from portal.extensions import db
from portal.identity.queries import ACCOUNTS
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id
from portal.web.paging import COUNTED

PERIODS = {"month": timedelta(days=30), "quarter": timedelta(days=91), "year": timedelta(days=365)}
_FILTERS = {
    "in": "e.amount > 0",
    "out": "e.amount < 0",
    "type": "x.type = :type",
    "business": "b.slug = :business",
    "since": "e.occurred_at >= :since",
    "after": "(e.occurred_at, e.seq) < (:at, :seq)",
    "entry": "e.id = :entry",
}
_OWN = "e.tenant_id = :tenant AND e.member_id = :member"
_THEIRS = f"e.tenant_id = :tenant AND e.member_id {ACCOUNTS}"
_JOINED = """
  JOIN ledger_transactions x ON x.tenant_id = e.tenant_id AND x.id = e.transaction_id
  LEFT JOIN businesses b ON b.tenant_id = x.tenant_id AND b.id = x.business_id"""
_LINES = f"""
SELECT e.id, e.account_id, e.amount, e.currency, e.occurred_at, e.running, x.id AS transaction_id, x.type, x.caused_by,
       x.metadata AS details, b.name AS business, b.category, e.occurred_at AS _sort, e.seq AS _key
  FROM (SELECT e.*, w.posted - coalesce(sum(e.amount) OVER (PARTITION BY e.account_id ORDER BY e.occurred_at DESC, e.seq DESC
                                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::bigint AS running
          FROM ledger_entries e JOIN wallet_accounts w ON w.tenant_id = e.tenant_id AND w.id = e.account_id
         WHERE {_OWN} {{account}}) e {_JOINED}
 WHERE {{chosen}}
 ORDER BY e.occurred_at DESC, e.seq DESC LIMIT :limit"""
_COUNT = f"""
SELECT count(*) FROM (SELECT FROM ledger_entries e {_JOINED}
 WHERE {_OWN} AND e.account_id = :account AND {{chosen}} LIMIT {COUNTED + 1}) c"""
_OVERVIEW = text(f"""
SELECT g.type, b.slug, b.name, g.amount, g.entries
  FROM (SELECT x.type, x.business_id, sum(e.amount)::bigint AS amount, count(*) AS entries
          FROM ledger_entries e JOIN ledger_transactions x ON x.tenant_id = e.tenant_id AND x.id = e.transaction_id
         WHERE {_OWN} AND e.account_id = :account GROUP BY x.type, x.business_id) g
  LEFT JOIN businesses b ON b.tenant_id = :tenant AND b.id = g.business_id""")


@dataclass(frozen=True, slots=True)
class Overview:
    """What ever moved on an account: the kinds and shops to filter by, two sums in minor units, and how many entries."""

    types: Sequence[str]
    shops: Sequence[tuple[str, str]]
    spent: int
    burnt: int
    entries: int


def lines(
    member_id: UUID,
    account_id: UUID,
    filters: Mapping[str, str],
    *,
    limit: int,
    after: tuple[datetime, int] | None = None,
) -> Sequence[Any]:
    """A member's entries of one account, newest first; filters: direction (in, out), type, business (slug), period
    (month, quarter, year). `running` is the balance after the entry, whatever a filter left out.
    """
    names, values = _chosen(filters)
    if after is not None:
        names.append("after")
        values["at"], values["seq"] = after
    values |= {"tenant": current_tenant_id(), "member": member_id, "account": account_id, "limit": limit}
    return db.session.execute(_statement(_LINES, tuple(names)), values).all()


def entry(member_id: UUID, entry_id: UUID) -> Any:
    """One entry of this member, or of whoever was merged into them; else None."""
    values = {"tenant": current_tenant_id(), "member": member_id, "entry": entry_id, "limit": 1}
    return db.session.execute(
        _statement(_LINES.replace(_OWN, _THEIRS), ("entry",), of_account=False), values
    ).one_or_none()


def count(member_id: UUID, account_id: UUID, filters: Mapping[str, str]) -> int:
    """How many entries the filters let through, `COUNTED` + 1 at most."""
    names, values = _chosen(filters)
    values |= {"tenant": current_tenant_id(), "member": member_id, "account": account_id}
    return int(db.session.scalar(_statement(_COUNT, tuple(names)), values) or 0)


def overview(member_id: UUID, account_id: UUID) -> Overview:
    """The account's movements summed by kind and shop, in one statement."""
    values = {"tenant": current_tenant_id(), "member": member_id, "account": account_id}
    rows = db.session.execute(_OVERVIEW, values).all()
    moved = {kind: sum(row.amount for row in rows if row.type == kind) for kind in {row.type for row in rows}}
    shops = sorted({(row.slug, row.name) for row in rows if row.slug}, key=lambda shop: shop[1].casefold())
    return Overview(
        types=sorted(moved),
        shops=shops,
        spent=-(moved.get("redemption", 0) + moved.get("refund_restore", 0)),
        burnt=-moved.get("expiry", 0),
        entries=sum(row.entries for row in rows),
    )


def _chosen(filters: Mapping[str, str]) -> tuple[list[str], dict[str, Any]]:
    """Names of `_FILTERS` and their values; a direction or period that does not exist is ignored."""
    names: list[str] = []
    values: dict[str, Any] = {}
    if (direction := filters.get("direction")) in {"in", "out"}:
        names.append(direction)
    for name in ("type", "business"):
        if value := filters.get(name):
            names.append(name)
            values[name] = value
    if period := PERIODS.get(filters.get("period", "")):
        names.append("since")
        values["since"] = clock.now() - period
    return names, values


@lru_cache(maxsize=256)
def _statement(pattern: str, names: tuple[str, ...], *, of_account: bool = True) -> TextClause:
    chosen = " AND ".join(_FILTERS[name] for name in names) or "true"
    return text(pattern.format(chosen=chosen, account="AND e.account_id = :account" if of_account else ""))
