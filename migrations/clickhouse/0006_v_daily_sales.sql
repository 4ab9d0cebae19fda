-- Sales by business, currency and day of the tenant's zone, between two moments.
CREATE OR REPLACE VIEW {database}.v_daily_sales {on_cluster} AS
SELECT business_id, currency, toDate(ts, {zone:String}) AS day, sum(amount_minor - refunded_minor) AS sales, count() AS purchases,
       sum(bonus_accrued - bonus_taken_back) AS given, sum(paid_with_bonus - bonus_given_back) AS spent, uniqExact(member_id) AS members
FROM {database}.transaction_facts FINAL
WHERE tenant_id = {tenant:UUID} AND retain_until >= today()
  AND ts >= toDateTime64({since:String}, 3, 'UTC') AND ts < toDateTime64({until:String}, 3, 'UTC')
GROUP BY business_id, currency, day
SETTINGS do_not_merge_across_partitions_select_final = 1
