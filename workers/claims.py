"""The statements by which a relay takes deliveries, as role `portal_relay` over all tenants (D32, D34)."""

_FREE = "d.open AND d.subscriber = {name} AND d.available_at <= clock_timestamp() AND (d.status = 'pending' OR d.leased_until <= clock_timestamp(){lost})"
_MINE = _FREE.format(name="%(subscriber)s", lost=" - %(lost)s")
_DUE = _FREE.format(name="s.name", lost="")

# A lease that a crash takes back was no lease: its job finds another attempt and leaves the row alone. So nobody waits for
# the disk.
_UNHURRIED = "(SELECT set_config('synchronous_commit', 'off', true)) AS unhurried"

# Who has died with it often goes alone, so that it takes nobody along.
_LEASE = f"""
leased AS (
    UPDATE outbox_deliveries d
       SET status = CASE WHEN d.attempts >= %(most)s THEN 'dead' ELSE 'leased' END,
           last_error = CASE WHEN d.attempts >= %(most)s THEN coalesce(d.last_error, 'no worker came to an end with it') ELSE d.last_error END,
           attempts = CASE WHEN d.attempts >= %(most)s THEN d.attempts ELSE d.attempts + 1 END,
           leased_until = clock_timestamp() + %(lease)s
      FROM due, {_UNHURRIED} WHERE {{same}}
    RETURNING d.tenant_id, d.id, d.attempts, d.status, d.available_at, due.was = 'leased' AND d.attempts >= %(alone)s AS alone
)
SELECT alone, tenant_id::text, attempts, array_agg(id::text ORDER BY id), max(available_at) FROM leased WHERE status = 'leased'
 GROUP BY alone, tenant_id, attempts
"""

# What was claimed before `since` in this look is leased: nobody walks over it again. The lock makes the row's place certain.
ANY_ORDER = f"""
WITH due AS (
    SELECT d.ctid AS place, d.status AS was FROM outbox_deliveries d
     WHERE {_MINE} AND d.available_at >= %(since)s ORDER BY d.available_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), {_LEASE.format(same="d.ctid = due.place")}"""

# The head of an aggregate is its oldest open message; the run is what follows it without a gap, and shares its lease.
IN_ORDER = f"""
WITH heads AS (
    SELECT d.tenant_id, d.aggregate_type, d.aggregate_id, d.seq FROM outbox_deliveries d
     WHERE {_MINE}
       AND NOT EXISTS (SELECT 1 FROM outbox_deliveries o WHERE o.open AND o.ordered AND o.subscriber = d.subscriber AND o.tenant_id = d.tenant_id
                          AND o.aggregate_type = d.aggregate_type AND o.aggregate_id = d.aggregate_id AND o.seq < d.seq)
     ORDER BY d.seq LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED
), due AS (
    SELECT r.tenant_id, r.id, r.was FROM (
        SELECT d.tenant_id, d.id, d.status AS was, h.seq AS head,
               row_number() OVER (PARTITION BY d.tenant_id, d.aggregate_type, d.aggregate_id ORDER BY d.seq) AS n
          FROM heads h JOIN outbox_deliveries d USING (tenant_id, aggregate_type, aggregate_id)
         WHERE d.open AND d.ordered AND d.subscriber = %(subscriber)s) r
     WHERE r.n <= %(run)s ORDER BY r.head, r.n LIMIT %(limit)s
), {_LEASE.format(same="d.tenant_id = due.tenant_id AND d.id = due.id")}"""

# Who has something due: at once, or after `gather` seconds, or as soon as a whole batch is there.
DUE_SUBSCRIBERS = f"""
SELECT s.name FROM unnest(%(names)s::text[], %(gather)s::float8[]) AS s (name, gather)
 WHERE EXISTS (SELECT 1 FROM outbox_deliveries d WHERE {_DUE} AND d.available_at <= clock_timestamp() - s.gather * interval '1 s')
    OR (s.gather > 0 AND EXISTS (SELECT 1 FROM outbox_deliveries d WHERE {_DUE} OFFSET %(full)s))
"""

GIVE_BACK = """
UPDATE outbox_deliveries d SET status = 'pending', attempts = d.attempts - 1
 WHERE d.tenant_id = %(tenant)s AND d.id = ANY (%(ids)s::uuid[]) AND d.status = 'leased' AND d.attempts = %(attempt)s
"""

# A drain in one process, as `portal_app` inside a tenant: nothing that failed since it began, nothing behind a failure.
HERE = """
UPDATE outbox_deliveries SET status = 'leased', attempts = attempts + 1, leased_until = clock_timestamp() + interval '90 s'
 WHERE id IN (SELECT d.id FROM outbox_deliveries d
               WHERE d.open AND d.subscriber = :name AND d.available_at <= clock_timestamp() AND (d.attempts = 0 OR d.available_at <= :began)
                 AND (d.status = 'pending' OR d.leased_until <= clock_timestamp())
                 AND NOT (:ordered AND EXISTS (SELECT 1 FROM outbox_deliveries o WHERE o.open AND o.ordered AND o.subscriber = d.subscriber
                          AND o.aggregate_type = d.aggregate_type AND o.aggregate_id = d.aggregate_id AND o.seq < d.seq
                          AND o.attempts > 0 AND o.available_at > :began))
               ORDER BY d.seq LIMIT :limit) RETURNING id::text, attempts
"""
