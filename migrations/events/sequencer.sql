-- How events get into the log, and how they get their numbers.

-- Writes events, in the order in which they are given, and their row of the queue: a place in each array for each event.
-- Every writer calls this, or does the same, once for all that it writes, as the owner and under the lock of each lane's
-- object. Keys of one set follow one another.
CREATE FUNCTION events_write(
    types text[], object_types text[], objects uuid[], versions integer[], lanes uuid[], bodies text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first uuid := uuidv7();
    ids uuid[] := ARRAY(SELECT uuid_in_set(first, place) FROM generate_series(1, cardinality(types)) AS each (place));
BEGIN
    IF cardinality(types) > 0 THEN
        INSERT INTO events (id, type, object_type, object_id, version, lane, body)
        SELECT * FROM unnest(ids, types, object_types, objects, versions, lanes, bodies);
        INSERT INTO unsequenced_events (events, types, objects, lanes) VALUES (ids, types, objects, lanes);
    END IF;
END
$$;

-- The same with bodies as json.
CREATE FUNCTION events_write(
    types text[], object_types text[], objects uuid[], versions integer[], lanes uuid[], bodies json[]
) RETURNS void LANGUAGE sql AS $$
    SELECT events_write(types, object_types, objects, versions, lanes, bodies::text[])
$$;

-- Gives orders their numbers, and then events theirs, about most of each, in the order in which they were entered. One
-- sequencer works at a time: whoever comes second waits for the commit of the first, at the lock of orders_number. What
-- speaks of an order that somebody is changing at this moment, so that it has no number yet, waits with all of its lane.
-- Rows of the queue are seen once they are committed, and a lane's are committed in the order of their places. Returns how
-- many orders and events got one. A hash join would read all orders for each set: where there are 28,000, 62 µs a payment in place
-- of 25, and more with each order. Its plans are kept: to make them took a tenth of the time of a call for one payment.
CREATE FUNCTION events_sequence(prefix text, most integer, OUT orders integer, OUT events integer)
LANGUAGE plpgsql SECURITY DEFINER
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    after bigint := 0;
    upto bigint;
    waiting uuid[] := '{}';
    part record;
    given record;
BEGIN
    orders := 0;
    events := 0;
    IF NOT EXISTS (SELECT FROM unsequenced_events) AND NOT EXISTS (SELECT FROM unnumbered_orders) THEN
        RETURN;
    END IF;
    LOCK TABLE order_numbering IN SHARE UPDATE EXCLUSIVE MODE;
    -- What is committed while this runs, with orders that were not there yet, is for the next call.
    SELECT max(place) INTO upto FROM unsequenced_events;
    orders := orders_number(prefix, most);
    WHILE events = 0 AND after < upto LOOP
        -- An order that was given to another payment since is not that of the lane any more.
        WITH first AS MATERIALIZED (
            SELECT each.*, sum(cardinality(each.events)) OVER (ORDER BY each.place) - cardinality(each.events) AS ahead
            FROM (SELECT * FROM unsequenced_events WHERE place > after AND place <= upto ORDER BY place LIMIT most) AS each
        ), listed AS (
            SELECT first.id AS of_row, first.place, item.*, CASE WHEN passed_on THEN (
                    SELECT own.number_prefix || own.number FROM orders AS own WHERE own.id = item.object_id)
                ELSE made.number_prefix || made.number END AS order_number, passed_on OR made.id IS NOT NULL AS of_order
            FROM first
            CROSS JOIN LATERAL unnest(first.events, first.types, first.objects, first.lanes)
                WITH ORDINALITY AS item (event_id, type, object_id, lane, turn)
            LEFT JOIN orders AS made ON made.payment_id = item.lane AND left(item.type, 6) IN ('order.', 'paymen')
            CROSS JOIN LATERAL (SELECT left(item.type, 6) = 'order.' AND made.id IS DISTINCT FROM item.object_id)
                AS seen (passed_on)
            WHERE first.ahead < most
        )
        SELECT max(place) AS place, array_agg(of_row ORDER BY place, turn) FILTER (WHERE turn = 1) AS rows,
            array_agg(event_id ORDER BY place, turn) AS events,
            array_agg(type ORDER BY place, turn) AS types, array_agg(object_id ORDER BY place, turn) AS objects,
            array_agg(lane ORDER BY place, turn) AS lanes, array_agg(order_number ORDER BY place, turn) AS numbers,
            array_agg(lane ORDER BY place, turn) FILTER (WHERE of_order AND order_number IS NULL) AS held
        INTO part FROM listed;
        EXIT WHEN part.place IS NULL;
        waiting := waiting || part.held;
        IF cardinality(waiting) = 0 THEN
            DELETE FROM unsequenced_events WHERE id = ANY(part.rows);
        ELSE
            -- What waits stays in its row, and so in its place.
            WITH kept AS (
                SELECT own.id, array_agg(item.event_id ORDER BY item.turn) AS events,
                    array_agg(item.type ORDER BY item.turn) AS types,
                    array_agg(item.object_id ORDER BY item.turn) AS objects, array_agg(item.lane ORDER BY item.turn) AS lanes
                FROM unsequenced_events AS own
                CROSS JOIN LATERAL unnest(own.events, own.types, own.objects, own.lanes)
                    WITH ORDINALITY AS item (event_id, type, object_id, lane, turn)
                WHERE own.id = ANY(part.rows) AND item.lane = ANY(waiting)
                GROUP BY own.id
            ), shortened AS (
                UPDATE unsequenced_events AS queue
                SET events = kept.events, types = kept.types, objects = kept.objects, lanes = kept.lanes, updated_at = now()
                FROM kept WHERE queue.id = kept.id AND queue.events <> kept.events
            )
            DELETE FROM unsequenced_events AS queue
            WHERE queue.id = ANY(part.rows) AND queue.id NOT IN (SELECT id FROM kept);
            SELECT part.place AS place, array_agg(item.event_id ORDER BY item.turn) AS events,
                array_agg(item.type ORDER BY item.turn) AS types, array_agg(item.object_id ORDER BY item.turn) AS objects,
                array_agg(item.lane ORDER BY item.turn) AS lanes, array_agg(item.number ORDER BY item.turn) AS numbers
            INTO part
            FROM unnest(part.events, part.types, part.objects, part.lanes, part.numbers)
                WITH ORDINALITY AS item (event_id, type, object_id, lane, number, turn)
            WHERE item.lane <> ALL(waiting);
        END IF;
        after := part.place;
        CONTINUE WHEN part.events IS NULL;
        events := cardinality(part.events);
        INSERT INTO event_series AS known (last_seq, day, last_event_id)
        VALUES (events, (now() AT TIME ZONE 'UTC')::date, part.events[events])
        ON CONFLICT ((true)) DO UPDATE SET last_seq = known.last_seq + excluded.last_seq,
            day = greatest(known.day, excluded.day), last_event_id = excluded.last_event_id, updated_at = now()
        RETURNING coalesce(old.last_seq, 0) AS before, new.day, old.day IS DISTINCT FROM new.day AS is_new INTO given;
        INSERT INTO event_numbers (seq, day, event_id, type, object_id, lane, order_number)
        SELECT given.before + item.turn, given.day, item.event_id, item.type, item.object_id, item.lane, item.number
        FROM unnest(part.events, part.types, part.objects, part.lanes, part.numbers)
            WITH ORDINALITY AS item (event_id, type, object_id, lane, number, turn);
        IF given.is_new THEN
            INSERT INTO event_days (day, first_seq) VALUES (given.day, given.before + 1) ON CONFLICT (day) DO NOTHING;
        END IF;
        INSERT INTO event_types (type, last_seq)
        SELECT item.type, max(given.before + item.turn)
        FROM unnest(part.types) WITH ORDINALITY AS item (type, turn) GROUP BY item.type ORDER BY item.type
        ON CONFLICT (type) DO UPDATE SET last_seq = excluded.last_seq, updated_at = now();
    END LOOP;
END
$$;

-- The owner's functions find their tables here and nowhere else.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION events_sequence(text, integer) SET search_path = %I, pg_temp', current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION events_write(text[], text[], uuid[], integer[], uuid[], text[]),
    events_write(text[], text[], uuid[], integer[], uuid[], json[]), events_sequence(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION events_sequence(text, integer) TO checkout_worker;
