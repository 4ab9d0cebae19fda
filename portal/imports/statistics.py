"""Fresh figures for the planner while a table is being filled: without them every look-up may choose the wrong index.

Autovacuum would see to it within a minute; an import of a hundred thousand lines has gone wrong by then. Only a table's
owner may do it, so this opens a connection of its own as portal_owner; where that is not possible the import is slower.
Only tables that have grown are looked at, and of them only the columns of their indexes: the documents beside them are
what costs time.
"""

import logging
from contextlib import suppress

import psycopg

from portal.kernel.primaries import acting, connect

AFTER = (1_000, 8_000, 64_000, 512_000)  # lines of one run
TABLES = (
    "users", "member_words", "customer_refs", "purchases", "wallet_accounts", "ledger_transactions", "ledger_entries", "lots",
    "tier_progress", "outbox_messages", "outbox_deliveries",
)  # fmt: skip
GROWN = 2  # times the size at the last look
_WORTH = """
SELECT format('%%I (%%s)', c.relname, string_agg(DISTINCT quote_ident(a.attname), ', '))
  FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(tables)s)
   AND pg_relation_size(c.oid) >= %(grown)s * greatest(c.relpages, 1) * current_setting('block_size')::int
 GROUP BY c.relname
"""
log = logging.getLogger(__name__)


def refresh(before: int, after: int) -> None:
    """Look at the tables anew when a run passes one of `AFTER`; a failure is only logged."""
    if not any(before < mark <= after for mark in AFTER):
        return
    with suppress(psycopg.Error):
        with connect("portal_owner", acting(), autocommit=True, connect_timeout=2) as connection:
            connection.execute("SET lock_timeout = '2s'")
            worth = connection.execute(_WORTH, {"tables": list(TABLES), "grown": GROWN}).fetchall()
            if worth:
                connection.execute("ANALYZE " + ", ".join(table for (table,) in worth))
        return
    log.info("the planner's figures could not be refreshed; autovacuum will")
