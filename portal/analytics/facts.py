"""The loader: the only code that writes and names ClickHouse's tables (D47)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import text

from portal.analytics.clickhouse import client
from portal.extensions import db
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id

MONTHS_KEPT = 24  # D46; a tenant's settings may say otherwise
BLOCK = 8 * 1024 * 1024
MANY_PARTITIONS = {"max_partitions_per_insert_block": 1000}  # decades of history in one block
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
    "location",
    "till",
    "historical",
    "version",
    "retain_until",
)
# Retention counts from arrival, in PostgreSQL's words, so that a rebuild keeps what was kept before (D46).
RETAIN = "((greatest(p.occurred_at, p.recorded_at) AT TIME ZONE 'UTC')::date + make_interval(months => {months}))::date"
_SELECT = """
SELECT p.tenant_id, p.id, p.business_id, coalesce(u.merged_into, u.id), {ts}, p.amount, p.paid_with_bonus, p.bonus_accrued, p.refunded_total, p.bonus_taken_back,
       p.bonus_given_back, p.currency, p.category, p.source, coalesce(t.code, ''), p.location_id, p.till, p.historical::int, p.version, {retain}
  FROM purchases p JOIN users u ON u.tenant_id = p.tenant_id AND u.id = p.member_id
  LEFT JOIN status_tiers t ON t.tenant_id = p.tenant_id AND t.id = p.tier_id
"""


def months_kept() -> int:
    """How long the acting tenant's facts stay in ClickHouse; PostgreSQL keeps all."""
    tenant = g.get("tenant")
    return int((tenant.settings if tenant else {}).get("facts_months", MONTHS_KEPT))


def ship(purchase_ids: Sequence[UUID]) -> int:
    """Send these purchases as they stand now; sent again they replace themselves. Returns how many."""
    if not purchase_ids:
        return 0
    statement = _SELECT.format(ts="p.occurred_at", retain=RETAIN.format(months=months_kept()))
    statement += " WHERE p.tenant_id = :tenant AND p.id = ANY(:ids) ORDER BY p.occurred_at, p.id"
    rows = db.session.execute(
        text(statement), {"tenant": current_tenant_id(), "ids": list(dict.fromkeys(purchase_ids))}
    ).all()
    db.session.rollback()  # nothing is held open while ClickHouse works
    if rows:
        client().insert(
            "transaction_facts",
            list(zip(*rows, strict=True)),
            column_names=list(COLUMNS),
            column_oriented=True,
            settings=MANY_PARTITIONS | {"insert_deduplication_token": _token(rows)},
        )
    return len(rows)


def ship_ranges(ranges: Sequence[tuple[UUID, UUID]]) -> int:
    """Stream the purchases whose ids lie between the ends of a range, both included; sent again they replace themselves."""
    if not ranges:
        return 0
    firsts, lasts = zip(*ranges, strict=True)
    return _copy(
        "JOIN unnest(%(firsts)s::uuid[], %(lasts)s::uuid[]) AS r (first, last) ON p.id BETWEEN r.first AND r.last",
        {"firsts": list(firsts), "lasts": list(lasts)},
    )


def ship_members(member_ids: Sequence[UUID]) -> int:
    """Stream the purchases of these members and of whoever was merged into them: a fact's member is the survivor (D28)."""
    return _copy(
        "JOIN users f ON f.tenant_id = p.tenant_id AND f.id = p.member_id"
        " AND (f.id = ANY(%(members)s::uuid[]) OR f.merged_into = ANY(%(members)s::uuid[]))",
        {"members": list(member_ids)},
    )


def ship_month(month: date) -> int:
    """Stream a month's purchases (UTC) into ClickHouse; returns how many."""
    following = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    return _between(_midnight(month.replace(day=1)), _midnight(following))


def ship_day(day: date) -> int:
    """Stream a day's purchases (UTC) into ClickHouse; returns how many."""
    return _between(_midnight(day), _midnight(day + timedelta(days=1)))


def months() -> list[date]:
    """The months (UTC) in which the tenant has purchases."""
    statement = text(
        "SELECT DISTINCT date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date FROM purchases"
        " WHERE tenant_id = :tenant ORDER BY 1"
    )
    return list(db.session.scalars(statement, {"tenant": current_tenant_id()}))


def server_now() -> datetime:
    """ClickHouse's clock, to the second: what was ingested before it is older than what is shipped from here on."""
    moment: datetime = client().query("SELECT now('UTC')").result_rows[0][0]
    return moment


def forget_older(moment: datetime, days: Sequence[date] = ()) -> None:
    """Drop the tenant's facts that arrived before `moment`, of these days (UTC) or all: what stands has come since."""
    where = (
        "tenant_id = {tenant:UUID} AND ingested_at < {moment:DateTime('UTC')}"
        " AND ({all:UInt8} OR toDate(ts) IN {days:Array(Date)})"
    )
    values = {"tenant": current_tenant_id(), "moment": moment, "all": int(not days), "days": list(days)}
    found = client().query(f"SELECT count() FROM transaction_facts WHERE {where}", parameters=values)
    if found.result_rows[0][0]:
        client().command(f"DELETE FROM transaction_facts WHERE {where}", parameters=values)


def _between(first: datetime, end: datetime) -> int:
    return _copy(
        "JOIN (SELECT %(first)s::timestamptz AS first, %(end)s::timestamptz AS past) r"
        " ON p.occurred_at >= r.first AND p.occurred_at < r.past",
        {"first": first, "end": end},
    )


def _copy(among: str, values: Mapping[str, Any]) -> int:
    """COPY as CSV from the one into the other, in blocks of megabytes; no Python object a row's cell."""
    sent = 0
    for block, rows in _blocks(among, values):
        client().raw_insert(
            "transaction_facts",
            column_names=list(COLUMNS),
            insert_block=block,
            fmt="CSV",
            settings=MANY_PARTITIONS | {"insert_deduplication_token": str(new_id())},  # equal blocks are meant
        )
        sent += rows
    db.session.rollback()
    return sent


def _blocks(among: str, values: Mapping[str, Any]) -> Iterator[tuple[bytes, int]]:
    statement = _SELECT.format(
        ts="to_char(p.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')",
        retain=RETAIN.format(months=months_kept()),
    )
    statement += f" {among} WHERE p.tenant_id = %(tenant)s"
    db.session.execute(text("SET LOCAL statement_timeout = '30min'"))
    driver: Any = db.session.connection().connection.driver_connection
    block, rows = bytearray(), 0
    with (
        driver.cursor() as cursor,
        cursor.copy(
            f"COPY ({statement}) TO STDOUT (FORMAT csv, FORCE_QUOTE *)",
            {"tenant": current_tenant_id(), **values},
        ) as copy,
    ):
        for piece in copy:
            block += piece
            rows += 1
            if len(block) >= BLOCK:
                yield bytes(block), rows
                block, rows = bytearray(), 0
    if rows:
        yield bytes(block), rows


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _token(rows: Sequence[Any]) -> str:
    """The same purchases of the same members in the same versions are one block: ClickHouse takes it once (ANA-1)."""
    keys = ",".join(f"{row[1]}:{row[3]}:{row[18]}" for row in rows)
    return hashlib.sha256(keys.encode()).hexdigest()
