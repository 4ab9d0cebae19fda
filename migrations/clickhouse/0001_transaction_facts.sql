-- One row a purchase; a refund is a new version of it (ANA-2). Retention counts from arrival (D46).
CREATE TABLE IF NOT EXISTS {database}.transaction_facts {on_cluster}
(
    tenant_id UUID,
    transaction_id UUID,
    business_id UUID,
    member_id UUID,
    ts DateTime64(3, 'UTC'),
    amount_minor Int64,
    paid_with_bonus Int64,
    bonus_accrued Int64,
    refunded_minor Int64,
    bonus_taken_back Int64,
    bonus_given_back Int64,
    net_minor Int64 ALIAS amount_minor - refunded_minor,
    currency LowCardinality(String),
    category LowCardinality(String),
    source LowCardinality(String),
    tier LowCardinality(String),
    till LowCardinality(String),
    historical UInt8,
    version UInt64,
    ingested_at DateTime DEFAULT now(),
    retain_until Date DEFAULT toDate(greatest(toDateTime(ts), ingested_at)) + INTERVAL 24 MONTH
)
ENGINE = {replicated}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(ts)
ORDER BY (tenant_id, toDate(ts), transaction_id)
TTL retain_until
