"""What must always hold, counted: the invariants I1 to I15 of every tenant, and what belongs to whom across them.

A noun with something to keep has `portal/<noun>/verify.py` with `CHECKS`: a name that begins with the invariant's number → SQL
for the acting tenant (`:t`; columns `what`, and `off` where an amount tells more), or a function that returns what it found, in
words. What no noun keeps yet is not in the list: a count of nothing would look like a proof.
"""

from collections.abc import Callable, Iterator, Mapping

import psycopg
from psycopg import sql
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import primaries
from portal.kernel.tenancy import current_tenant_id

Check = str | Callable[[], list[str]]

# What a command notes of the ledger: each posting by its id, or how many a batch or a sweep made.
_NOTED = """
WITH noted AS (SELECT n.* FROM audit_entries e, jsonb_to_recordset(e.changes) AS n ("table" text, key text, fields jsonb)
                WHERE e.tenant_id = :t AND n."table" IN ('ledger_transactions', 'lots'))"""

CHECKS: Mapping[str, Check] = {
    "I9 a message goes to one subscriber twice": """
        SELECT message_id || ' to ' || subscriber AS what, count(*) AS off FROM outbox_deliveries WHERE tenant_id = :t
         GROUP BY message_id, subscriber HAVING count(*) > 1""",
    "I10 a posting is in the audit log twice": f"""
        {_NOTED}
        SELECT key AS what, count(*) AS off FROM noted WHERE fields ? 'amount' GROUP BY key HAVING count(*) > 1""",
    "I10 more or fewer postings than the audit log says": f"""
        {_NOTED}, posting AS (  -- a batch writes lots that are past their date together with their end (D27)
            SELECT x.type IN ('expiry', 'activation') AS swept, x.type = 'expiry' AND EXISTS (
                   SELECT 1 FROM ledger_transactions c WHERE c.tenant_id = :t AND c.id = x.caused_by AND c.xact_id = x.xact_id) AS ended
              FROM ledger_transactions x WHERE x.tenant_id = :t
        ), kept AS (
            SELECT count(*) FILTER (WHERE swept AND NOT ended) AS swept, count(*) FILTER (WHERE NOT swept) AS posted FROM posting
        ), said AS (
            SELECT coalesce(sum((fields #>> '{{lots,1}}')::bigint), 0) AS swept,
                   coalesce(sum((fields #>> '{{posted,1}}')::bigint), 0) + count(*) FILTER (WHERE fields ? 'amount') AS posted
              FROM noted)
        SELECT 'swept' AS what, kept.swept - said.swept AS off FROM kept, said WHERE kept.swept <> said.swept
        UNION ALL
        SELECT 'posted', kept.posted - said.posted FROM kept, said WHERE kept.posted <> said.posted""",
}
DRAINED: Mapping[str, Check] = {
    "I9 a delivery is neither delivered nor dead": """
        SELECT id || ' to ' || subscriber AS what FROM outbox_deliveries WHERE tenant_id = :t AND open""",
}
ACROSS = (
    "I11 a row names one of another tenant",
    "I11 a row names one that is not there",
    "I15 a text that the portal wrote tells of another tenant",
)
TWO_HOMES = "I11 a tenant lives on two primaries"


def found_by(check: Check) -> list[str]:
    """What breaks this rule for the acting tenant, in words."""
    if not isinstance(check, str):
        return check()
    db.session.execute(
        text("SET LOCAL statement_timeout = '30min'")
    )  # a look at everything may take longer than a page
    rows = db.session.execute(text(check), {"t": current_tenant_id()})
    return [f"{row.what} (by {row.off})" if "off" in row._fields else str(row.what) for row in rows]


def across_tenants() -> Iterator[tuple[str, list[str]]]:
    """I11 over each whole database, as the role that reads all tenants to copy them (portal_backup)."""
    homes: dict[str, list[str]] = {}
    for primary in primaries.names():
        with primaries.connect("portal_backup", primary) as connection:
            yield from across(connection)
            for (slug,) in connection.execute("SELECT slug FROM tenants"):
                homes.setdefault(slug, []).append(primary)
    yield TWO_HOMES, [f"{slug} on {', '.join(found)}" for slug, found in homes.items() if len(found) > 1]


def across(connection: psycopg.Connection) -> Iterator[tuple[str, list[str]]]:
    """By the catalogue: no column of a tenant's row holds the id of a row of another, and no foreign key one that is not
    there, as a database repaired with triggers off may; nor does what the portal wrote as JSON (messages, notices, the audit
    log, jobs and their results) speak of the tenant or a row of another (I15).
    """
    owned = [row[0] for row in connection.execute(_OWNED)]
    named = connection.execute(_NAMED).fetchall()
    keys = connection.execute(_KEYS).fetchall()
    yield ACROSS[0], _foreign(connection, owned, named)
    yield ACROSS[1], [row for key in keys for row in _missing(connection, *key)]
    yield ACROSS[2], _told(connection, owned, connection.execute(_JSON).fetchall())


_OWNED = """
SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
   AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('tenant_id', 'id') AND a.atttypid = 'uuid'::regtype) = 2
   AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1"""
_NAMED = """
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND a.atttypid = 'uuid'::regtype AND a.attnum > 0
   AND NOT a.attisdropped AND a.attname NOT IN ('tenant_id', 'id') AND has_table_privilege(c.oid, 'SELECT')
   AND EXISTS (SELECT 1 FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id') ORDER BY 1, 2"""
_JSON = """
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND a.atttypid = 'jsonb'::regtype
   AND a.attnum > 0 AND NOT a.attisdropped AND has_table_privilege(c.oid, 'SELECT')
   AND EXISTS (SELECT 1 FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id' AND t.attnum > 0) ORDER BY 1, 2"""
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KEYS = """
SELECT k.conrelid::regclass::text, k.confrelid::regclass::text,
       array(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY u (n, i) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY i)::text[],
       array(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY u (n, i) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY i)::text[]
  FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
   AND has_table_privilege(k.conrelid, 'SELECT') AND has_table_privilege(k.confrelid, 'SELECT') ORDER BY 1, 2"""


def _foreign(connection: psycopg.Connection, owned: list[str], named: list[tuple[str, str]]) -> list[str]:
    """Ids are unique over all tables and tenants (UUIDv7), so that any column's value has one owner."""
    ids = sql.SQL(" UNION ALL ").join(sql.SQL("SELECT tenant_id, id FROM {}").format(sql.Identifier(t)) for t in owned)
    refs = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}::text AS what, tenant_id, {} AS ref FROM {}").format(
            sql.Literal(f"{table}.{column}"), sql.Identifier(column), sql.Identifier(table)
        )
        for table, column in named
    )
    statement = sql.SQL(
        "WITH ids AS MATERIALIZED ({ids}), refs AS (SELECT what, tenant_id, ref FROM ({refs}) r WHERE ref IS NOT NULL)"
        " SELECT r.what, r.ref, r.tenant_id FROM refs r JOIN ids i ON i.id = r.ref GROUP BY r.what, r.ref, r.tenant_id"
        " HAVING bool_and(i.tenant_id <> r.tenant_id)"
    ).format(ids=ids, refs=refs)
    return [f"{what} {ref} of tenant {tenant}" for what, ref, tenant in connection.execute(statement)]


def _told(connection: psycopg.Connection, owned: list[str], columns: list[tuple[str, str]]) -> list[str]:
    ids = [
        sql.SQL("SELECT {}, id FROM {}").format(sql.Identifier(tenant), sql.Identifier(table))
        for tenant, table in [("id", "tenants"), *[("tenant_id", table) for table in owned]]
    ]
    told = [
        sql.SQL(
            "SELECT {}::text AS what, tenant_id, (regexp_matches({}::text, {}, 'g'))[1]::uuid AS ref FROM {}"
        ).format(sql.Literal(f"{table}.{column}"), sql.Identifier(column), sql.Literal(_UUID), sql.Identifier(table))
        for table, column in columns
    ]
    union = sql.SQL(" UNION ALL ")
    statement = sql.SQL(
        "WITH ids (tenant_id, id) AS MATERIALIZED ({ids}), told AS (SELECT DISTINCT what, tenant_id, ref FROM ({told}) t)"
        " SELECT t.what, t.ref, t.tenant_id FROM told t JOIN ids i ON i.id = t.ref GROUP BY t.what, t.ref, t.tenant_id"
        " HAVING bool_and(i.tenant_id <> t.tenant_id)"
    ).format(ids=union.join(ids), told=union.join(told))
    return [f"{what} speaks to tenant {tenant} of {ref}" for what, ref, tenant in connection.execute(statement)]


def _missing(
    connection: psycopg.Connection, child: str, parent: str, columns: list[str], theirs: list[str]
) -> list[str]:
    pairs = sql.SQL(" AND ").join(
        sql.SQL("p.{} = c.{}").format(sql.Identifier(p), sql.Identifier(c))
        for c, p in zip(columns, theirs, strict=True)
    )
    whole = sql.SQL(" AND ").join(sql.SQL("c.{} IS NOT NULL").format(sql.Identifier(c)) for c in columns)
    statement = sql.SQL(
        "SELECT c.{last} FROM {child} c WHERE {whole} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {pairs})"
    ).format(
        last=sql.Identifier(columns[-1]),
        child=sql.Identifier(child),
        parent=sql.Identifier(parent),
        whole=whole,
        pairs=pairs,
    )
    return [f"{child}.{columns[-1]} {row[0]}" for row in connection.execute(statement)]
