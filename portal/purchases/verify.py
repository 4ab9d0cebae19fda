"""What a purchase promises: one posting for what it says, one message, one audit entry (I5, I9, I10)."""

# Delivered messages are forgotten after 14 days (D13): those of younger sales must be there.
_RECENT = "recorded_at > clock_timestamp() - interval '13 days'"

CHECKS: dict[str, str] = {
    "I5 a sale's number was recorded twice": """
        SELECT business_id || ':' || external_id AS what, count(*) AS off FROM purchases WHERE tenant_id = :t
         GROUP BY business_id, external_id HAVING count(*) > 1""",
    "I5 a refund's number was recorded twice": """
        SELECT purchase_id || ':' || external_id AS what, count(*) AS off FROM purchase_refunds WHERE tenant_id = :t
         GROUP BY purchase_id, external_id HAVING count(*) > 1""",
    "I5 a sale says otherwise than the ledger": """
        SELECT p.id AS what FROM purchases p LEFT JOIN (
            SELECT caused_by, coalesce(sum(amount) FILTER (WHERE type = 'accrual'), 0) AS accrued,
                   coalesce(sum(amount) FILTER (WHERE type = 'redemption'), 0) AS spent,
                   coalesce(sum(amount) FILTER (WHERE type = 'refund_reversal'), 0) AS taken,
                   coalesce(sum(amount) FILTER (WHERE type = 'refund_restore'), 0) AS given
              FROM ledger_transactions WHERE tenant_id = :t AND caused_by IS NOT NULL GROUP BY caused_by) x ON x.caused_by = p.id
         WHERE p.tenant_id = :t AND (p.bonus_accrued, p.paid_with_bonus, p.bonus_taken_back, p.bonus_given_back)
               IS DISTINCT FROM (coalesce(x.accrued, 0), coalesce(x.spent, 0), coalesce(x.taken, 0), coalesce(x.given, 0))""",
    "I5 a sale says otherwise than its refunds": """
        SELECT p.id AS what, p.refunded_total - coalesce(sum(r.amount), 0) AS off FROM purchases p
          LEFT JOIN purchase_refunds r ON r.tenant_id = p.tenant_id AND r.purchase_id = p.id
         WHERE p.tenant_id = :t GROUP BY p.tenant_id, p.id
        HAVING (p.refunded_total, p.bonus_taken_back, p.bonus_given_back, p.version) IS DISTINCT FROM
               (coalesce(sum(r.amount), 0), coalesce(sum(r.bonus_taken_back), 0), coalesce(sum(r.bonus_given_back), 0), count(r.id) + 1)""",
    "I9 a sale has not one message": f"""
        SELECT s.id AS what, count(m.id) AS off FROM (
            SELECT id, business_id, is_sale, historical, max(reach) OVER (PARTITION BY business_id ORDER BY id, is_sale) AS reach FROM (
                SELECT p.id, p.business_id, true AS is_sale, p.historical, NULL AS reach FROM purchases p WHERE p.tenant_id = :t AND p.{_RECENT}
                 UNION ALL
                SELECT (b.data ->> 'first_id')::uuid, b.aggregate_id, false, true, (b.data ->> 'last_id') COLLATE "C" FROM outbox_messages b
                 WHERE b.tenant_id = :t AND b.aggregate_type = 'business' AND b.type = 'purchases.imported') AS placed) AS s
          LEFT JOIN outbox_messages m ON m.tenant_id = :t AND m.aggregate_type = 'purchase' AND m.aggregate_id = s.id AND m.type = 'purchase.recorded'
         WHERE s.is_sale GROUP BY s.id, s.historical, s.reach
        HAVING count(m.id) > 1 OR (count(m.id) = 0 AND NOT (s.historical AND coalesce(s.id::text COLLATE "C" <= s.reach, false)))""",
    "I9 a message speaks of more imported sales than there are": """
        SELECT m.id AS what, (m.data ->> 'count')::bigint - s.found AS off FROM outbox_messages m, LATERAL (
            SELECT count(*) AS found FROM purchases p WHERE p.tenant_id = :t AND p.business_id = m.aggregate_id AND p.historical
               AND p.id BETWEEN (m.data ->> 'first_id')::uuid AND (m.data ->> 'last_id')::uuid) AS s
         WHERE m.tenant_id = :t AND m.type = 'purchases.imported' AND s.found < (m.data ->> 'count')::bigint""",
    "I9 a refund has not one message": f"""
        SELECT r.id AS what, count(m.id) AS off FROM purchase_refunds r
          LEFT JOIN outbox_messages m ON m.tenant_id = :t AND m.aggregate_type = 'purchase' AND m.aggregate_id = r.purchase_id
           AND m.type = 'purchase.refunded' AND m.data ->> 'refund_id' = r.id::text
         WHERE r.tenant_id = :t AND r.{_RECENT} GROUP BY r.id HAVING count(m.id) <> 1""",
    "I9 a message speaks of a sale or refund that is not there": """
        SELECT m.id AS what FROM outbox_messages m WHERE m.tenant_id = :t AND m.type IN ('purchase.recorded', 'purchase.refunded')
           AND (NOT EXISTS (SELECT 1 FROM purchases p WHERE p.tenant_id = :t AND p.id = m.aggregate_id)
             OR m.type = 'purchase.refunded' AND NOT EXISTS (
                SELECT 1 FROM purchase_refunds r WHERE r.tenant_id = :t AND r.id = (m.data ->> 'refund_id')::uuid))""",
    "I10 a sale or refund is not in the audit log once": """
        SELECT p.id AS what, count(e.id) - p.version AS off FROM purchases p
          LEFT JOIN audit_entries e ON e.tenant_id = :t AND e.object_type = 'purchase' AND e.object_id = p.id
           AND e.action IN ('purchase.record', 'purchase.refund', 'purchase.undo')
         WHERE p.tenant_id = :t AND p.source IN ('till', 'api') GROUP BY p.id, p.version HAVING count(e.id) <> p.version""",
}
