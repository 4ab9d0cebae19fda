"""`portal ledger verify`: the books of the acting tenant, re-checked by set-based SQL (I1 to I5, WAL-9)."""

from portal.kernel.verify import Check, found_by
from portal.wallets import seals

CHECKS: dict[str, Check] = {
    "I1 a posting does not sum to zero": """
        SELECT transaction_id AS what, sum(amount) AS off FROM ledger_entries WHERE tenant_id = :t
         GROUP BY transaction_id, currency HAVING sum(amount) <> 0""",
    "I2 all entries together do not sum to zero": """
        SELECT currency AS what, sum(amount) AS off FROM ledger_entries WHERE tenant_id = :t GROUP BY currency HAVING sum(amount) <> 0""",
    "I3 a balance is not the sum of its entries": """
        SELECT w.id AS what, w.posted - coalesce(sum(e.amount), 0) AS off FROM wallet_accounts w
          LEFT JOIN ledger_entries e ON e.tenant_id = w.tenant_id AND e.account_id = w.id AND (NOT w.lazy OR e.xact_id < w.folded_through)
         WHERE w.tenant_id = :t GROUP BY w.id, w.posted HAVING w.posted <> coalesce(sum(e.amount), 0)""",
    "I4 an account is under its floor": """
        SELECT id AS what, posted - held - floor AS off FROM wallet_accounts WHERE tenant_id = :t AND NOT lazy AND posted - held < floor""",
    "I5 a key was posted twice": """
        SELECT source || ':' || external_id AS what, count(*) AS off FROM ledger_transactions WHERE tenant_id = :t
         GROUP BY source, external_id HAVING count(*) > 1""",
    "lots do not make up the balance": """
        SELECT w.id AS what, w.posted - (coalesce(sum(l.remaining), 0) - w.debt) AS off FROM wallet_accounts w
          LEFT JOIN lots l ON l.tenant_id = w.tenant_id AND l.account_id = w.id
         WHERE w.tenant_id = :t AND NOT w.lazy AND w.type IN ('bonus', 'locked', 'points')
         GROUP BY w.id, w.posted, w.debt HAVING w.posted <> coalesce(sum(l.remaining), 0) - w.debt""",
    "a lot's rest is not its amount less what was taken": """
        SELECT l.id AS what, l.remaining - (l.amount - coalesce(sum(a.amount), 0)) AS off FROM lots l
          LEFT JOIN lot_allocations a ON a.tenant_id = l.tenant_id AND a.lot_id = l.id
         WHERE l.tenant_id = :t GROUP BY l.id, l.remaining, l.amount HAVING l.remaining <> l.amount - coalesce(sum(a.amount), 0)""",
    "a debit is not what was drawn from lots": """
        SELECT e.transaction_id AS what, -e.amount - coalesce(sum(a.amount), 0) AS off FROM ledger_entries e
          JOIN wallet_accounts w ON w.tenant_id = e.tenant_id AND w.id = e.account_id AND w.type IN ('bonus', 'locked', 'points') AND w.floor = 0
          LEFT JOIN lot_allocations a ON a.tenant_id = e.tenant_id AND a.debit_transaction_id = e.transaction_id AND a.amount > 0
         WHERE e.tenant_id = :t AND e.amount < 0 GROUP BY e.transaction_id, e.amount HAVING -e.amount <> coalesce(sum(a.amount), 0)""",
    "a lot's state is not what is left of it": """
        SELECT id AS what, remaining AS off FROM lots WHERE tenant_id = :t AND (remaining > 0) <> (state IN ('pending', 'active'))""",
    "an entry is in another currency than its account": """
        SELECT e.id AS what, e.amount AS off FROM ledger_entries e JOIN wallet_accounts w ON w.tenant_id = e.tenant_id AND w.id = e.account_id
         WHERE e.tenant_id = :t AND e.currency <> w.currency""",
    "versions of an account have gaps": """
        SELECT w.id AS what, w.version - count(e.id) AS off FROM wallet_accounts w
          LEFT JOIN ledger_entries e ON e.tenant_id = w.tenant_id AND e.account_id = w.id AND e.account_version IS NOT NULL
         WHERE w.tenant_id = :t AND NOT w.lazy GROUP BY w.id, w.version
        HAVING w.version <> count(e.id) OR coalesce(max(e.account_version), 0) <> w.version""",
    "a balance does not follow from the one before": """
        SELECT id AS what, balance_after - balance_before - amount AS off FROM (
            SELECT id, balance_before, balance_after, amount,
                   lag(balance_after, 1, 0) OVER (PARTITION BY account_id ORDER BY account_version) AS before
              FROM ledger_entries WHERE tenant_id = :t AND account_version IS NOT NULL) e
         WHERE balance_before + amount <> balance_after OR before <> balance_before""",
    "a posting has no entries or an entry no account": """
        SELECT x.id AS what, 1 AS off FROM ledger_transactions x WHERE x.tenant_id = :t AND x.status = 'success'
           AND (SELECT count(*) FROM ledger_entries e WHERE e.tenant_id = :t AND e.transaction_id = x.id) < 2
        UNION ALL
        SELECT e.id, 1 FROM ledger_entries e WHERE e.tenant_id = :t
           AND NOT EXISTS (SELECT 1 FROM wallet_accounts w WHERE w.tenant_id = :t AND w.id = e.account_id)""",
    "I10 the ledger is not what was sealed": seals.broken,
}


def verify() -> list[str]:
    """Every difference, in words; an empty list means that the books are right."""
    return [f"{name}: {difference}" for name, check in CHECKS.items() for difference in found_by(check)]
