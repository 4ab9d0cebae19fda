-- What the operator's room and a tenant's own pages may do to the platform's tables: these functions and nothing else.
-- Their owner, portal_steward, has no login and may write four tables; nobody who answers requests may write them directly.
CREATE SCHEMA IF NOT EXISTS platform;
GRANT USAGE ON SCHEMA platform TO portal_app, portal_platform, portal_owner;
GRANT USAGE, CREATE ON SCHEMA platform TO portal_steward;
GRANT SELECT, INSERT ON tenants, tenant_domains, currencies TO portal_steward;
GRANT UPDATE (status, suspended_at, suspended_reason, opening, modules, allowed_modules, limits) ON tenants TO portal_steward;
GRANT UPDATE (status, "primary", tenant_id) ON tenant_domains TO portal_steward;
GRANT SELECT ON domain_claims TO portal_steward;
CREATE POLICY steward ON tenants FOR ALL TO portal_steward USING (true) WITH CHECK (true);

-- A tenant with its hosts and currency. The same key again is the same tenant; `opening` is what is still to be done for it.
CREATE OR REPLACE FUNCTION platform.open_tenant(
    p_id uuid, p_slug text, p_name text, p_kind text, p_currency text, p_exponent int, p_currency_kind text, p_timezone text,
    p_locales text[], p_modules text[], p_brand jsonb, p_hosts text[], p_key text, p_opening jsonb
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_id uuid;
BEGIN
    INSERT INTO tenants (id, slug, name, kind, currency, timezone, default_locale, locales, modules, allowed_modules, brand,
                         status, opening_key, opening)
    VALUES (p_id, p_slug, p_name, p_kind, p_currency, p_timezone, p_locales[1], p_locales, p_modules, p_modules, p_brand,
            CASE WHEN p_opening IS NULL THEN 'active' ELSE 'opening' END, p_key, p_opening)
    ON CONFLICT DO NOTHING RETURNING id INTO v_id;
    IF v_id IS NULL THEN
        SELECT id INTO v_id FROM tenants WHERE opening_key = p_key;
        IF v_id IS NULL THEN
            RAISE EXCEPTION 'taken' USING ERRCODE = 'unique_violation', DETAIL = 'slug';
        END IF;
        RETURN v_id;
    END IF;
    INSERT INTO currencies VALUES (p_currency, p_exponent, p_currency_kind) ON CONFLICT DO NOTHING;
    INSERT INTO tenant_domains (host, tenant_id, "primary")
    SELECT host, v_id, n = 1 FROM unnest(p_hosts) WITH ORDINALITY AS wanted (host, n);
    RETURN v_id;
END $$;

-- What opening a tenant had to do is done: it answers from now on. For the acting tenant.
CREATE OR REPLACE FUNCTION platform.finish_opening() RETURNS boolean LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    WITH done AS (
        UPDATE tenants SET status = 'active', opening = NULL
         WHERE id = NULLIF(current_setting('app.tenant_id', true), '')::uuid AND status = 'opening' RETURNING 1
    ) SELECT EXISTS (SELECT 1 FROM done)
$$;

-- Stop a tenant with a reason, or let it go on (NULL).
CREATE OR REPLACE FUNCTION platform.set_suspended(p_tenant uuid, p_reason text) RETURNS boolean LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    WITH done AS (
        UPDATE tenants SET status = CASE WHEN p_reason IS NULL THEN 'active' ELSE 'suspended' END,
               suspended_at = CASE WHEN p_reason IS NULL THEN NULL ELSE clock_timestamp() END, suspended_reason = p_reason
         WHERE id = p_tenant AND status IN ('active', 'suspended') RETURNING 1
    ) SELECT EXISTS (SELECT 1 FROM done)
$$;

-- Which modules a tenant may use (what is taken away is switched off) and how much of everything.
CREATE OR REPLACE FUNCTION platform.set_terms(p_tenant uuid, p_modules text[], p_limits jsonb) RETURNS boolean LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH done AS (
        UPDATE tenants t SET allowed_modules = p_modules, limits = p_limits,
               modules = ARRAY(SELECT m FROM unnest(p_modules) AS m WHERE m = ANY (t.modules) OR NOT m = ANY (t.allowed_modules))
         WHERE id = p_tenant RETURNING 1
    ) SELECT EXISTS (SELECT 1 FROM done)
$$;

-- A host that the acting tenant has proved to be its own begins to answer. False when it is another tenant's that is in use.
CREATE OR REPLACE FUNCTION platform.activate_domain(p_host text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_tenant uuid := NULLIF(current_setting('app.tenant_id', true), '')::uuid;
BEGIN
    UPDATE tenant_domains SET status = 'active' WHERE host = p_host AND tenant_id = v_tenant;
    IF FOUND THEN
        RETURN true;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM domain_claims WHERE tenant_id = v_tenant AND host = p_host AND state = 'verified') THEN
        RETURN false;
    END IF;
    INSERT INTO tenant_domains AS d (host, tenant_id) VALUES (p_host, v_tenant)
    ON CONFLICT (host) DO UPDATE SET tenant_id = v_tenant, status = 'active', "primary" = false WHERE d.status = 'retired';
    RETURN FOUND;
END $$;

-- The acting tenant's first address; the one before it only leads there from now on.
CREATE OR REPLACE FUNCTION platform.make_domain_primary(p_host text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE v_tenant uuid := NULLIF(current_setting('app.tenant_id', true), '')::uuid;
BEGIN
    PERFORM 1 FROM tenant_domains WHERE tenant_id = v_tenant ORDER BY host FOR UPDATE;
    IF NOT EXISTS (SELECT 1 FROM tenant_domains WHERE host = p_host AND tenant_id = v_tenant AND status = 'active') THEN
        RETURN false;
    END IF;
    UPDATE tenant_domains SET "primary" = false, status = 'retired' WHERE tenant_id = v_tenant AND "primary" AND host <> p_host;
    UPDATE tenant_domains SET "primary" = true WHERE host = p_host;
    RETURN true;
END $$;

-- A further address of the acting tenant only leads to the first one from now on; the first one stays.
CREATE OR REPLACE FUNCTION platform.retire_domain(p_host text) RETURNS boolean LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    WITH done AS (
        UPDATE tenant_domains SET status = 'retired' WHERE host = p_host AND NOT "primary"
           AND tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid RETURNING 1
    ) SELECT EXISTS (SELECT 1 FROM done)
$$;

DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT p.oid::regprocedure AS name, p.proname FROM pg_proc p
                 JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'platform' LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one.name);
        EXECUTE format('ALTER FUNCTION %s OWNER TO portal_steward', one.name);
    END LOOP;
END $$;
SET ROLE portal_steward;
GRANT EXECUTE ON FUNCTION platform.open_tenant TO portal_platform, portal_owner;
GRANT EXECUTE ON FUNCTION platform.set_suspended, platform.set_terms TO portal_platform, portal_owner;
GRANT EXECUTE ON FUNCTION platform.finish_opening, platform.activate_domain, platform.make_domain_primary, platform.retire_domain TO portal_app;
RESET ROLE;
REVOKE CREATE ON SCHEMA platform FROM portal_steward;

-- What the operator counts (D2): sizes and numbers, no names.
CREATE POLICY platform ON stored_files FOR SELECT TO portal_platform USING (true);
CREATE POLICY platform ON notification_states FOR SELECT TO portal_platform USING (true);
CREATE POLICY platform ON api_key_uses FOR SELECT TO portal_platform USING (true);
CREATE POLICY platform ON business_staff FOR SELECT TO portal_platform USING (true);
GRANT SELECT (tenant_id, id, size, state) ON stored_files TO portal_platform;
GRANT SELECT (tenant_id, id, channel, state, updated_at) ON notification_states TO portal_platform;
GRANT SELECT (tenant_id, id, hour, uses) ON api_key_uses TO portal_platform;
GRANT SELECT (tenant_id, user_id, archived_at) ON business_staff TO portal_platform;
