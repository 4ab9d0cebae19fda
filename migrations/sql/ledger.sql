-- The ledger's only writers (D17). The functions that portal_app may call run as portal_ledger, which may write these
-- tables and nothing else; row-level security holds for it too, so every function sees the acting tenant alone. What
-- they share (find, post_one) has no rights of its own and is not granted to anybody.
-- No temporary tables in here: the caller could have made one of that name, with a trigger that runs as portal_ledger.

SET LOCAL row_security = on;  -- bodies are checked under the rule they will run under
CREATE SCHEMA IF NOT EXISTS ledger;

-- A UUIDv7, for rows that are born in here. Without SET it is inlined.
CREATE OR REPLACE FUNCTION ledger.new_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()), substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 3), 1, 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- An id for a row that belongs to a posting: the posting's own with other last bits, so that it costs no random number.
CREATE OR REPLACE FUNCTION ledger.part(tx uuid, n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(set_byte(uuid_send(tx), 15, get_byte(uuid_send(tx), 15) # n), 'hex')::uuid
$$;

CREATE OR REPLACE FUNCTION ledger.tenant() RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE t uuid := NULLIF(current_setting('app.tenant_id', true), '')::uuid;
BEGIN
    IF t IS NULL THEN RAISE EXCEPTION 'no tenant is acting' USING ERRCODE = 'KR000'; END IF;
    RETURN t;
END $$;

-- Whether an account keeps lots (D14): a member's bonus, locked and points.
CREATE OR REPLACE FUNCTION ledger.has_lots(w public.wallet_accounts) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT NOT w.lazy AND w.type IN ('bonus', 'locked', 'points')
$$;

-- Find or make an account. Lazy iff it has no floor (D19): whatever is not a member's.
CREATE OR REPLACE FUNCTION ledger.find(t uuid, p jsonb, p_currency text) RETURNS public.wallet_accounts LANGUAGE plpgsql AS $$
DECLARE
    k text := p ->> 'owner_kind'; o uuid := (p ->> 'owner_id')::uuid; y text := coalesce(p ->> 'owner_key', ''); a text := p ->> 'type';
    w wallet_accounts;
BEGIN
    IF o IS NULL THEN  -- two statements, since IS NOT DISTINCT FROM cannot use the index
        SELECT * INTO w FROM wallet_accounts x WHERE x.tenant_id = t AND x.owner_kind = k AND x.owner_id IS NULL
           AND x.owner_key = y AND x.currency = p_currency AND x.type = a;
    ELSE
        SELECT * INTO w FROM wallet_accounts x WHERE x.tenant_id = t AND x.owner_kind = k AND x.owner_id = o
           AND x.owner_key = y AND x.currency = p_currency AND x.type = a;
    END IF;
    IF w.id IS NOT NULL THEN RETURN w; END IF;
    IF (CASE k WHEN 'member' THEN o IS NOT NULL AND a IN ('main', 'bonus', 'locked', 'points')
              WHEN 'business' THEN o IS NOT NULL AND a IN ('issuance', 'payable')
              WHEN 'system' THEN o IS NULL AND a IN ('issuance', 'breakage', 'fees', 'clearing', 'fx') END) IS NOT TRUE THEN
        RAISE EXCEPTION 'no account of this kind: % %', k, a USING ERRCODE = 'KR500';
    END IF;
    INSERT INTO wallet_accounts (tenant_id, id, owner_kind, owner_id, owner_key, currency, type, lazy)
    VALUES (t, ledger.new_id(), k, o, y, p_currency, a, k <> 'member')
    ON CONFLICT (tenant_id, owner_kind, owner_id, owner_key, currency, type) DO NOTHING;
    RETURN ledger.find(t, p, p_currency);
END $$;

-- The id of an account, made when it is not there yet.
CREATE OR REPLACE FUNCTION ledger.account(p_owner_kind text, p_owner_id uuid, p_owner_key text, p_currency text, p_type text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN (ledger.find(ledger.tenant(), jsonb_build_object('owner_kind', p_owner_kind, 'owner_id', p_owner_id, 'owner_key', p_owner_key, 'type', p_type),
                        p_currency)).id;
END $$;

-- One posting between two accounts; see ledger.post for what `q` holds.
CREATE OR REPLACE FUNCTION ledger.post_one(t uuid, q jsonb, payer public.wallet_accounts, payee public.wallet_accounts, p_at timestamptz)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    tx uuid := (q ->> 'id')::uuid;
    kind text := q ->> 'type';
    cur text := q ->> 'currency';
    amt bigint := (q ->> 'amount')::bigint;
    happened timestamptz := coalesce((q ->> 'occurred_at')::timestamptz, p_at);
    lot jsonb := q -> 'lot';
    lot_from timestamptz := (lot ->> 'activates_at')::timestamptz;
    debt_limit bigint := coalesce((q ->> 'debt_limit')::bigint, 0);
    only_lot uuid := (q ->> 'only_lot')::uuid;
    draws boolean := ledger.has_lots(payer);
    own uuid[]; old ledger_transactions;
    there bigint; taken jsonb := '[]'; sum_taken bigint; short bigint := 0; repaid bigint := 0; restored bigint;
    payer_after bigint; payer_version bigint; payee_after bigint; payee_version bigint;
BEGIN
    IF payer.id = payee.id THEN RAISE EXCEPTION 'payer and payee are one account' USING ERRCODE = 'KR422'; END IF;
    IF (payer.type = 'locked' AND kind NOT IN ('activation', 'expiry', 'refund_reversal', 'adjustment', 'merge'))
       OR (kind = 'withdrawal' AND payer.type <> 'main') THEN
        RAISE EXCEPTION 'a % account cannot pay a %', payer.type, kind USING ERRCODE = 'KR423';
    END IF;
    IF draws AND q ? 'first' AND q ->> 'first' IS NOT NULL THEN  -- the lot of that posting, and what it became when it was activated
        own := ARRAY(SELECT (q ->> 'first')::uuid UNION ALL
                     SELECT x.id FROM ledger_transactions x WHERE x.tenant_id = t AND x.caused_by = (q ->> 'first')::uuid AND x.type = 'activation');
    END IF;

    IF coalesce((q ->> 'partial')::boolean, false) AND amt > 0 THEN  -- the caller holds the payer's lock
        SELECT * INTO old FROM ledger_transactions x WHERE x.tenant_id = t AND x.source = q ->> 'source' AND x.external_id = q ->> 'external_id';
        IF old.id IS NULL THEN
            IF draws THEN
                SELECT coalesce(sum(l.remaining - l.held), 0) INTO there FROM lots l
                 WHERE l.tenant_id = t AND l.account_id = payer.id AND l.remaining > 0
                   AND CASE WHEN payer.type = 'locked' OR kind = 'merge' THEN own IS NULL OR l.source_transaction_id = ANY (own)
                            ELSE l.activates_at <= p_at AND (l.expires_at IS NULL OR l.expires_at > p_at) END;
                SELECT there + greatest(debt_limit - w.debt, 0) INTO there FROM wallet_accounts w WHERE w.tenant_id = t AND w.id = payer.id;
            ELSE
                SELECT w.posted - w.held - w.floor INTO there FROM wallet_accounts w WHERE w.tenant_id = t AND w.id = payer.id AND NOT w.lazy;
            END IF;
            amt := least(amt, coalesce(there, amt));
            IF amt <= 0 THEN
                RETURN jsonb_build_object('id', NULL, 'replayed', false, 'amount', 0, 'allocations', '[]'::jsonb, 'payer_balance',
                    (SELECT w.posted FROM wallet_accounts w WHERE w.tenant_id = t AND w.id = payer.id AND NOT w.lazy));
            END IF;
        END IF;
    END IF;
    IF amt IS NULL OR amt <= 0 THEN RAISE EXCEPTION 'an amount must be above zero' USING ERRCODE = 'KR422'; END IF;

    INSERT INTO ledger_transactions (tenant_id, id, type, module, action, source, external_id, request_hash, currency, amount,
            member_id, business_id, reverses_id, caused_by, metadata, occurred_at, processed_at)
    VALUES (t, tx, kind, coalesce(q ->> 'module', ''), coalesce(q ->> 'action', kind), q ->> 'source', q ->> 'external_id',
            q ->> 'request_hash', cur, amt, (q ->> 'member_id')::uuid, (q ->> 'business_id')::uuid, (q ->> 'reverses_id')::uuid,
            (q ->> 'caused_by')::uuid, coalesce(q -> 'details', '{}'), happened, p_at)
    ON CONFLICT (tenant_id, source, external_id) DO NOTHING;
    IF NOT FOUND THEN  -- it is there, or another session was first and has committed by now
        SELECT * INTO STRICT old FROM ledger_transactions x WHERE x.tenant_id = t AND x.source = q ->> 'source' AND x.external_id = q ->> 'external_id';
        IF old.request_hash <> q ->> 'request_hash' THEN
            RAISE EXCEPTION 'the same key with other content' USING ERRCODE = 'KR409',
                DETAIL = coalesce(jsonb_build_object('key', old.external_id, 'request', old.metadata -> 'request')::text, '{}');
        END IF;
        RETURN jsonb_build_object('id', old.id, 'replayed', true, 'amount', old.amount,
            'payer_balance', (SELECT e.balance_after FROM ledger_entries e WHERE e.tenant_id = t AND e.transaction_id = old.id AND e.amount < 0),
            'payee_balance', (SELECT e.balance_after FROM ledger_entries e WHERE e.tenant_id = t AND e.transaction_id = old.id AND e.amount > 0),
            'allocations', (SELECT coalesce(jsonb_agg(jsonb_build_object('lot', a.lot_id, 'amount', a.amount) ORDER BY a.seq), '[]') FROM lot_allocations a
                             WHERE a.tenant_id = t AND a.debit_transaction_id = old.id AND a.amount > 0));
    END IF;

    -- The payer: its row is locked by the update, then its lots are drawn in LOY-3's order, the purchase's own first (LOY-6).
    IF NOT payer.lazy THEN
        UPDATE wallet_accounts w SET posted = w.posted - amt, version = w.version + 1, floor = least(w.floor, -debt_limit)
         WHERE w.tenant_id = t AND w.id = payer.id AND w.posted - w.held - amt >= least(w.floor, -debt_limit)
        RETURNING w.posted, w.version INTO payer_after, payer_version;
        IF NOT FOUND THEN RAISE EXCEPTION 'insufficient funds' USING ERRCODE = 'KR402'; END IF;
    END IF;
    IF draws THEN
        WITH free AS (
            SELECT l.id, l.remaining - l.held AS free,
                   sum(l.remaining - l.held) OVER (
                       ORDER BY (l.source_transaction_id = ANY (own)) IS TRUE DESC, l.priority, l.granted DESC, l.expires_at NULLS LAST, l.created_at, l.seq
                       ROWS UNBOUNDED PRECEDING) AS running
              FROM lots l
             WHERE l.tenant_id = t AND l.account_id = payer.id AND l.remaining > 0 AND l.remaining > l.held
               AND CASE WHEN only_lot IS NOT NULL THEN l.id = only_lot  -- whatever its dates: expiry and activation
                        WHEN payer.type = 'locked' OR kind = 'merge' THEN own IS NULL OR l.source_transaction_id = ANY (own)  -- D28: whatever their dates
                        ELSE l.activates_at <= p_at AND (l.expires_at IS NULL OR l.expires_at > p_at) END
        ), part AS (
            SELECT id, least(free, amt - (running - free)) AS amount, running FROM free WHERE running - free < amt
        ), moved AS (
            UPDATE lots l SET remaining = l.remaining - part.amount,
                   state = CASE WHEN l.remaining > part.amount THEN l.state WHEN kind = 'expiry' THEN 'expired'
                                WHEN l.state = 'pending' AND kind <> 'activation' THEN 'voided' ELSE 'exhausted' END
              FROM part WHERE l.tenant_id = t AND l.id = part.id
            RETURNING l.id, part.amount, part.running
        ), noted AS (
            INSERT INTO lot_allocations (tenant_id, id, debit_transaction_id, lot_id, amount)
            SELECT t, ledger.new_id(), tx, id, amount FROM moved ORDER BY running
            RETURNING lot_id, amount
        )
        SELECT coalesce(jsonb_agg(jsonb_build_object('lot', lot_id, 'amount', amount)), '[]'), coalesce(sum(amount), 0) INTO taken, sum_taken FROM noted;
        short := amt - sum_taken;
        IF short > 0 THEN  -- D15: below zero only under a program that allows it
            UPDATE wallet_accounts w SET debt = w.debt + short WHERE w.tenant_id = t AND w.id = payer.id AND w.debt + short <= debt_limit;
            IF NOT FOUND THEN RAISE EXCEPTION 'insufficient funds' USING ERRCODE = 'KR402'; END IF;
        END IF;
    END IF;

    -- The payee: what comes in pays a debt first (D15), the rest goes into lots.
    IF NOT payee.lazy THEN
        UPDATE wallet_accounts w SET posted = w.posted + amt, version = w.version + 1
         WHERE w.tenant_id = t AND w.id = payee.id
        RETURNING w.posted, w.version, least(w.debt, amt) INTO payee_after, payee_version, repaid;
    END IF;
    IF ledger.has_lots(payee) THEN
        IF repaid > 0 THEN
            UPDATE wallet_accounts w SET debt = w.debt - repaid WHERE w.tenant_id = t AND w.id = payee.id;
        END IF;
        IF jsonb_typeof(q -> 'restores') = 'array' THEN  -- LOY-6: into the same lots
            WITH back AS (
                SELECT r.lot, r.expires_at, r.amount - greatest(0, least(r.amount, repaid - (sum(r.amount) OVER (ORDER BY r.n) - r.amount))) AS amount
                  FROM ROWS FROM (jsonb_to_recordset(q -> 'restores') AS (lot uuid, amount bigint, expires_at timestamptz)) WITH ORDINALITY
                       AS r (lot, amount, expires_at, n)
            ), moved AS (
                UPDATE lots l SET remaining = l.remaining + back.amount, expires_at = coalesce(back.expires_at, l.expires_at),
                       state = CASE payee.type WHEN 'locked' THEN 'pending' ELSE 'active' END
                  FROM back WHERE l.tenant_id = t AND l.id = back.lot AND l.account_id = payee.id AND back.amount > 0 AND l.remaining + back.amount <= l.amount
                RETURNING l.id, back.amount
            ), noted AS (
                INSERT INTO lot_allocations (tenant_id, id, debit_transaction_id, lot_id, amount)
                SELECT t, ledger.new_id(), tx, id, -amount FROM moved RETURNING amount
            )
            SELECT coalesce(-sum(amount), 0) INTO restored FROM noted;
            IF restored <> amt - repaid THEN
                RAISE EXCEPTION 'these lots cannot take back % but %', amt - repaid, restored USING ERRCODE = 'KR500';
            END IF;
        ELSIF draws THEN  -- between members, or locked to bonus: the lots move with their dates
            INSERT INTO lots (tenant_id, id, account_id, source_transaction_id, amount, remaining, priority, granted, activates_at, expires_at, state, created_at)
            SELECT t, ledger.new_id(), payee.id, tx, m.rest, m.rest, m.priority, m.granted, m.activates_at, m.expires_at,
                   CASE payee.type WHEN 'locked' THEN 'pending' ELSE 'active' END, m.created_at
              FROM (SELECT l.*, a.amount - greatest(0, least(a.amount, repaid - (sum(a.amount) OVER (ORDER BY a.seq) - a.amount))) AS rest
                      FROM lot_allocations a JOIN lots l ON l.tenant_id = t AND l.id = a.lot_id
                     WHERE a.tenant_id = t AND a.debit_transaction_id = tx) m
             WHERE m.rest > 0 ORDER BY m.seq;
        ELSIF amt > repaid THEN
            INSERT INTO lots (tenant_id, id, account_id, source_transaction_id, amount, remaining, priority, granted, activates_at, expires_at, state, created_at)
            VALUES (t, ledger.part(tx, 3), payee.id, tx, amt - repaid, amt - repaid, coalesce((lot ->> 'priority')::int, 50),
                    coalesce((lot ->> 'granted')::boolean, true), coalesce(lot_from, happened), (lot ->> 'expires_at')::timestamptz,
                    CASE payee.type WHEN 'locked' THEN 'pending' ELSE 'active' END, happened);
        END IF;
    END IF;
    INSERT INTO ledger_entries (tenant_id, id, transaction_id, account_id, member_id, currency, amount, balance_before, balance_after, account_version, occurred_at)
    VALUES (t, ledger.part(tx, 1), tx, payer.id, CASE WHEN payer.owner_kind = 'member' THEN payer.owner_id END, cur, -amt, payer_after + amt, payer_after, payer_version, happened),
           (t, ledger.part(tx, 2), tx, payee.id, CASE WHEN payee.owner_kind = 'member' THEN payee.owner_id END, cur, amt, payee_after - amt, payee_after, payee_version, happened);
    RETURN jsonb_build_object('id', tx, 'replayed', false, 'amount', amt, 'payer_balance', payer_after, 'payee_balance', payee_after, 'allocations', taken);
END $$;

-- Post several movements in one round trip, all or none. Each has id, type, module, action, source, external_id, request_hash,
-- currency, amount, payer, payee {owner_kind, owner_id, owner_key, type}, and may have member_id, business_id, occurred_at,
-- caused_by, reverses_id, details, lot {activates_at, expires_at, priority, granted}, first (a posting whose lot is drawn
-- first), only_lot, partial (take what there is), restores [{lot, amount, expires_at}], debt_limit (how far below zero).
-- `p_at` is the business clock. Answers, in order: [{id, replayed, amount, payer_balance, payee_balance, allocations}].
CREATE OR REPLACE FUNCTION ledger.post(p_postings jsonb, p_at timestamptz) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    t uuid := ledger.tenant(); q jsonb; n int := 0; a wallet_accounts; b wallet_accounts;
    payers wallet_accounts[] := '{}'; payees wallet_accounts[] := '{}'; eager uuid[] := '{}'; first_lock boolean := false; answers jsonb := '[]';
BEGIN
    IF jsonb_array_length(p_postings) = 1 THEN  -- the payer is locked by its own update; who comes before it in id order is locked here (D18)
        q := p_postings -> 0;
        a := ledger.find(t, q -> 'payer', q ->> 'currency'); b := ledger.find(t, q -> 'payee', q ->> 'currency');
        IF NOT b.lazy AND NOT a.lazy AND b.id < a.id THEN
            PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.id = b.id FOR NO KEY UPDATE;
        END IF;
        IF NOT a.lazy AND (q ->> 'partial')::boolean THEN
            PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.id = a.id FOR NO KEY UPDATE;
        END IF;
        RETURN jsonb_build_array(ledger.post_one(t, q, a, b, p_at));
    END IF;
    FOR q IN SELECT * FROM jsonb_array_elements(p_postings) LOOP
        a := ledger.find(t, q -> 'payer', q ->> 'currency'); b := ledger.find(t, q -> 'payee', q ->> 'currency');
        payers := payers || a; payees := payees || b;
        IF NOT a.lazy AND a.id <> ALL (eager) THEN eager := eager || a.id; END IF;
        IF NOT b.lazy AND b.id <> ALL (eager) THEN eager := eager || b.id; END IF;
        first_lock := first_lock OR coalesce((q ->> 'partial')::boolean, false);
    END LOOP;
    IF first_lock OR cardinality(eager) > 1 THEN  -- D18; a single account is locked by its own update
        PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.id = ANY (eager) ORDER BY w.id FOR NO KEY UPDATE;
    END IF;
    FOR q IN SELECT * FROM jsonb_array_elements(p_postings) LOOP
        n := n + 1;
        answers := answers || ledger.post_one(t, q, payers[n], payees[n], p_at);
    END LOOP;
    RETURN answers;
END $$;

-- A posting that is a command of its own: tenant, clock, posting and entry in the audit log by one statement without a
-- transaction around it. Runs as its caller, who may write the log; a replay leaves no entry. Answers as ledger.post, one.
CREATE OR REPLACE FUNCTION ledger.post_alone(p_tenant uuid, p_posting jsonb, p_entry uuid, p_action text, p_actor uuid, p_actor_kind text,
    p_on_behalf_of uuid, p_object_type text, p_object_id uuid, p_reason text, p_ip text, p_request text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE done jsonb; happened timestamptz;
BEGIN
    PERFORM set_config('app.tenant_id', p_tenant::text, true);
    IF p_object_type = 'member' THEN  -- a merge waits for this posting, or is seen by it (D28)
        PERFORM 1 FROM public.users u WHERE u.tenant_id = p_tenant AND u.id = p_object_id FOR KEY SHARE;
        IF EXISTS (SELECT 1 FROM public.users u WHERE u.tenant_id = p_tenant AND u.id = p_object_id AND u.merged_into IS NOT NULL) THEN
            RAISE EXCEPTION 'this member was merged into another' USING ERRCODE = 'KR410';
        END IF;
    END IF;
    happened := clock_timestamp() + coalesce((SELECT x.clock_offset FROM public.tenants x WHERE x.id = p_tenant AND x.kind = 'sandbox'), interval '0');
    done := ledger.post(jsonb_build_array(p_posting), happened) -> 0;
    IF done ->> 'id' IS NOT NULL AND NOT (done ->> 'replayed')::boolean THEN
        INSERT INTO public.audit_entries (tenant_id, id, action, actor_id, actor_kind, on_behalf_of, object_type, object_id, changes, reason, ip, request_id, occurred_at)
        VALUES (p_tenant, p_entry, p_action, p_actor, p_actor_kind, p_on_behalf_of, p_object_type, p_object_id,
                jsonb_build_array(jsonb_build_object('table', 'ledger_transactions', 'key', done ->> 'id',
                                                     'fields', jsonb_build_object('amount', jsonb_build_array(NULL, (done ->> 'amount')::bigint)))),
                p_reason, p_ip, p_request, happened);
    END IF;
    RETURN done;
END $$;

-- Accruals in bulk (imports): one lock and one update an account however many rows (D5). The arrays are columns of one
-- table, a row an accrual. What is there already is left alone and told; a lot whose date has passed is written as
-- expired, with its breakage pair (D27). Answers {posted, skipped: [external_id], differing: [external_id with another hash]}.
DROP FUNCTION IF EXISTS ledger.post_batch;
CREATE FUNCTION ledger.post_batch(p_ids uuid[], p_keys text[], p_hashes text[], p_members uuid[], p_amounts bigint[], p_occurred timestamptz[],
    p_expires timestamptz[], p_causes uuid[], p_details text[], p_currency text, p_business uuid, p_source text, p_module text, p_at timestamptz)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t uuid := ledger.tenant(); issuer uuid; breakage uuid; members uuid[]; done bigint; skipped jsonb := '[]'; differing jsonb := '[]';
BEGIN
    IF EXISTS (SELECT 1 FROM unnest(p_amounts) AS r (amount) WHERE r.amount IS NULL OR r.amount <= 0) THEN
        RAISE EXCEPTION 'an amount must be above zero' USING ERRCODE = 'KR422';
    END IF;
    issuer := (ledger.find(t, jsonb_build_object('owner_kind', 'business', 'owner_id', p_business, 'type', 'issuance'), p_currency)).id;
    breakage := (ledger.find(t, '{"owner_kind": "system", "owner_key": "breakage", "type": "breakage"}', p_currency)).id;
    members := ARRAY(SELECT DISTINCT m FROM unnest(p_members) AS m ORDER BY 1);
    INSERT INTO wallet_accounts (tenant_id, id, owner_kind, owner_id, owner_key, currency, type, lazy)
    SELECT t, ledger.new_id(), 'member', m.id, '', p_currency, 'bonus', false
      FROM unnest(members) AS m (id)
     WHERE NOT EXISTS (SELECT 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.owner_kind = 'member' AND w.owner_id = m.id AND w.owner_key = ''
                          AND w.currency = p_currency AND w.type = 'bonus')
    ON CONFLICT (tenant_id, owner_kind, owner_id, owner_key, currency, type) DO NOTHING;
    PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.owner_kind = 'member' AND w.owner_id = ANY (members) AND w.owner_key = ''
        AND w.currency = p_currency AND w.type = 'bonus' ORDER BY w.id FOR NO KEY UPDATE;

    WITH req AS MATERIALIZED (
        SELECT r.*, w.id AS account_id, w.posted AS posted_before, w.version AS version_before, w.debt AS debt_before
          FROM unnest(p_ids, p_keys, p_hashes, p_members, p_amounts, p_occurred, p_expires, p_causes, p_details) WITH ORDINALITY
               AS r (id, external_id, request_hash, member_id, amount, occurred_at, expires_at, caused_by, details, n)
          JOIN wallet_accounts w ON w.tenant_id = t AND w.owner_kind = 'member' AND w.owner_id = r.member_id AND w.owner_key = ''
           AND w.currency = p_currency AND w.type = 'bonus'
    ), inserted AS (
        INSERT INTO ledger_transactions (tenant_id, id, type, module, action, source, external_id, request_hash, currency, amount, member_id,
               business_id, caused_by, metadata, occurred_at, processed_at)
        SELECT t, r.id, 'accrual', p_module, 'accrual', p_source, r.external_id, r.request_hash, p_currency, r.amount, r.member_id,
               p_business, r.caused_by, r.details::jsonb, r.occurred_at, p_at
          FROM req r ORDER BY r.n
        ON CONFLICT (tenant_id, source, external_id) DO NOTHING
        RETURNING id
    ), fresh AS MATERIALIZED (
        SELECT r.*, ledger.part(r.id, 3) AS lot_id, CASE WHEN r.expires_at <= p_at THEN ledger.new_id() END AS expiry_id,
               coalesce(sum(r.amount) FILTER (WHERE r.expires_at IS NULL OR r.expires_at > p_at) OVER earlier, 0) AS kept_before
          FROM req r JOIN inserted USING (id)
        WINDOW earlier AS (PARTITION BY r.account_id ORDER BY r.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), lotted AS MATERIALIZED (  -- D15: the first of what stays pays the debt
        SELECT f.*, f.amount - CASE WHEN f.expiry_id IS NULL THEN greatest(0, least(f.amount, f.debt_before - f.kept_before)) ELSE 0 END AS kept FROM fresh f
    ), expiry AS (
        INSERT INTO ledger_transactions (tenant_id, id, type, module, action, source, external_id, request_hash, currency, amount, member_id,
               business_id, caused_by, occurred_at, processed_at)
        SELECT t, f.expiry_id, 'expiry', 'loyalty', 'expiry', 'expiry', 'expire:' || f.lot_id || ':1', '', p_currency, f.amount, f.member_id,
               p_business, f.id, f.expires_at, p_at
          FROM fresh f WHERE f.expiry_id IS NOT NULL ORDER BY f.n
    ), lot AS (
        INSERT INTO lots (tenant_id, id, account_id, source_transaction_id, amount, remaining, activates_at, expires_at, state, created_at)
        SELECT t, f.lot_id, f.account_id, f.id, f.kept, CASE WHEN f.expiry_id IS NULL THEN f.kept ELSE 0 END, f.occurred_at, f.expires_at,
               CASE WHEN f.expiry_id IS NULL THEN 'active' ELSE 'expired' END, f.occurred_at
          FROM lotted f WHERE f.kept > 0 ORDER BY f.n
    ), allocated AS (
        INSERT INTO lot_allocations (tenant_id, id, debit_transaction_id, lot_id, amount)
        SELECT t, ledger.part(f.expiry_id, 3), f.expiry_id, f.lot_id, f.amount FROM fresh f WHERE f.expiry_id IS NOT NULL
    ), step AS (
        SELECT f.n, 0 AS step, f.id AS transaction_id, f.account_id, f.member_id, f.amount, f.occurred_at AS at, f.posted_before, f.version_before FROM fresh f
        UNION ALL
        SELECT f.n, 1, f.expiry_id, f.account_id, f.member_id, -f.amount, f.expires_at, f.posted_before, f.version_before FROM fresh f WHERE f.expiry_id IS NOT NULL
    ), run AS MATERIALIZED (
        SELECT s.*, s.posted_before + sum(s.amount) OVER o AS balance_after, s.version_before + row_number() OVER o AS account_version
          FROM step s WINDOW o AS (PARTITION BY s.account_id ORDER BY s.n, s.step ROWS UNBOUNDED PRECEDING)
    ), entry AS (
        INSERT INTO ledger_entries (tenant_id, id, transaction_id, account_id, member_id, currency, amount, balance_before, balance_after,
               account_version, occurred_at)
        SELECT t, e.* FROM (
            SELECT ledger.part(r.transaction_id, 2), r.transaction_id, r.account_id, r.member_id, p_currency, r.amount, r.balance_after - r.amount, r.balance_after, r.account_version, r.at FROM run r
            UNION ALL
            SELECT ledger.part(r.transaction_id, 1), r.transaction_id, CASE r.step WHEN 0 THEN issuer ELSE breakage END, NULL, p_currency, -r.amount, NULL, NULL, NULL, r.at FROM run r
        ) e
    ), moved AS (
        UPDATE wallet_accounts w SET posted = w.posted + s.moved, version = w.version + s.steps, debt = w.debt - s.repaid
          FROM (SELECT f.account_id, sum(CASE WHEN f.expiry_id IS NULL THEN f.amount ELSE 0 END) AS moved, sum(f.amount - f.kept) AS repaid,
                       count(*) + count(f.expiry_id) AS steps
                  FROM lotted f GROUP BY 1) s
         WHERE w.tenant_id = t AND w.id = s.account_id
    )
    SELECT count(*) INTO done FROM inserted;

    IF done < cardinality(p_ids) THEN
        SELECT coalesce(jsonb_agg(r.external_id ORDER BY r.n), '[]'),
               coalesce(jsonb_agg(r.external_id ORDER BY r.n) FILTER (WHERE x.request_hash <> r.request_hash), '[]') INTO skipped, differing
          FROM unnest(p_ids, p_keys, p_hashes) WITH ORDINALITY AS r (id, external_id, request_hash, n)
          JOIN ledger_transactions x ON x.tenant_id = t AND x.source = p_source AND x.external_id = r.external_id
         WHERE x.id <> r.id;
    END IF;
    RETURN jsonb_build_object('posted', done, 'skipped', skipped, 'differing', differing);
END $$;

-- Lots whose date has come: their rest goes to breakage (LOY-5), what is held stays. Harmless twice; returns how many lots.
CREATE OR REPLACE FUNCTION ledger.expire(p_at timestamptz, p_limit int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t uuid := ledger.tenant(); due uuid[]; c text; done bigint := 0;
BEGIN
    due := ARRAY(SELECT l.id FROM lots l WHERE l.tenant_id = t AND l.remaining > 0 AND l.remaining > l.held AND l.expires_at IS NOT NULL AND l.expires_at <= p_at
                  ORDER BY l.expires_at, l.seq LIMIT p_limit);
    IF cardinality(due) = 0 THEN RETURN 0; END IF;
    FOR c IN SELECT DISTINCT w.currency FROM lots l JOIN wallet_accounts w ON w.tenant_id = t AND w.id = l.account_id
              WHERE l.tenant_id = t AND l.id = ANY (due) LOOP
        PERFORM ledger.find(t, '{"owner_kind": "system", "owner_key": "breakage", "type": "breakage"}', c);
    END LOOP;
    PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.id IN (SELECT l.account_id FROM lots l WHERE l.tenant_id = t AND l.id = ANY (due))
      ORDER BY w.id FOR NO KEY UPDATE;
    WITH lot AS MATERIALIZED (  -- read again under the lock
        SELECT l.id AS lot_id, l.account_id, l.remaining - l.held AS rest, l.remaining = l.remaining - l.held AS whole, l.expires_at, l.source_transaction_id,
               x.business_id, w.owner_id, w.currency, b.id AS breakage_id, ledger.new_id() AS id,
               1 + (SELECT count(*) FROM lot_allocations a JOIN ledger_transactions y ON y.tenant_id = t AND y.id = a.debit_transaction_id AND y.type = 'expiry'
                     WHERE a.tenant_id = t AND a.lot_id = l.id) AS n,
               w.posted - sum(l.remaining - l.held) OVER o AS balance_after, w.version + row_number() OVER o AS account_version
          FROM lots l
          JOIN wallet_accounts w ON w.tenant_id = t AND w.id = l.account_id
          JOIN ledger_transactions x ON x.tenant_id = t AND x.id = l.source_transaction_id
          JOIN wallet_accounts b ON b.tenant_id = t AND b.owner_kind = 'system' AND b.owner_id IS NULL AND b.owner_key = 'breakage'
           AND b.currency = w.currency AND b.type = 'breakage'
         WHERE l.tenant_id = t AND l.id = ANY (due) AND l.remaining > l.held AND l.expires_at <= p_at
        WINDOW o AS (PARTITION BY l.account_id ORDER BY l.expires_at, l.seq ROWS UNBOUNDED PRECEDING)
    ), posting AS (
        INSERT INTO ledger_transactions (tenant_id, id, type, module, action, source, external_id, request_hash, currency, amount, member_id,
               business_id, caused_by, occurred_at, processed_at)
        SELECT t, l.id, 'expiry', 'loyalty', 'expiry', 'expiry', 'expire:' || l.lot_id || ':' || l.n, '', l.currency, l.rest, l.owner_id,
               l.business_id, l.source_transaction_id, l.expires_at, p_at
          FROM lot l ORDER BY l.account_id, l.account_version
    ), emptied AS (
        UPDATE lots x SET remaining = x.remaining - l.rest, state = CASE WHEN l.whole THEN 'expired' ELSE x.state END
          FROM lot l WHERE x.tenant_id = t AND x.id = l.lot_id
    ), allocated AS (
        INSERT INTO lot_allocations (tenant_id, id, debit_transaction_id, lot_id, amount) SELECT t, ledger.new_id(), l.id, l.lot_id, l.rest FROM lot l
    ), entry AS (
        INSERT INTO ledger_entries (tenant_id, id, transaction_id, account_id, member_id, currency, amount, balance_before, balance_after,
               account_version, occurred_at)
        SELECT t, ledger.new_id(), e.* FROM (
            SELECT l.id, l.account_id, l.owner_id, l.currency, -l.rest, l.balance_after + l.rest, l.balance_after, l.account_version, l.expires_at FROM lot l
            UNION ALL
            SELECT l.id, l.breakage_id, NULL, l.currency, l.rest, NULL, NULL, NULL, l.expires_at FROM lot l
        ) e
    ), moved AS (
        UPDATE wallet_accounts w SET posted = w.posted - s.rest, version = w.version + s.steps
          FROM (SELECT l.account_id, sum(l.rest) AS rest, count(*) AS steps FROM lot l GROUP BY 1) s
         WHERE w.tenant_id = t AND w.id = s.account_id
    )
    SELECT count(*) INTO done FROM lot;
    RETURN done;
END $$;

-- Lots whose waiting time is over move from locked to bonus with their dates (WAL-6, D14). Returns how many.
CREATE OR REPLACE FUNCTION ledger.activate(p_at timestamptz, p_limit int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t uuid := ledger.tenant(); r record; done bigint := 0; due uuid[]; bonus wallet_accounts;
BEGIN
    due := ARRAY(SELECT l.id FROM lots l WHERE l.tenant_id = t AND l.state = 'pending' AND l.activates_at <= p_at AND l.remaining > l.held
                  ORDER BY l.activates_at, l.seq LIMIT p_limit);
    IF cardinality(due) = 0 THEN RETURN 0; END IF;
    FOR r IN SELECT DISTINCT w.owner_id, w.currency FROM lots l JOIN wallet_accounts w ON w.tenant_id = t AND w.id = l.account_id
              WHERE l.tenant_id = t AND l.id = ANY (due) ORDER BY 1 LOOP
        PERFORM ledger.find(t, jsonb_build_object('owner_kind', 'member', 'owner_id', r.owner_id, 'type', 'bonus'), r.currency);
    END LOOP;
    PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.owner_kind = 'member' AND w.type IN ('locked', 'bonus') AND w.owner_id IN (
        SELECT a.owner_id FROM lots l JOIN wallet_accounts a ON a.tenant_id = t AND a.id = l.account_id WHERE l.tenant_id = t AND l.id = ANY (due))
      ORDER BY w.id FOR NO KEY UPDATE;
    FOR r IN
        SELECT l.id, l.remaining - l.held AS rest, l.activates_at, l.source_transaction_id, x.business_id, w AS locked FROM lots l
          JOIN wallet_accounts w ON w.tenant_id = t AND w.id = l.account_id
          JOIN ledger_transactions x ON x.tenant_id = t AND x.id = l.source_transaction_id
         WHERE l.tenant_id = t AND l.id = ANY (due) AND l.state = 'pending' AND l.remaining > l.held ORDER BY w.id, l.seq
    LOOP
        bonus := ledger.find(t, jsonb_build_object('owner_kind', 'member', 'owner_id', (r.locked).owner_id, 'type', 'bonus'), (r.locked).currency);
        PERFORM ledger.post_one(t, jsonb_build_object('id', ledger.new_id(), 'type', 'activation', 'module', 'loyalty', 'source', 'activation',
            'external_id', r.id, 'request_hash', '', 'currency', (r.locked).currency, 'amount', r.rest, 'member_id', (r.locked).owner_id,
            'business_id', r.business_id, 'occurred_at', r.activates_at, 'caused_by', r.source_transaction_id, 'only_lot', r.id), r.locked, bonus, p_at);
        done := done + 1;
    END LOOP;
    RETURN done;
END $$;

-- A balance now; a lazy account's is its checkpoint and the entries after it, in one statement (D19).
CREATE OR REPLACE FUNCTION ledger.balance(p_account uuid) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT (w.posted + CASE WHEN w.lazy THEN coalesce((SELECT sum(e.amount) FROM ledger_entries e
             WHERE e.tenant_id = w.tenant_id AND e.account_id = w.id AND e.account_version IS NULL AND e.xact_id >= w.folded_through), 0) ELSE 0 END)::bigint
      FROM wallet_accounts w WHERE w.tenant_id = ledger.tenant() AND w.id = p_account
$$;

-- Add what is settled to the checkpoints of lazy accounts; returns how many moved. Entries of transactions that still run,
-- or began before one that does, stay in the tail (D19): a sequence number would lose those that commit late.
CREATE OR REPLACE FUNCTION ledger.fold() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t uuid := ledger.tenant(); settled xid8 := pg_snapshot_xmin(pg_current_snapshot()); a record; done bigint := 0; s bigint;
BEGIN
    FOR a IN SELECT w.id FROM wallet_accounts w WHERE w.tenant_id = t AND w.lazy AND w.folded_through < settled ORDER BY w.id FOR NO KEY UPDATE SKIP LOCKED LOOP
        SELECT sum(e.amount) INTO s FROM ledger_entries e JOIN wallet_accounts w ON w.tenant_id = t AND w.id = a.id
         WHERE e.tenant_id = t AND e.account_id = a.id AND e.account_version IS NULL AND e.xact_id >= w.folded_through AND e.xact_id < settled;
        IF s IS NOT NULL THEN
            UPDATE wallet_accounts w SET posted = w.posted + s, folded_through = settled WHERE w.tenant_id = t AND w.id = a.id;
            done := done + 1;
        END IF;
    END LOOP;
    RETURN done;
END $$;

-- Every posting sums to zero in each currency, whoever writes it (D17).
CREATE OR REPLACE FUNCTION ledger.refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM written GROUP BY tenant_id, transaction_id, currency HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'the entries of a posting do not sum to zero' USING ERRCODE = 'KR500';
    END IF;
    RETURN NULL;
END $$;

-- History stays as it was written (WAL-2, D16).
CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'KR500';
END $$;

-- A posting's status moves once, from pending to its end; nothing else of it moves (WAL-4).
CREATE OR REPLACE FUNCTION ledger.guard_transaction() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.status <> 'pending' OR NEW.status NOT IN ('success', 'failed', 'cancelled')
       OR to_jsonb(OLD) - 'status' - 'processed_at' <> to_jsonb(NEW) - 'status' - 'processed_at' THEN
        RAISE EXCEPTION 'a posting is final' USING ERRCODE = 'KR500';
    END IF;
    RETURN NEW;
END $$;

DROP TRIGGER IF EXISTS sums_to_zero ON ledger_entries;
CREATE TRIGGER sums_to_zero AFTER INSERT ON ledger_entries REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_unbalanced();
DROP TRIGGER IF EXISTS append_only ON ledger_entries;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_entries FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
DROP TRIGGER IF EXISTS append_only ON lot_allocations;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON lot_allocations FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
DROP TRIGGER IF EXISTS append_only ON audit_entries;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entries FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
DROP TRIGGER IF EXISTS final ON ledger_transactions;
CREATE TRIGGER final BEFORE UPDATE OR DELETE ON ledger_transactions FOR EACH ROW EXECUTE FUNCTION ledger.guard_transaction();

-- Who may do what: portal_ledger writes, portal_app calls.
GRANT USAGE ON SCHEMA ledger TO portal_app, portal_ledger;
GRANT CREATE ON SCHEMA ledger TO portal_ledger;
GRANT SELECT, INSERT, UPDATE ON wallet_accounts, lots TO portal_ledger;
GRANT SELECT, INSERT ON ledger_transactions, ledger_entries, lot_allocations TO portal_ledger;
GRANT UPDATE (status, processed_at) ON ledger_transactions TO portal_ledger;
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'ledger'::regnamespace LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('ALTER FUNCTION %s OWNER TO portal_ledger', f);
        IF f::text ~ '^ledger\.(account|post|post_alone|post_batch|expire|activate|balance|fold|tenant)\(' THEN
            EXECUTE format('SET ROLE portal_ledger');
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO portal_app', f);
            EXECUTE format('RESET ROLE');
        END IF;
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA ledger FROM portal_ledger;
SET LOCAL row_security = off;
