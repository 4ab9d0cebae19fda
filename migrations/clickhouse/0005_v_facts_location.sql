-- The purchases of one tenant, each once (D47).
CREATE OR REPLACE VIEW {database}.v_facts {on_cluster} AS
SELECT transaction_id, business_id, member_id, member_id AS user_id, ts, amount_minor, paid_with_bonus, bonus_accrued, refunded_minor,
       bonus_taken_back, bonus_given_back, amount_minor - refunded_minor AS net_minor, currency, category, source, tier, location, till,
       historical, version
FROM {database}.transaction_facts FINAL
WHERE tenant_id = {tenant:UUID} AND retain_until >= today()
SETTINGS do_not_merge_across_partitions_select_final = 1
