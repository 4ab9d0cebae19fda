"""Fresh figures for the planner while a table is being filled: without them every look-up may choose the wrong index.

Autovacuum would see to it within a minute; an import of a hundred thousand lines has gone wrong by then. Only a table's
owner may do it, so this opens a connection of its own as portal_owner; where that is not possible the import is slower.
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
log = logging.getLogger(__name__)


def refresh(before: int, after: int) -> None:
    """Look at the tables anew when a run passes one of `AFTER`; a failure is only logged."""
    if not any(before < mark <= after for mark in AFTER):
        return
    with suppress(psycopg.Error):
        with connect("portal_owner", acting(), autocommit=True, connect_timeout=2) as connection:
            connection.execute("SET lock_timeout = '2s'")
            connection.execute(f"ANALYZE {', '.join(TABLES)}")
        return
    log.info("the planner's figures could not be refreshed; autovacuum will")
