-- A block sent twice under one token is taken once, on a single server too (ANA-1).
ALTER TABLE {database}.transaction_facts {on_cluster} MODIFY SETTING non_replicated_deduplication_window = 1000
