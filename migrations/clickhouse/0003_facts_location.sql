-- The place of a business where the purchase was made.
ALTER TABLE {database}.transaction_facts {on_cluster} ADD COLUMN IF NOT EXISTS location Nullable(UUID) AFTER tier
