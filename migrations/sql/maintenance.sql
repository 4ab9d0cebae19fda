-- Forgetting what has no more use, in batches; the application has no DELETE on these tables (D13).
CREATE SCHEMA IF NOT EXISTS maintenance;

CREATE OR REPLACE FUNCTION maintenance.forget_delivered(p_older interval, p_limit int) RETURNS bigint LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    WITH old AS (
        SELECT tenant_id, id FROM outbox_messages m
         WHERE m.recorded_at < clock_timestamp() - p_older
           AND NOT EXISTS (SELECT 1 FROM outbox_deliveries d WHERE d.tenant_id = m.tenant_id AND d.message_id = m.id AND d.status <> 'delivered')
         LIMIT p_limit
    ), gone AS (
        DELETE FROM outbox_messages m USING old WHERE m.tenant_id = old.tenant_id AND m.id = old.id RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

GRANT USAGE ON SCHEMA maintenance TO portal_relay, portal_maintenance;
GRANT CREATE ON SCHEMA maintenance TO portal_maintenance;
GRANT SELECT, DELETE ON outbox_messages, outbox_deliveries TO portal_maintenance;
CREATE POLICY maintenance ON outbox_messages FOR ALL TO portal_maintenance USING (true) WITH CHECK (true);
CREATE POLICY maintenance ON outbox_deliveries FOR ALL TO portal_maintenance USING (true) WITH CHECK (true);
REVOKE ALL ON FUNCTION maintenance.forget_delivered(interval, int) FROM PUBLIC;
ALTER FUNCTION maintenance.forget_delivered(interval, int) OWNER TO portal_maintenance;
SET ROLE portal_maintenance;
GRANT EXECUTE ON FUNCTION maintenance.forget_delivered(interval, int) TO portal_relay;
RESET ROLE;
REVOKE CREATE ON SCHEMA maintenance FROM portal_maintenance;
