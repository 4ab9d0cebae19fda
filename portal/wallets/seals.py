"""Sealing the ledger (WAL-9, D20): a leaf is a posting with its entries and what it drew from lots."""

from sqlalchemy import text

from portal.extensions import db
from portal.kernel.chain import Chain, utc
from portal.kernel.commands import command, journal
from portal.kernel.tenancy import current_tenant_id
from portal.wallets.models import LedgerSeal

_ENTRY = (
    "e.seq, e.id, e.account_id, e.member_id, e.currency, e.amount, e.balance_before, e.balance_after, e.account_version,"
    f" {utc('e.occurred_at')}, {utc('e.recorded_at')}"
)
_DRAWN = f"a.seq, a.id, a.lot_id, a.amount, {utc('a.recorded_at')}"
CHAIN = Chain(
    name="ledger",
    model=LedgerSeal,
    table="ledger_transactions",
    # Amounts as text: JSON's own numbers end at 2^53.
    row="r.seq, r.id::text AS id, r.type, r.module, r.action, r.source, r.external_id, r.request_hash, r.status, r.currency,"
    " r.amount::text AS amount, r.member_id::text AS member_id, r.business_id::text AS business_id,"
    " r.reverses_id::text AS reverses_id, r.caused_by::text AS caused_by, r.metadata::text AS details,"
    f" {utc('r.occurred_at')} AS occurred_at, {utc('r.recorded_at')} AS recorded_at, {utc('r.processed_at')} AS processed_at,"
    f" (SELECT jsonb_agg(jsonb_build_array({_ENTRY}) ORDER BY e.seq)::text FROM ledger_entries e"
    "    WHERE e.tenant_id = r.tenant_id AND e.transaction_id = r.id) AS entries,"
    f" (SELECT jsonb_agg(jsonb_build_array({_DRAWN}) ORDER BY a.seq)::text FROM lot_allocations a"
    "    WHERE a.tenant_id = r.tenant_id AND a.debit_transaction_id = r.id) AS drawn",
    one="posting",
    many="postings",
    waits="r.status = 'pending'",
)
# The audit log notes the newest seal whenever it is signed, so that its own roots, kept outside, speak for the ledger too.
_NOTED = text("""
SELECT e.seq, n.key::bigint AS n, n.fields #>> '{hash,1}' AS hash
  FROM audit_entries e, jsonb_to_recordset(e.changes) AS n ("table" text, key text, fields jsonb)
 WHERE e.tenant_id = :t AND e.action = 'audit.sign' AND n."table" = 'ledger_seals' ORDER BY e.seq""")


@command("ledger.seal")
def seal() -> int:
    """Seal the next postings that are settled; returns how many, 0 when another process is at it. It is no act of anybody."""
    journal().unchanged()
    return CHAIN.add()


def broken() -> list[str]:
    """What does not fit, in words."""
    found, hashes = CHAIN.broken()
    for noted in db.session.execute(_NOTED, {"t": current_tenant_id()}):
        if hashes.get(noted.n, ("", 0))[0] != noted.hash:
            found.append(f"seal {noted.n} is not the one that entry {noted.seq} of the audit log notes")
    return found
