-- What each member bought at each business: the first time, the last time, how often, how much after refunds.
CREATE OR REPLACE VIEW {database}.v_members {on_cluster} AS
SELECT business_id, member_id, member_id AS user_id, currency, min(ts) AS first_at, max(ts) AS last_at, count() AS purchases,
       sum(amount_minor - refunded_minor) AS net_minor
FROM {database}.transaction_facts FINAL
WHERE tenant_id = {tenant:UUID} AND retain_until >= today() AND amount_minor > refunded_minor
GROUP BY business_id, member_id, currency
SETTINGS do_not_merge_across_partitions_select_final = 1
