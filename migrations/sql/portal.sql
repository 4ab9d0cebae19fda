-- What every sale runs, each in one call: reading what its decision needs, writing what was decided, and the books of a
-- command. They run as their caller, under row-level security; balances are moved by the ledger's own functions alone.
-- Plain INSERTs in PL/pgSQL keep their plans for the life of a connection, and one jsonb has one type: the same statement
-- with forty parameters had a plan for each mixture of small numbers and nulls.

SET LOCAL row_security = on;
CREATE SCHEMA IF NOT EXISTS portal;

-- Which rows a member's place in the program was read from: the transactions that wrote them. Whatever of the program, its
-- tiers, the member's standing or counters is written anew, gives another text.
CREATE OR REPLACE FUNCTION portal.place_seen(t uuid, p_member uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT concat_ws(' ',
        (SELECT string_agg(p.xmin::text, ',' ORDER BY p.id) FROM public.tier_programs p WHERE p.tenant_id = t),
        (SELECT string_agg(x.xmin::text, ',' ORDER BY x.id) FROM public.status_tiers x WHERE x.tenant_id = t),
        (SELECT 'm' || m.xmin::text FROM public.tier_memberships m WHERE m.tenant_id = t AND m.id = p_member),
        (SELECT string_agg(q.xmin::text, ',' ORDER BY q.program_id, q.window_start) FROM public.tier_progress q
          WHERE q.tenant_id = t AND q.member_id = p_member)));
END $$;

-- The member stays as they are until this transaction ends (D18); false where there is no such member. The advisory lock
-- keeps a recount of the ladder away.
CREATE OR REPLACE FUNCTION portal.hold_member(t uuid, p_member uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('tiers:' || t, 0));
    PERFORM 1 FROM public.users u WHERE u.tenant_id = t AND u.id = p_member AND u.archived_at IS NULL AND u.merged_into IS NULL
        FOR NO KEY UPDATE;
    RETURN FOUND;
END $$;

-- What the decision about a sale needs. With `p_hold` the member is locked first and what is read is what stands under the
-- lock; without, `seen` tells sale_write what it was decided upon. One who was merged into another is that other one (D28).
-- Answers [now, who, member, shop, is the place the shop's own,
-- the sale recorded before, bonus, program as text, standing, windows, seen].
CREATE OR REPLACE FUNCTION portal.sale_read(t uuid, p_business uuid, p_member uuid, p_location uuid, p_external_id text, p_hold boolean)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE who uuid := p_member;
BEGIN
    PERFORM set_config('app.tenant_id', t::text, true);
    IF NOT p_hold OR NOT portal.hold_member(t, who) THEN
        who := coalesce((SELECT u.merged_into FROM public.users u WHERE u.tenant_id = t AND u.id = p_member), p_member);
        IF p_hold AND who <> p_member THEN PERFORM portal.hold_member(t, who); END IF;
    END IF;
    RETURN (
        SELECT json_build_array(
            clock_timestamp() + coalesce((SELECT x.clock_offset FROM public.tenants x WHERE x.id = t AND x.kind = 'sandbox'), interval '0'),
            who,
            (SELECT json_build_array(u.suspended_at IS NOT NULL, u.suspended_reason) FROM public.users u
              WHERE u.tenant_id = t AND u.id = who AND u.archived_at IS NULL AND u.merged_into IS NULL),
            (SELECT json_build_array(b.currency, b.category, b.archived_at, b.max_bonus_share, b.spend_confirmation)
               FROM public.businesses b WHERE b.tenant_id = t AND b.id = p_business),
            p_location IS NOT NULL AND EXISTS (
                SELECT 1 FROM public.business_locations l WHERE l.tenant_id = t AND l.business_id = p_business AND l.id = p_location),
            (SELECT json_build_object('id', p.id, 'request_hash', p.request_hash, 'amount', p.amount, 'currency', p.currency,
                    'paid_with_bonus', p.paid_with_bonus, 'bonus_accrued', p.bonus_accrued, 'occurred_at', p.occurred_at,
                    'receipt_number', p.receipt_number, 'trace', p.trace, 'member_id', p.member_id)
               FROM public.purchases p WHERE p.tenant_id = t AND p.business_id = p_business AND p.external_id = p_external_id),
            (SELECT a.posted FROM public.wallet_accounts a JOIN public.businesses b ON b.tenant_id = t AND b.id = p_business
              WHERE a.tenant_id = t AND a.owner_kind = 'member' AND a.owner_id = who AND a.owner_key = '' AND a.currency = b.currency AND a.type = 'bonus'),
            (SELECT json_build_object('id', p.id, 'currency', p.currency, 'basis', p.basis, 'period', p.period, 'end_rule', p.end_rule,
                    'downgrade', p.downgrade, 'bonus_expiry', p.bonus_expiry, 'refund_policy', p.refund_policy,
                    'refund_grace_days', p.refund_grace_days,
                    'tiers', (SELECT json_agg(json_build_array(x.id, x.code, x.name_i18n, x.rank, x.threshold, x.rate_num, x.rate_den) ORDER BY x.rank)
                                FROM public.status_tiers x WHERE x.tenant_id = t AND x.program_id = p.id))::text
               FROM public.tier_programs p WHERE p.tenant_id = t ORDER BY p.id LIMIT 1),
            (SELECT json_build_array(m.tier_id, m.since, m.expires_at, m.locked_until) FROM public.tier_memberships m
              WHERE m.tenant_id = t AND m.id = who),
            (SELECT json_agg(json_build_array(w.window_start, w.qualifying)) FROM (
                SELECT q.window_start, q.qualifying FROM public.tier_progress q WHERE q.tenant_id = t AND q.member_id = who
                 ORDER BY q.window_start DESC LIMIT 40) w),
            CASE WHEN NOT p_hold THEN portal.place_seen(t, who) END));
END $$;

-- A step on the ladder: the window's counter, the standing, the changes of tier. `m` is what `moves.stored` makes.
CREATE OR REPLACE FUNCTION portal.move_write(t uuid, m jsonb, p_purchase uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (m ->> 'amount')::bigint <> 0 THEN
        INSERT INTO public.tier_progress (tenant_id, member_id, program_id, window_start, qualifying)
        VALUES (t, (m ->> 'member')::uuid, (m ->> 'program')::uuid, (m ->> 'window')::timestamptz, (m ->> 'amount')::bigint)
        ON CONFLICT (tenant_id, member_id, program_id, window_start)
        DO UPDATE SET qualifying = tier_progress.qualifying + excluded.qualifying;
    END IF;
    IF m ->> 'tier' IS NOT NULL THEN
        INSERT INTO public.tier_memberships (tenant_id, id, tier_id, since, expires_at, locked_until, cause, reason, actor_id)
        VALUES (t, (m ->> 'member')::uuid, (m ->> 'tier')::uuid, (m ->> 'since')::timestamptz, (m ->> 'until')::timestamptz,
                (m ->> 'locked')::timestamptz, m ->> 'cause', m ->> 'reason', (m ->> 'actor')::uuid)
        ON CONFLICT (tenant_id, id) DO UPDATE SET tier_id = excluded.tier_id, since = excluded.since,
            expires_at = excluded.expires_at, locked_until = excluded.locked_until, cause = excluded.cause,
            reason = excluded.reason, actor_id = excluded.actor_id;
    END IF;
    IF jsonb_array_length(m -> 'steps') > 0 THEN
        INSERT INTO public.tier_changes (tenant_id, id, member_id, from_tier_id, to_tier_id, cause, purchase_id, at)
        SELECT t, s.id, (m ->> 'member')::uuid, s.from_tier, s.to_tier, s.cause, p_purchase, s.at
          FROM jsonb_to_recordset(m -> 'steps') AS s (id uuid, from_tier uuid, to_tier uuid, cause text, at timestamptz);
    END IF;
END $$;

-- The last thing of a command: its audit entry, its messages and their deliveries. `b` is what `books.of` makes; `p_balance`,
-- where it is not null, is written into the first message. `answer` is what the caller of the API gets again; a call that
-- changed nothing has that alone.
CREATE OR REPLACE FUNCTION portal.books_write(t uuid, b jsonb, p_balance bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE actor uuid := (b ->> 'actor')::uuid; asked text := b ->> 'request'; m jsonb; s bigint; n int := 0; data jsonb;
BEGIN
    IF b ? 'answer' THEN
        UPDATE public.idempotency_keys k SET status = (b -> 'answer' ->> 'status')::int, response = b -> 'answer' -> 'response'
         WHERE k.tenant_id = t AND k.id = (b -> 'answer' ->> 'id')::uuid;
    END IF;
    IF NOT b ? 'entry' THEN RETURN; END IF;
    INSERT INTO public.audit_entries (tenant_id, id, action, actor_id, actor_kind, on_behalf_of, object_type, object_id, business_id,
                                      changes, reason, ip, request_id, occurred_at)
    VALUES (t, (b ->> 'entry')::uuid, b ->> 'action', actor, b ->> 'actor_kind', (b ->> 'behalf')::uuid, b ->> 'object_type',
            (b ->> 'object_id')::uuid, (b ->> 'business')::uuid, b -> 'changes', b ->> 'reason', b ->> 'ip', asked, (b ->> 'at')::timestamptz);
    FOR m IN SELECT * FROM jsonb_array_elements(b -> 'messages') LOOP
        n := n + 1;
        data := m -> 'data';
        IF n = 1 AND p_balance IS NOT NULL THEN data := data || jsonb_build_object('balance', p_balance); END IF;
        INSERT INTO public.outbox_messages (tenant_id, id, type, schema_version, aggregate_type, aggregate_id, occurred_at,
                                            actor_id, caused_by, request_id, historical, data)
        VALUES (t, (m ->> 'id')::uuid, m ->> 'type', (m ->> 'schema_version')::bigint, m ->> 'aggregate_type', (m ->> 'aggregate_id')::uuid,
                (m ->> 'occurred_at')::timestamptz, actor, (b ->> 'caused_by')::uuid, asked, (m ->> 'historical')::boolean, data)
        RETURNING seq INTO s;
        INSERT INTO public.outbox_deliveries (tenant_id, id, message_id, seq, subscriber, ordered, aggregate_type, aggregate_id)
        SELECT t, d.key::uuid, (m ->> 'id')::uuid, s, d.value ->> 0, (d.value -> 1)::boolean, m ->> 'aggregate_type', (m ->> 'aggregate_id')::uuid
          FROM jsonb_each(m -> 'subscribers') AS d;
    END LOOP;
END $$;

-- A decided sale: ledger, purchase, lines, the member's step and, where `books` come along, the command's books. With `seen`
-- the statement is a transaction of its own: the member is locked here, and where anything that was decided upon has changed
-- since, nothing is written and null comes back. Answers the member's bonus. Raises KR410 when another's sale has this key,
-- with its request in the detail, and the ledger's errors.
CREATE OR REPLACE FUNCTION portal.sale_write(t uuid, s jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    made uuid := (s ->> 'id')::uuid; bonus bigint := (s ->> 'balance')::bigint; done jsonb; trace jsonb := s -> 'trace';
    shop uuid := (s ->> 'business')::uuid; key text := s ->> 'external_id';
BEGIN
    IF s ? 'seen' THEN
        PERFORM set_config('app.tenant_id', t::text, true);
        IF NOT portal.hold_member(t, (s ->> 'member')::uuid) THEN RETURN NULL; END IF;
        IF portal.place_seen(t, (s ->> 'member')::uuid) IS DISTINCT FROM s ->> 'seen'
           OR EXISTS (SELECT 1 FROM public.users u WHERE u.tenant_id = t AND u.id = (s ->> 'member')::uuid AND u.suspended_at IS NOT NULL)
           OR EXISTS (SELECT 1 FROM public.purchases p WHERE p.tenant_id = t AND p.business_id = shop AND p.external_id = key) THEN
            RETURN NULL;
        END IF;
    END IF;
    IF s -> 'postings' <> '[]' THEN
        done := ledger.post(s -> 'postings', (s ->> 'now')::timestamptz) -> -1;
        bonus := (done ->> (s ->> 'balance_of'))::bigint;
    END IF;
    INSERT INTO public.purchases (tenant_id, id, business_id, member_id, location_id, till, category, receipt_number, external_id,
        request_hash, amount, paid_with_bonus, earn_base, bonus_accrued, currency, rate_num, rate_den, tier_id, source,
        cashier_id, device_id, historical, trace, occurred_at)
    VALUES (t, made, shop, (s ->> 'member')::uuid, (s ->> 'location')::uuid, s ->> 'till', s ->> 'category', s ->> 'receipt_number', key,
        s ->> 'request_hash', (s ->> 'amount')::bigint, (s ->> 'paid_with_bonus')::bigint, (s ->> 'earn_base')::bigint,
        (s ->> 'bonus_accrued')::bigint, s ->> 'currency', (s ->> 'rate_num')::bigint, (s ->> 'rate_den')::bigint, (s ->> 'tier_id')::uuid,
        s ->> 'source', (s ->> 'cashier')::uuid, (s ->> 'device')::uuid, (s ->> 'historical')::boolean,
        jsonb_set(trace, '{outcome,balances}', jsonb_build_object('bonus', bonus)), (s ->> 'occurred_at')::timestamptz)
    ON CONFLICT (tenant_id, business_id, external_id) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another sale has this key' USING ERRCODE = 'KR410', DETAIL = coalesce((
            SELECT p.trace ->> 'request' FROM public.purchases p WHERE p.tenant_id = t AND p.business_id = shop AND p.external_id = key), '{}');
    END IF;
    IF s ? 'lines' THEN
        INSERT INTO public.purchase_lines (tenant_id, id, purchase_id, number, sku, name, category, quantity, amount, earns)
        SELECT t, l.id, made, l.number, l.sku, l.name, l.category, l.quantity, l.amount, l.earns
          FROM jsonb_to_recordset(s -> 'lines') AS l (id uuid, number int, sku text, name text, category text, quantity numeric, amount bigint, earns boolean);
    END IF;
    IF s ? 'move' THEN PERFORM portal.move_write(t, s -> 'move', made); END IF;
    IF s ? 'books' THEN PERFORM portal.books_write(t, s -> 'books', bonus); END IF;
    RETURN bonus;
END $$;

GRANT USAGE ON SCHEMA portal TO portal_app;
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'portal'::regnamespace LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO portal_app', f);
    END LOOP;
END $$;
SET LOCAL row_security = off;
