-- Events of settled money, and the indexes that its lists go along. A payout that came out even, no longer does, or failed, and
-- what needs a person, are written once for a transaction, at its end: its statements may move a payout to and fro, and make a
-- million exceptions.

CREATE INDEX payouts_payout_ref ON payouts (payout_ref);
-- The kinds that are rare: captures, refunds and fees are found along their times.
CREATE INDEX balance_entries_kind ON balance_entries (kind, occurred_at, id)
    WHERE kind <> ALL ('{capture,refund,fee}'::balance_entry_kind[]);
-- Entries that need a person, or needed one.
CREATE INDEX settlement_matches_of_entries ON settlement_matches (state, id)
    WHERE undone_at IS NULL AND entry_id IS NOT NULL AND state <> ALL ('{matched,not_ours}'::settlement_match_state[]);

-- What a transaction did that is to be shown at its end: it makes these rows, and they are gone by its commit.
CREATE TABLE settlement_marks (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT settlement_marks_pkey PRIMARY KEY,
    transaction_id bigint NOT NULL,
    payout_id uuid,
    state_before payout_state,
    status_before payout_status,
    match_state settlement_match_state,
    first_match_id uuid,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT settlement_marks_of_one CHECK (num_nonnulls(payout_id, match_state) = 1)
);
CREATE UNIQUE INDEX settlement_marks_once ON settlement_marks (transaction_id, payout_id, match_state) NULLS NOT DISTINCT;

-- As checkout_service.settlements.amounts.show_exactly: with so many decimals, or as many as it needs.
CREATE FUNCTION settled_amount(amount numeric, currency text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN round(amount, greatest(min_scale(amount), event_places(currency)))::text;

-- Payouts as the API lists them.
CREATE FUNCTION payout_bodies(ids uuid[]) RETURNS TABLE (id uuid, version integer, body json) LANGUAGE sql STABLE AS $$
    SELECT payout.id, payout.version, json_build_object(
        'id', payout.id,
        'provider', payout.provider,
        'account', nullif(payout.account, ''),
        'reference', payout.payout_ref,
        'amount', settled_amount(payout.amount, payout.currency),
        'currency', payout.currency,
        'status', payout.status,
        'state', payout.state,
        'itemized', payout.itemized,
        'issued_at', event_time(payout.issued_at),
        'arrival_on', payout.arrival_on,
        'bank_reference', nullif(payout.bank_reference, ''),
        'descriptor', nullif(payout.descriptor, ''),
        'failed_at', event_time(payout.failed_at),
        'failure_code', nullif(payout.failure_code, ''),
        'original_reference', nullif(payout.original_ref, ''),
        'entries', payout.entries,
        'gross', settled_amount(payout.gross, payout.currency),
        'fee', settled_amount(payout.fee, payout.currency),
        'net', settled_amount(payout.net, payout.currency),
        'residue', CASE WHEN payout.itemized AND payout.state NOT IN ('by_balance', 'not_paid')
            THEN settled_amount(payout.net - payout.amount, payout.currency) END,
        'exceptions', payout.exceptions,
        'amount_at_bank', settled_amount(payout.amount_at_bank, payout.currency),
        'reconciled_at', event_time(payout.reconciled_at),
        'version', payout.version,
        'created_at', event_time(payout.created_at),
        'updated_at', event_time(payout.updated_at))
    FROM unnest(ids) AS given (id) JOIN payouts AS payout ON payout.id = given.id
$$;

-- The open exceptions of these states from one match on that were made at this moment, one for each payout, state and currency: a
-- transaction's, since its rows have its moment. The amount is the gross of the lines, and of a fee what it takes; of a bank's, its
-- part of the payout; of what is missing there, what we have.
CREATE FUNCTION settlement_exceptions_of(states settlement_match_state[], since uuid, made timestamptz)
RETURNS TABLE (id uuid, payout_id uuid, body json) LANGUAGE sql STABLE AS $$
    SELECT one.id, one.payout_id, json_build_object(
        'id', one.id,
        'kind', one.state,
        'provider', one.provider,
        'account', nullif(one.account, ''),
        'payout_id', one.payout_id,
        'count', one.number,
        'amount', settled_amount(one.amount, one.currency),
        'currency', one.currency,
        'payment_id', one.payment_id,
        'detail', nullif(first.detail, ''),
        'created_at', event_time(made))
    FROM (
        SELECT min(match.id::text COLLATE "C")::uuid AS id, match.state, match.provider, match.account,
            coalesce(match.payout_id, entry.payout_id) AS payout_id, count(*) AS number,
            sum(CASE WHEN entry.id IS NULL THEN match.amount_here WHEN match.provider = 'bank' THEN match.amount
                WHEN entry.kind = 'fee' THEN entry.net ELSE entry.gross END) AS amount,
            coalesce(entry.currency, match.currency_here, match.currency) AS currency,
            CASE WHEN count(match.payment_id) = count(*)
                AND min(match.payment_id::text COLLATE "C") = max(match.payment_id::text COLLATE "C")
                THEN min(match.payment_id::text COLLATE "C")::uuid END AS payment_id
        FROM settlement_matches AS match
        -- By the key, whatever the statistics say: after an import that was rolled back they say that there are none, and then
        -- PostgreSQL would read all entries for each match.
        LEFT JOIN LATERAL (SELECT * FROM balance_entries AS known WHERE known.id = match.entry_id OFFSET 0) AS entry ON true
        WHERE match.undone_at IS NULL AND match.resolved_at IS NULL
            AND match.state <> ALL ('{matched,not_ours}'::settlement_match_state[])
            AND match.state = ANY(states) AND match.id >= since AND match.created_at = made
        GROUP BY match.state, match.provider, match.account, coalesce(match.payout_id, entry.payout_id),
            coalesce(entry.currency, match.currency_here, match.currency)
    ) AS one
    JOIN settlement_matches AS first ON first.id = one.id
$$;

-- A payout's state or status changed, or it is new: what they were when the transaction began is what counts.
CREATE FUNCTION payouts_mark() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO settlement_marks (transaction_id, payout_id)
        SELECT pg_current_xact_id()::text::bigint, changed.id FROM changed
        ON CONFLICT (transaction_id, payout_id, match_state) DO NOTHING;
    ELSE
        INSERT INTO settlement_marks (transaction_id, payout_id, state_before, status_before)
        SELECT pg_current_xact_id()::text::bigint, changed.id, before.state, before.status
        FROM changed JOIN before ON before.id = changed.id
        WHERE changed.state <> before.state OR changed.status <> before.status
        ON CONFLICT (transaction_id, payout_id, match_state) DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER payouts_mark_new AFTER INSERT ON payouts REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION payouts_mark();
CREATE TRIGGER payouts_mark AFTER UPDATE ON payouts REFERENCING OLD TABLE AS before NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION payouts_mark();

-- There are new exceptions of a state, from this match on. What needs nobody, or belongs to nobody, is none.
CREATE FUNCTION settlement_matches_mark() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO settlement_marks (transaction_id, match_state, first_match_id)
    SELECT pg_current_xact_id()::text::bigint, changed.state, min(changed.id::text COLLATE "C")::uuid
    FROM changed
    WHERE changed.state IN ('differs', 'unknown_here', 'missing_there', 'withdrawn', 'proposed')
        AND changed.undone_at IS NULL AND changed.resolved_at IS NULL
    GROUP BY changed.state
    ON CONFLICT (transaction_id, payout_id, match_state) DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER settlement_matches_mark AFTER INSERT ON settlement_matches REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION settlement_matches_mark();

-- At the end of a transaction: the events of all that it marked. The first mark does it for all of them. Payouts are locked, since
-- events about one are delivered in the order of their commits.
CREATE FUNCTION settlements_tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    known uuid[];
    states_before text[];
    statuses_before text[];
    types text[];
    states settlement_match_state[];
    since uuid;
    ids uuid[];
    lanes uuid[];
    bodies json[];
BEGIN
    -- By its key: each of them would else look through all that the first one deleted.
    PERFORM FROM settlement_marks WHERE id = NEW.id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    WITH gone AS (
        DELETE FROM settlement_marks WHERE transaction_id = pg_current_xact_id()::text::bigint RETURNING *
    )
    SELECT array_agg(payout_id ORDER BY payout_id) FILTER (WHERE payout_id IS NOT NULL),
        array_agg(state_before::text ORDER BY payout_id) FILTER (WHERE payout_id IS NOT NULL),
        array_agg(status_before::text ORDER BY payout_id) FILTER (WHERE payout_id IS NOT NULL),
        array_agg(match_state) FILTER (WHERE match_state IS NOT NULL), min(first_match_id::text COLLATE "C")::uuid
    INTO known, states_before, statuses_before, states, since FROM gone;

    IF states IS NOT NULL THEN
        SELECT array_agg(each.id ORDER BY each.id), array_agg(coalesce(each.payout_id, each.id) ORDER BY each.id),
            array_agg(each.body ORDER BY each.id)
        INTO ids, lanes, bodies FROM settlement_exceptions_of(states, since, now()) AS each;
    END IF;
    PERFORM FROM payouts WHERE id = ANY(known || lanes) ORDER BY id FOR NO KEY UPDATE;
    IF ids IS NOT NULL THEN
        PERFORM events_write(array_fill(text 'settlement.exception', ARRAY[cardinality(ids)]),
            array_fill(text 'settlement_exception', ARRAY[cardinality(ids)]), ids,
            array_fill(1, ARRAY[cardinality(ids)]), lanes, bodies);
    END IF;

    SELECT array_agg(payout.id ORDER BY payout.id, event.place), array_agg(event.type ORDER BY payout.id, event.place)
    INTO ids, types
    FROM unnest(known, states_before, statuses_before) AS given (id, state, status)
    JOIN payouts AS payout ON payout.id = given.id
    CROSS JOIN LATERAL (VALUES
        (1, 'payout.reopened', given.state IN ('reconciled', 'by_balance')
            AND payout.state NOT IN ('reconciled', 'by_balance')),
        (2, 'payout.reconciled', payout.state IN ('reconciled', 'by_balance')
            AND payout.state::text IS DISTINCT FROM given.state),
        (3, 'payout.failed', payout.status IN ('canceled', 'failed')
            AND payout.status::text IS DISTINCT FROM given.status)
    ) AS event (place, type, is_so)
    WHERE event.is_so;
    IF ids IS NOT NULL THEN
        PERFORM events_write(types, array_fill(text 'payout', ARRAY[cardinality(ids)]), ids,
            array_agg(payout.version ORDER BY each.place), ids, array_agg(payout.body ORDER BY each.place))
        FROM unnest(ids) WITH ORDINALITY AS each (id, place)
        JOIN payout_bodies(ARRAY(SELECT DISTINCT id FROM unnest(ids) AS of_them (id))) AS payout ON payout.id = each.id;
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER settlements_tell AFTER INSERT ON settlement_marks DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION settlements_tell();

-- Functions that run as the owner find their tables here and nowhere else, and nobody else may hang them on a table.
DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['payouts_mark()', 'settlement_matches_mark()', 'settlements_tell()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;
