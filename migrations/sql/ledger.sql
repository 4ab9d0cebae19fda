-- The ledger's only writers (D17). Each runs as portal_ledger, which may write these tables and nothing else; row-level
-- security holds for it too, so every function sees the acting tenant alone.

SET LOCAL row_security = on;  -- bodies are checked under the rule they will run under
CREATE SCHEMA IF NOT EXISTS ledger;

-- A UUIDv7, for rows that are born in here.
CREATE OR REPLACE FUNCTION ledger.new_id() RETURNS uuid LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

CREATE OR REPLACE FUNCTION ledger.tenant() RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE t uuid := NULLIF(current_setting('app.tenant_id', true), '')::uuid;
BEGIN
    IF t IS NULL THEN RAISE EXCEPTION 'no tenant is acting' USING ERRCODE = 'KR000'; END IF;
    RETURN t;
END $$;

-- Whether an account of this type keeps lots (D14): bonus, locked and every account in points.
CREATE OR REPLACE FUNCTION ledger.has_lots(p_type text, p_lazy boolean) RETURNS boolean LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$ SELECT NOT p_lazy AND p_type IN ('bonus', 'locked', 'points') $$;

-- Find or make an account. Lazy iff it has no floor (D19): whatever is not a member's.
CREATE OR REPLACE FUNCTION ledger.account(p jsonb, p_currency text) RETURNS public.wallet_accounts LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    t uuid := ledger.tenant();
    k text := p ->> 'owner_kind'; o uuid := (p ->> 'owner_id')::uuid; y text := coalesce(p ->> 'owner_key', ''); a text := p ->> 'type';
    found_row wallet_accounts;
BEGIN
    SELECT * INTO found_row FROM wallet_accounts w WHERE w.tenant_id = t AND w.owner_kind = k AND w.owner_id IS NOT DISTINCT FROM o
        AND w.owner_key = y AND w.currency = p_currency AND w.type = a;
    IF found_row.id IS NULL THEN
        INSERT INTO wallet_accounts (tenant_id, id, owner_kind, owner_id, owner_key, currency, type, lazy)
        VALUES (t, ledger.new_id(), k, o, y, p_currency, a, k <> 'member')
        ON CONFLICT (tenant_id, owner_kind, owner_id, owner_key, currency, type) DO NOTHING;
        SELECT * INTO found_row FROM wallet_accounts w WHERE w.tenant_id = t AND w.owner_kind = k AND w.owner_id IS NOT DISTINCT FROM o
            AND w.owner_key = y AND w.currency = p_currency AND w.type = a;
    END IF;
    RETURN found_row;
END $$;

-- Take `p_amount` from the lots of a locked account in LOY-3's order; `p_first` names a posting whose lot goes first
-- (LOY-6), `p_only` one lot alone, whatever its dates. Returns what was taken, as [{"lot", "amount"}].
CREATE OR REPLACE FUNCTION ledger.take(p_debit uuid, p_account uuid, p_amount bigint, p_at timestamptz, p_first uuid, p_only uuid, p_left text)
RETURNS jsonb LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH free AS (
        SELECT l.id, l.remaining - l.held AS free,
               sum(l.remaining - l.held) OVER (
                   ORDER BY (l.source_transaction_id = p_first) IS TRUE DESC, l.priority, l.granted DESC, l.expires_at NULLS LAST, l.created_at, l.seq
                   ROWS UNBOUNDED PRECEDING) AS running
          FROM lots l
         WHERE l.tenant_id = ledger.tenant() AND l.account_id = p_account AND l.remaining > l.held
           AND CASE WHEN p_only IS NOT NULL THEN l.id = p_only
                    ELSE l.activates_at <= p_at AND (l.expires_at IS NULL OR l.expires_at > p_at) END
    ), taken AS (
        SELECT id, least(free, p_amount - (running - free)) AS amount FROM free WHERE running - free < p_amount
    ), moved AS (
        UPDATE lots l SET remaining = l.remaining - taken.amount,
               state = CASE WHEN l.remaining = taken.amount THEN p_left ELSE l.state END
          FROM taken WHERE l.tenant_id = ledger.tenant() AND l.id = taken.id
        RETURNING l.id, taken.amount
    ), noted AS (
        INSERT INTO lot_allocations (tenant_id, id, debit_transaction_id, lot_id, amount)
        SELECT ledger.tenant(), ledger.new_id(), p_debit, id, amount FROM moved
        RETURNING lot_id, amount
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('lot', lot_id, 'amount', amount)), '[]') FROM noted
$$;

-- What can be spent now: lots within their dates, less what is held.
CREATE OR REPLACE FUNCTION ledger.spendable(p_account uuid, p_at timestamptz) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(sum(remaining - held), 0)::bigint FROM lots
     WHERE tenant_id = ledger.tenant() AND account_id = p_account AND remaining > held
       AND activates_at <= p_at AND (expires_at IS NULL OR expires_at > p_at)
$$;

-- One posting; the accounts are locked by the caller. See ledger.post.
CREATE OR REPLACE FUNCTION ledger.post_one(q jsonb, p_at timestamptz) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    t uuid := ledger.tenant();
    tx uuid := (q ->> 'id')::uuid;
    cur text := q ->> 'currency';
    amt bigint := (q ->> 'amount')::bigint;
    member uuid := (q ->> 'member_id')::uuid;
    happened timestamptz := coalesce((q ->> 'occurred_at')::timestamptz, p_at);
    lot jsonb := q -> 'lot';
    old ledger_transactions;
    payer wallet_accounts; payee wallet_accounts;
    taken jsonb := '[]'; sum_taken bigint; repaid bigint := 0; restored jsonb;
    payer_after bigint; payer_version bigint; payee_after bigint; payee_version bigint;
BEGIN
    SELECT * INTO old FROM ledger_transactions x WHERE x.tenant_id = t AND x.source = q ->> 'source' AND x.external_id = q ->> 'external_id';
    IF old.id IS NULL THEN
        payer := ledger.account(q -> 'payer', cur);
        payee := ledger.account(q -> 'payee', cur);
        IF payer.id = payee.id THEN RAISE EXCEPTION 'payer and payee are one account' USING ERRCODE = 'KR422'; END IF;
        IF coalesce((q ->> 'partial')::boolean, false) THEN
            amt := least(amt, ledger.spendable(payer.id, p_at));
            IF amt <= 0 THEN
                RETURN jsonb_build_object('id', NULL, 'replayed', false, 'amount', 0, 'payer_balance', payer.posted, 'allocations', '[]'::jsonb);
            END IF;
        END IF;
        IF amt IS NULL OR amt <= 0 THEN RAISE EXCEPTION 'an amount must be above zero' USING ERRCODE = 'KR422'; END IF;
        INSERT INTO ledger_transactions AS x (tenant_id, id, type, module, action, source, external_id, request_hash, currency, amount,
                member_id, business_id, reverses_id, caused_by, metadata, occurred_at, processed_at)
        VALUES (t, tx, q ->> 'type', coalesce(q ->> 'module', ''), coalesce(q ->> 'action', q ->> 'type'), q ->> 'source', q ->> 'external_id',
                q ->> 'request_hash', cur, amt, member, (q ->> 'business_id')::uuid, (q ->> 'reverses_id')::uuid,
                (q ->> 'caused_by')::uuid, coalesce(q -> 'details', '{}'), happened, p_at)
        ON CONFLICT (tenant_id, source, external_id) DO NOTHING;
        IF NOT FOUND THEN  -- another session was first and has committed by now
            SELECT * INTO old FROM ledger_transactions x WHERE x.tenant_id = t AND x.source = q ->> 'source' AND x.external_id = q ->> 'external_id';
        END IF;
    END IF;
    IF old.id IS NOT NULL THEN
        IF old.request_hash <> q ->> 'request_hash' THEN
            RAISE EXCEPTION 'the same key with other content' USING ERRCODE = 'KR409', DETAIL = (old.metadata -> 'request')::text;
        END IF;
        RETURN jsonb_build_object('id', old.id, 'replayed', true, 'amount', old.amount,
            'payer_balance', (SELECT e.balance_after FROM ledger_entries e WHERE e.tenant_id = t AND e.transaction_id = old.id AND e.amount < 0 LIMIT 1),
            'payee_balance', (SELECT e.balance_after FROM ledger_entries e WHERE e.tenant_id = t AND e.transaction_id = old.id AND e.amount > 0 LIMIT 1),
            'allocations', (SELECT coalesce(jsonb_agg(jsonb_build_object('lot', lot_id, 'amount', a.amount)), '[]') FROM lot_allocations a
                             WHERE a.tenant_id = t AND a.debit_transaction_id = old.id));
    END IF;

    IF NOT payer.lazy THEN
        IF ledger.has_lots(payer.type, payer.lazy) THEN
            taken := ledger.take(tx, payer.id, amt, p_at, (q ->> 'first')::uuid, (q ->> 'only_lot')::uuid, coalesce(q ->> 'left_state', 'exhausted'));
            SELECT coalesce(sum((x ->> 'amount')::bigint), 0) INTO sum_taken FROM jsonb_array_elements(taken) x;
            IF sum_taken < amt THEN RAISE EXCEPTION 'insufficient funds' USING ERRCODE = 'KR402'; END IF;
        END IF;
        UPDATE wallet_accounts w SET posted = w.posted - amt, version = w.version + 1
         WHERE w.tenant_id = t AND w.id = payer.id AND w.posted - w.held - amt >= w.floor
        RETURNING w.posted, w.version INTO payer_after, payer_version;
        IF NOT FOUND THEN RAISE EXCEPTION 'insufficient funds' USING ERRCODE = 'KR402'; END IF;
    END IF;
    IF NOT payee.lazy THEN
        UPDATE wallet_accounts w SET posted = w.posted + amt, version = w.version + 1,
               debt = w.debt - least(w.debt, CASE WHEN ledger.has_lots(w.type, w.lazy) THEN amt ELSE 0 END)
         WHERE w.tenant_id = t AND w.id = payee.id
        RETURNING w.posted, w.version INTO payee_after, payee_version;
        IF ledger.has_lots(payee.type, payee.lazy) THEN
            repaid := least(payee.debt, amt);
            restored := q -> 'restores';
            IF jsonb_typeof(restored) = 'array' THEN
                UPDATE lots l SET remaining = l.remaining + r.amount, state = 'active', expires_at = coalesce(r.expires_at, l.expires_at)
                  FROM jsonb_to_recordset(restored) AS r (lot uuid, amount bigint, expires_at timestamptz)
                 WHERE l.tenant_id = t AND l.id = r.lot AND l.account_id = payee.id;
                INSERT INTO lot_allocations (tenant_id, id, debit_transaction_id, lot_id, amount)
                SELECT t, ledger.new_id(), tx, r.lot, -r.amount FROM jsonb_to_recordset(restored) AS r (lot uuid, amount bigint);
            ELSIF amt > repaid THEN
                INSERT INTO lots (tenant_id, id, account_id, source_transaction_id, amount, remaining, priority, granted, activates_at, expires_at, state, created_at)
                VALUES (t, ledger.new_id(), payee.id, tx, amt - repaid, amt - repaid, coalesce((lot ->> 'priority')::int, 50),
                        coalesce((lot ->> 'granted')::boolean, true), coalesce((lot ->> 'activates_at')::timestamptz, happened),
                        (lot ->> 'expires_at')::timestamptz,
                        CASE WHEN payee.type = 'locked' AND coalesce((lot ->> 'activates_at')::timestamptz, happened) > p_at THEN 'pending' ELSE 'active' END, happened);
            END IF;
        END IF;
    END IF;
    INSERT INTO ledger_entries (tenant_id, id, transaction_id, account_id, member_id, currency, amount, balance_before, balance_after, account_version, occurred_at)
    VALUES (t, ledger.new_id(), tx, payer.id, CASE WHEN payer.owner_kind = 'member' THEN payer.owner_id END, cur, -amt, payer_after + amt, payer_after, payer_version, happened),
           (t, ledger.new_id(), tx, payee.id, CASE WHEN payee.owner_kind = 'member' THEN payee.owner_id END, cur, amt, payee_after - amt, payee_after, payee_version, happened);
    RETURN jsonb_build_object('id', tx, 'replayed', false, 'amount', amt, 'payer_balance', payer_after, 'payee_balance', payee_after, 'allocations', taken);
END $$;

-- Post several movements in one round trip, all or none. Locks every eager account first, in id order (D18).
CREATE OR REPLACE FUNCTION ledger.post(p_postings jsonb, p_at timestamptz) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE q jsonb; ids uuid[] := '{}'; a wallet_accounts; answers jsonb := '[]';
BEGIN
    FOR q IN SELECT * FROM jsonb_array_elements(p_postings) LOOP
        a := ledger.account(q -> 'payer', q ->> 'currency'); IF NOT a.lazy THEN ids := ids || a.id; END IF;
        a := ledger.account(q -> 'payee', q ->> 'currency'); IF NOT a.lazy THEN ids := ids || a.id; END IF;
    END LOOP;
    PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = ledger.tenant() AND w.id = ANY (ids) ORDER BY w.id FOR NO KEY UPDATE;
    FOR q IN SELECT * FROM jsonb_array_elements(p_postings) LOOP
        answers := answers || jsonb_build_array(ledger.post_one(q, p_at));
    END LOOP;
    RETURN answers;
END $$;

-- Accruals in bulk (imports): one lock and one update an account however many rows (D5). `p_rows` has id, external_id,
-- request_hash, member_id, amount, occurred_at, expires_at, caused_by, details. What is there already is skipped; a lot whose
-- date has passed is written as expired, with its breakage pair (D27). Returns how many were posted.
CREATE OR REPLACE FUNCTION ledger.post_batch(p_rows jsonb, p_currency text, p_business uuid, p_source text, p_module text, p_at timestamptz)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t uuid := ledger.tenant(); issuer wallet_accounts; broken wallet_accounts; posted_rows bigint;
BEGIN
    issuer := ledger.account(jsonb_build_object('owner_kind', 'business', 'owner_id', p_business, 'type', 'issuance'), p_currency);
    broken := ledger.account(jsonb_build_object('owner_kind', 'system', 'owner_key', 'breakage', 'type', 'breakage'), p_currency);
    CREATE TEMP TABLE IF NOT EXISTS ledger_batch (n bigint, id uuid, external_id text, request_hash text, member_id uuid, amount bigint,
        occurred_at timestamptz, expires_at timestamptz, caused_by uuid, details jsonb, account_id uuid, lot_id uuid, expiry_id uuid) ON COMMIT DELETE ROWS;
    DELETE FROM pg_temp.ledger_batch;
    INSERT INTO wallet_accounts (tenant_id, id, owner_kind, owner_id, owner_key, currency, type, lazy)
    SELECT t, ledger.new_id(), 'member', r.member_id, '', p_currency, 'bonus', false
      FROM (SELECT DISTINCT (x ->> 'member_id')::uuid AS member_id FROM jsonb_array_elements(p_rows) x) r
     ORDER BY r.member_id
    ON CONFLICT (tenant_id, owner_kind, owner_id, owner_key, currency, type) DO NOTHING;
    PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.owner_kind = 'member' AND w.currency = p_currency AND w.type = 'bonus' AND w.owner_key = ''
        AND w.owner_id IN (SELECT (x ->> 'member_id')::uuid FROM jsonb_array_elements(p_rows) x) ORDER BY w.id FOR NO KEY UPDATE;
    INSERT INTO pg_temp.ledger_batch
    SELECT r.n, r.id, r.external_id, r.request_hash, r.member_id, r.amount, r.occurred_at, r.expires_at, r.caused_by, coalesce(r.details, '{}'), w.id,
           ledger.new_id(), CASE WHEN r.expires_at <= p_at THEN ledger.new_id() END
      FROM ROWS FROM (jsonb_to_recordset(p_rows) AS (id uuid, external_id text, request_hash text, member_id uuid, amount bigint,
           occurred_at timestamptz, expires_at timestamptz, caused_by uuid, details jsonb)) WITH ORDINALITY
           AS r (id, external_id, request_hash, member_id, amount, occurred_at, expires_at, caused_by, details, n)
      JOIN wallet_accounts w ON w.tenant_id = t AND w.owner_kind = 'member' AND w.owner_id = r.member_id AND w.owner_key = '' AND w.currency = p_currency AND w.type = 'bonus'
     WHERE r.amount > 0 AND NOT EXISTS (SELECT 1 FROM ledger_transactions x WHERE x.tenant_id = t AND x.source = p_source AND x.external_id = r.external_id);
    INSERT INTO ledger_transactions (tenant_id, id, type, module, action, source, external_id, request_hash, currency, amount, member_id, business_id,
           caused_by, metadata, occurred_at, processed_at)
    SELECT t, b.id, 'accrual', p_module, 'accrual', p_source, b.external_id, b.request_hash, p_currency, b.amount, b.member_id, p_business,
           b.caused_by, b.details, b.occurred_at, p_at
      FROM pg_temp.ledger_batch b ORDER BY b.n;
    GET DIAGNOSTICS posted_rows = ROW_COUNT;
    INSERT INTO ledger_transactions (tenant_id, id, type, module, action, source, external_id, request_hash, currency, amount, member_id, business_id,
           caused_by, occurred_at, processed_at)
    SELECT t, b.expiry_id, 'expiry', 'loyalty', 'expiry', 'expiry', 'expire:' || b.lot_id || ':1', '', p_currency, b.amount, b.member_id, p_business,
           b.id, b.expires_at, p_at
      FROM pg_temp.ledger_batch b WHERE b.expiry_id IS NOT NULL ORDER BY b.n;
    INSERT INTO lots (tenant_id, id, account_id, source_transaction_id, amount, remaining, activates_at, expires_at, state, created_at)
    SELECT t, b.lot_id, b.account_id, b.id, b.amount, CASE WHEN b.expiry_id IS NULL THEN b.amount ELSE 0 END, b.occurred_at, b.expires_at,
           CASE WHEN b.expiry_id IS NULL THEN 'active' ELSE 'expired' END, b.occurred_at
      FROM pg_temp.ledger_batch b ORDER BY b.n;
    INSERT INTO lot_allocations (tenant_id, id, debit_transaction_id, lot_id, amount)
    SELECT t, ledger.new_id(), b.expiry_id, b.lot_id, b.amount FROM pg_temp.ledger_batch b WHERE b.expiry_id IS NOT NULL;
    WITH steps AS (
        SELECT b.n, 0 AS step, b.id AS transaction_id, b.account_id, b.member_id, b.amount AS amount, b.occurred_at AS at FROM pg_temp.ledger_batch b
        UNION ALL
        SELECT b.n, 1, b.expiry_id, b.account_id, b.member_id, -b.amount, b.expires_at FROM pg_temp.ledger_batch b WHERE b.expiry_id IS NOT NULL
    ), run AS (
        SELECT s.*, w.posted + sum(s.amount) OVER o AS balance_after, w.version + row_number() OVER o AS account_version
          FROM steps s JOIN wallet_accounts w ON w.tenant_id = t AND w.id = s.account_id
        WINDOW o AS (PARTITION BY s.account_id ORDER BY s.n, s.step ROWS UNBOUNDED PRECEDING)
    )
    INSERT INTO ledger_entries (tenant_id, id, transaction_id, account_id, member_id, currency, amount, balance_before, balance_after, account_version, occurred_at)
    SELECT t, ledger.new_id(), e.* FROM (
        SELECT r.transaction_id, r.account_id, r.member_id, p_currency, r.amount, r.balance_after - r.amount, r.balance_after, r.account_version, r.at FROM run r
        UNION ALL
        SELECT r.transaction_id, CASE WHEN r.step = 0 THEN issuer.id ELSE broken.id END, NULL, p_currency, -r.amount, NULL, NULL, NULL, r.at FROM run r
    ) e;
    UPDATE wallet_accounts w SET posted = w.posted + s.moved, version = w.version + s.steps
      FROM (SELECT b.account_id, sum(CASE WHEN b.expiry_id IS NULL THEN b.amount ELSE 0 END) AS moved, count(*) + count(b.expiry_id) AS steps
              FROM pg_temp.ledger_batch b GROUP BY 1) s
     WHERE w.tenant_id = t AND w.id = s.account_id;
    RETURN posted_rows;
END $$;

-- Lots whose date has come: their rest goes to breakage (LOY-5). Harmless twice; returns how many lots.
CREATE OR REPLACE FUNCTION ledger.expire(p_at timestamptz, p_limit int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t uuid := ledger.tenant(); r record; done bigint := 0; due uuid[];
BEGIN
    due := ARRAY(SELECT l.id FROM lots l WHERE l.tenant_id = t AND l.remaining > l.held AND l.expires_at <= p_at ORDER BY l.expires_at, l.seq LIMIT p_limit);
    PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.id IN (SELECT l.account_id FROM lots l WHERE l.tenant_id = t AND l.id = ANY (due)) ORDER BY w.id FOR NO KEY UPDATE;
    FOR r IN
        SELECT l.id, l.remaining - l.held AS rest, l.expires_at, w.owner_id, w.type, w.currency,
               1 + (SELECT count(*) FROM ledger_transactions x WHERE x.tenant_id = t AND x.source = 'expiry' AND x.external_id LIKE 'expire:' || l.id || ':%') AS n
          FROM lots l JOIN wallet_accounts w ON w.tenant_id = t AND w.id = l.account_id
         WHERE l.tenant_id = t AND l.id = ANY (due) AND l.remaining > l.held AND l.expires_at <= p_at ORDER BY w.id, l.expires_at, l.seq
    LOOP
        PERFORM ledger.post_one(jsonb_build_object('id', ledger.new_id(), 'type', 'expiry', 'module', 'loyalty', 'action', 'expiry', 'source', 'expiry',
            'external_id', 'expire:' || r.id || ':' || r.n, 'request_hash', '', 'currency', r.currency, 'amount', r.rest, 'member_id', r.owner_id,
            'occurred_at', r.expires_at, 'payer', jsonb_build_object('owner_kind', 'member', 'owner_id', r.owner_id, 'type', r.type),
            'payee', jsonb_build_object('owner_kind', 'system', 'owner_key', 'breakage', 'type', 'breakage'),
            'only_lot', r.id, 'left_state', 'expired'), p_at);
        done := done + 1;
    END LOOP;
    RETURN done;
END $$;

-- Lots whose waiting time is over move from locked to bonus, keeping their expiry (WAL-6, D14).
CREATE OR REPLACE FUNCTION ledger.activate(p_at timestamptz, p_limit int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t uuid := ledger.tenant(); r record; done bigint := 0; due uuid[];
BEGIN
    due := ARRAY(SELECT l.id FROM lots l WHERE l.tenant_id = t AND l.state = 'pending' AND l.activates_at <= p_at AND l.remaining > 0 ORDER BY l.activates_at, l.seq LIMIT p_limit);
    PERFORM 1 FROM wallet_accounts w WHERE w.tenant_id = t AND w.owner_id IN (
        SELECT a.owner_id FROM lots l JOIN wallet_accounts a ON a.tenant_id = t AND a.id = l.account_id WHERE l.tenant_id = t AND l.id = ANY (due))
        ORDER BY w.id FOR NO KEY UPDATE;
    FOR r IN
        SELECT l.*, w.owner_id, w.currency FROM lots l JOIN wallet_accounts w ON w.tenant_id = t AND w.id = l.account_id
         WHERE l.tenant_id = t AND l.id = ANY (due) AND l.state = 'pending' AND l.remaining > 0 ORDER BY w.id, l.seq
    LOOP
        PERFORM ledger.post_one(jsonb_build_object('id', ledger.new_id(), 'type', 'activation', 'module', 'loyalty', 'action', 'activation', 'source', 'activation',
            'external_id', r.id::text, 'request_hash', '', 'currency', r.currency, 'amount', r.remaining, 'member_id', r.owner_id, 'occurred_at', r.activates_at,
            'payer', jsonb_build_object('owner_kind', 'member', 'owner_id', r.owner_id, 'type', 'locked'),
            'payee', jsonb_build_object('owner_kind', 'member', 'owner_id', r.owner_id, 'type', 'bonus'),
            'only_lot', r.id, 'caused_by', r.source_transaction_id,
            'lot', jsonb_build_object('activates_at', r.activates_at, 'expires_at', r.expires_at, 'priority', r.priority, 'granted', r.granted)), p_at);
        done := done + 1;
    END LOOP;
    RETURN done;
END $$;

-- A lazy account's balance: its checkpoint and the entries after it, in one statement (D19).
CREATE OR REPLACE FUNCTION ledger.balance(p_account uuid) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT w.posted + CASE WHEN w.lazy THEN coalesce((SELECT sum(e.amount) FROM ledger_entries e
             WHERE e.tenant_id = w.tenant_id AND e.account_id = w.id AND e.account_version IS NULL AND e.xact_id >= w.folded_through), 0) ELSE 0 END
      FROM wallet_accounts w WHERE w.tenant_id = ledger.tenant() AND w.id = p_account
$$;

-- Add what is settled to the checkpoints of lazy accounts. Entries of transactions still running stay in the tail.
CREATE OR REPLACE FUNCTION ledger.fold() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE t uuid := ledger.tenant(); settled xid8 := pg_snapshot_xmin(pg_current_snapshot()); a record; done bigint := 0; s bigint;
BEGIN
    FOR a IN SELECT w.id FROM wallet_accounts w WHERE w.tenant_id = t AND w.lazy AND w.folded_through < settled ORDER BY w.id FOR NO KEY UPDATE SKIP LOCKED LOOP
        SELECT sum(e.amount) INTO s FROM ledger_entries e JOIN wallet_accounts w ON w.tenant_id = t AND w.id = a.id
         WHERE e.tenant_id = t AND e.account_id = a.id AND e.account_version IS NULL AND e.xact_id >= w.folded_through AND e.xact_id < settled;
        UPDATE wallet_accounts w SET posted = w.posted + coalesce(s, 0), folded_through = settled WHERE w.tenant_id = t AND w.id = a.id;
        done := done + 1;
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
        IF f::text NOT LIKE 'ledger.take(%' AND f::text NOT LIKE 'ledger.post_one(%' THEN
            EXECUTE format('SET ROLE portal_ledger');
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO portal_app', f);
            EXECUTE format('RESET ROLE');
        END IF;
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA ledger FROM portal_ledger;
SET LOCAL row_security = off;
