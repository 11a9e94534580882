-- Endpoints that the log is about to outgrow: numbers that an endpoint has not taken go with their day (migrations/events/days.sql).

-- What each endpoint that is not deleted has not taken of the numbers up to upto, as far as it wants them: from its place on,
-- and what waits of before. None of one that has taken all of them.
CREATE FUNCTION event_untaken(upto bigint) RETURNS TABLE (endpoint_id uuid, first_seq bigint) LANGUAGE sql STABLE AS $$
    SELECT endpoint.id, least(behind.first_seq, waiting.first_seq)
    FROM webhook_endpoints AS endpoint
    CROSS JOIN LATERAL (
        SELECT min(event.seq) AS first_seq FROM event_numbers AS event
        WHERE event.seq > endpoint.place AND event.seq <= upto AND (endpoint.types IS NULL OR event.type = ANY(endpoint.types))
            AND EXISTS (SELECT FROM event_types AS known WHERE known.last_seq > endpoint.place
                AND (endpoint.types IS NULL OR known.type = ANY(endpoint.types)))
    ) AS behind
    CROSS JOIN LATERAL (
        SELECT min(pending.seq) AS first_seq FROM pending_deliveries AS pending
        WHERE pending.endpoint_id = endpoint.id AND pending.state = 'waiting' AND pending.replay_id IS NULL
            AND pending.seq <= upto
    ) AS waiting
    WHERE endpoint.deleted_at IS NULL AND num_nonnulls(behind.first_seq, waiting.first_seq) > 0
$$;

-- Writes an event of this type for each of these endpoints, with the numbers that it is about.
CREATE FUNCTION webhook_endpoints_write_events(type text, ids uuid[], first_seqs bigint[], upto bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM events_write(array_agg(type ORDER BY endpoint.id), array_agg(text 'webhook_endpoint' ORDER BY endpoint.id),
        array_agg(endpoint.id ORDER BY endpoint.id), array_agg(endpoint.version ORDER BY endpoint.id),
        array_agg(endpoint.id ORDER BY endpoint.id),
        array_agg((webhook_endpoint_body(endpoint.id)::jsonb || jsonb_build_object(
            'from', given.first_seq, 'to', upto))::json ORDER BY endpoint.id))
    FROM unnest(ids, first_seqs) AS given (id, first_seq) JOIN webhook_endpoints AS endpoint ON endpoint.id = given.id
    HAVING count(*) > 0;
END
$$;

-- Before numbers of days that were kept for so long go: endpoints that have not taken all of them get an event that
-- says what they lost, a day before one that they are about to, and go on behind it. Deliveries of what goes end, and what waited behind one in its lane
-- is due. Returns the last number that is no longer kept, and how many got which. A sender has many endpoints too, and locks
-- them in an order of its own: whoever would wait long gives up, and this is done later.
CREATE FUNCTION events_outgrow(keep integer, OUT dropped bigint, OUT lost integer, OUT lagging integer)
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '500ms' AS $$
DECLARE
    upto bigint := event_last_before(event_today() - keep);
    soon bigint := event_last_before(event_today() - keep + 1);
    ids uuid[];
    first_seqs bigint[];
    ended_lanes uuid[];
BEGIN
    -- Endpoints first, in the order of their ids, as whoever sends to them has them.
    PERFORM FROM webhook_endpoints WHERE place < soon OR lagging_since IS NOT NULL
        OR EXISTS (SELECT FROM pending_deliveries WHERE endpoint_id = webhook_endpoints.id AND seq <= soon)
    ORDER BY id FOR NO KEY UPDATE;

    SELECT array_agg(endpoint_id), array_agg(first_seq), count(*) INTO ids, first_seqs, lost FROM event_untaken(upto);
    WITH ended AS (
        DELETE FROM pending_deliveries
        WHERE seq <= upto OR seq IS NULL AND event_id < uuid_of_day(event_today() - keep - 1)
        RETURNING endpoint_id, lane
    ), next AS (
        SELECT DISTINCT ON (waiting.endpoint_id, waiting.lane, waiting.replay_id) waiting.id
        FROM (SELECT DISTINCT endpoint_id, lane FROM ended) AS gone
        JOIN pending_deliveries AS waiting ON waiting.endpoint_id = gone.endpoint_id AND waiting.lane = gone.lane
        WHERE waiting.state = 'waiting' AND waiting.seq > upto
        ORDER BY waiting.endpoint_id, waiting.lane, waiting.replay_id, waiting.seq
    ), due AS (
        UPDATE pending_deliveries AS waiting SET next_attempt_at = now(), updated_at = now()
        FROM next WHERE waiting.id = next.id AND waiting.next_attempt_at IS NULL
        RETURNING waiting.endpoint_id
    )
    SELECT array_agg(DISTINCT endpoint_id) INTO ended_lanes FROM due;
    UPDATE webhook_endpoints SET next_due_at = least(next_due_at, now()), updated_at = now() WHERE id = ANY(ended_lanes);
    UPDATE webhook_endpoints SET place = upto, lagging_since = NULL, updated_at = now() WHERE place < upto;
    IF lost > 0 THEN
        PERFORM webhook_endpoints_write_events('webhook_endpoint.lost', ids, first_seqs, upto);
    END IF;

    -- What is left of them lags behind what goes next.
    WITH untaken AS MATERIALIZED (
        SELECT * FROM event_untaken(soon) WHERE soon > upto
    ), caught_up AS (
        UPDATE webhook_endpoints SET lagging_since = NULL, updated_at = now()
        WHERE lagging_since IS NOT NULL AND id NOT IN (SELECT endpoint_id FROM untaken)
    ), behind AS (
        UPDATE webhook_endpoints AS endpoint SET lagging_since = now(), updated_at = now()
        FROM untaken WHERE endpoint.id = untaken.endpoint_id AND endpoint.lagging_since IS NULL
        RETURNING endpoint.id, untaken.first_seq
    )
    SELECT array_agg(id), array_agg(first_seq), count(*) INTO ids, first_seqs, lagging FROM behind;
    IF lagging > 0 THEN
        PERFORM webhook_endpoints_write_events('webhook_endpoint.lagging_out', ids, first_seqs, soon);
    END IF;

    UPDATE event_series SET dropped_seq = upto, updated_at = now() WHERE dropped_seq < upto;
    SELECT coalesce(max(dropped_seq), 0) INTO dropped FROM event_series;
    DELETE FROM event_days WHERE day < event_today() - keep;
END
$$;

-- Takes away up to most rows of what waited or failed at endpoints that were deleted, and their secrets. A sender that had one
-- still may have written there after it was deleted. Returns how many rows went.
CREATE FUNCTION endpoints_sweep_deleted(most integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    number integer;
    gone integer := 0;
BEGIN
    DELETE FROM pending_deliveries WHERE id = ANY(ARRAY(
        SELECT pending.id FROM webhook_endpoints AS endpoint
        JOIN pending_deliveries AS pending ON pending.endpoint_id = endpoint.id
        WHERE endpoint.deleted_at IS NOT NULL LIMIT most FOR UPDATE OF pending SKIP LOCKED));
    GET DIAGNOSTICS number = ROW_COUNT;
    gone := number;
    DELETE FROM endpoint_secrets WHERE id = ANY(ARRAY(
        SELECT secret.id FROM webhook_endpoints AS endpoint
        JOIN endpoint_secrets AS secret ON secret.endpoint_id = endpoint.id
        WHERE endpoint.deleted_at IS NOT NULL LIMIT most FOR UPDATE OF secret SKIP LOCKED));
    GET DIAGNOSTICS number = ROW_COUNT;
    RETURN gone + number;
END
$$;

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['events_outgrow(integer)', 'endpoints_sweep_deleted(integer)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO checkout_worker', owned);
    END LOOP;
END
$$;

-- The attempts' own days: those of the log are there.
SELECT events_make_days(7);
