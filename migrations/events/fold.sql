-- The events of payments, their sessions and their orders: what changed between the beginning and the end of a fold, or of
-- what else moves an order. A status that was passed through is not in it.

-- As migrations/orders/orders.sql declares it. The locks of the payments are held, so nobody writes other events of these
-- lanes. One INSERT for the set, and one row of the queue.
CREATE OR REPLACE FUNCTION events_follow(
    changes payment_change[], ids uuid[], known uuid[], statuses order_status[], closed uuid[]
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    -- Each payment once: all of changes, and the others of ids, whose orders may have changed.
    every uuid[];
    kinds text[];
    flagged boolean[];
    mated boolean[];
    shows boolean[];
    first text;
BEGIN
    SELECT array_agg(each.id), array_agg(each.kind), array_agg(each.flagged), array_agg(each.has_mates),
        array_agg(each.kind IS NOT NULL OR each.flagged)
    INTO every, kinds, flagged, mated, shows
    FROM (
        -- A payment that goes back to pending has no event.
        SELECT change.payment_id AS id, change.has_mates, CASE
                WHEN change.status_to IN (change.status_from, 'pending') THEN NULL
                WHEN change.status_to <> 'paid' THEN 'payment.' || change.status_to
                WHEN change.first_paid THEN 'payment.paid'
                ELSE 'payment.reinstated' END AS kind,
            change.reasons_to IS NOT NULL AND (change.reasons_from IS NULL
                OR NOT string_to_array(change.reasons_to, ', ') <@ string_to_array(change.reasons_from, ', ')) AS flagged
        FROM unnest(changes) AS change
        UNION ALL
        SELECT rest.id, false, NULL, false
        FROM (SELECT unnest(ids) EXCEPT SELECT change.payment_id FROM unnest(changes) AS change) AS rest (id)
        WHERE cardinality(changes) < cardinality(ids)
    ) AS each;
    first := left(uuidv7()::text, 30);
    -- The keys of a set follow one another, as its events do. What is shown is put into each branch where it is used: a body
    -- that a condition named would be rendered twice.
    WITH written AS (
        INSERT INTO events (id, type, object_type, object_id, version, lane, body)
        SELECT (first || right(to_hex(16777216 + turn + 4 * place), 6))::uuid, type, object_type, object_id, version, lane, body
        FROM (
            SELECT 0 AS turn, shown.place, 'checkout.session.' || payment.status AS type,
                'checkout_session' AS object_type, shown.id AS object_id, shown.version, shown.payment_id AS lane,
                shown.body::text
            FROM (SELECT each.*, row_number() OVER () AS place FROM session_bodies(closed) AS each) AS shown
            JOIN payments AS payment ON payment.id = shown.payment_id
            WHERE payment.status = payment.closed
            UNION ALL
            SELECT event.turn, shown.place, event.type, event.object_type, event.object_id, event.version, shown.id, event.body
            FROM payments_and_orders(every, shows, mated, known, statuses) AS shown
            CROSS JOIN LATERAL (
                SELECT 1 AS turn, kinds[shown.place] AS type, 'payment' AS object_type, shown.id AS object_id, shown.version,
                    shown.body
                WHERE kinds[shown.place] IS NOT NULL
                UNION ALL
                SELECT 2, 'payment.flagged', 'payment', shown.id, shown.version, shown.body WHERE flagged[shown.place]
                UNION ALL
                SELECT 3, 'order.' || shown.order_status, 'order', shown.order_id, shown.order_version, shown.order_body
                WHERE shown.order_status IS NOT NULL
            ) AS event
        ) AS each
        RETURNING id, type, object_id, lane
    )
    INSERT INTO unsequenced_events (events, types, objects, lanes)
    SELECT array_agg(id), array_agg(type), array_agg(object_id), array_agg(lane) FROM written HAVING count(*) > 0;
END
$$;
