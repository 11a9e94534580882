-- Events that nobody's change makes, but a date or a count: evidence that is due, authorizations that end, stock that runs
-- out. Housekeeping writes them, in steps of a bounded size, each once: event_dues says which were written. One step works at
-- a time. It waits for no payment, and goes on with the others.

-- What is low or sold out at this time: the event of that is written again only after the row went.
CREATE UNIQUE INDEX event_dues_stock ON event_dues (type, object_id) WHERE type IN ('stock.low', 'stock.sold_out');

-- Locks those of the payments that nobody else has; which. An event is entered under the lock of its lane.
CREATE FUNCTION event_payments_lock(ids uuid[]) RETURNS uuid[] LANGUAGE sql AS $$
    SELECT coalesce(array_agg(id), '{}')
    FROM (SELECT id FROM payments WHERE id = ANY(ids) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS locked
$$;

-- Evidence that is due within ahead. Returns how many events were written: most where more may be due.
CREATE FUNCTION events_write_evidence_due(ahead interval, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    ids uuid[];
    locked uuid[];
BEGIN
    LOCK TABLE event_dues IN SHARE ROW EXCLUSIVE MODE;
    SELECT array_agg(due.id), event_payments_lock(array_agg(DISTINCT due.payment_id)) INTO ids, locked
    FROM (
        SELECT dispute.id, dispute.payment_id FROM disputes AS dispute
        WHERE dispute.status = 'needs_response' AND dispute.evidence_due_at > now()
            AND dispute.evidence_due_at <= now() + ahead
            AND NOT EXISTS (SELECT FROM event_dues AS known WHERE known.type = 'dispute.evidence_due'
                AND known.object_id = dispute.id AND known.due = dispute.evidence_due_at)
        ORDER BY dispute.evidence_due_at LIMIT most
    ) AS due;
    -- Seen again now that nobody moves them.
    WITH written AS (
        INSERT INTO event_dues (type, object_id, due)
        SELECT 'dispute.evidence_due', dispute.id, dispute.evidence_due_at FROM disputes AS dispute
        WHERE dispute.id = ANY(ids) AND dispute.payment_id = ANY(locked) AND dispute.status = 'needs_response'
            AND dispute.evidence_due_at > now() AND dispute.evidence_due_at <= now() + ahead
        ON CONFLICT (type, object_id, due) DO NOTHING
        RETURNING object_id
    )
    SELECT array_agg(object_id ORDER BY object_id) INTO ids FROM written;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM disputes_write_events(array_fill(text 'dispute.evidence_due', ARRAY[cardinality(ids)]), ids);
    RETURN cardinality(ids);
END
$$;

-- Open authorizations that end within ahead, from after that one on: (until, until_id) is the last that was looked at.
-- seen is most where more follow. One of which nothing is open any more is looked at and no more.
CREATE FUNCTION events_write_authorizations_expiring(ahead interval, most integer, after timestamptz, after_id uuid)
RETURNS TABLE (seen integer, written integer, until timestamptz, until_id uuid) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    ids uuid[];
    payment_ids uuid[];
    locked uuid[];
    types text[];
    versions integer[];
    bodies json[];
BEGIN
    LOCK TABLE event_dues IN SHARE ROW EXCLUSIVE MODE;
    SELECT count(*), array_agg(due.id), array_agg(DISTINCT due.payment_id), (array_agg(due.expires_at ORDER BY due.place DESC))[1],
        (array_agg(due.id ORDER BY due.place DESC))[1]
    INTO seen, ids, payment_ids, until, until_id
    FROM (
        SELECT attempt.id, attempt.payment_id, attempt.expires_at,
            row_number() OVER (ORDER BY attempt.expires_at, attempt.id) AS place
        FROM payment_attempts AS attempt
        WHERE attempt.status = 'authorized' AND NOT attempt.rest_released AND attempt.expires_at > now()
            AND attempt.expires_at <= now() + ahead AND attempt.expires_at >= after
            AND (attempt.expires_at, attempt.id) > (after, after_id)
            AND NOT EXISTS (SELECT FROM event_dues AS known WHERE known.type = 'authorization.expiring'
                AND known.object_id = attempt.id AND known.due = attempt.expires_at)
        ORDER BY attempt.expires_at, attempt.id LIMIT most
    ) AS due;
    written := 0;
    IF seen > 0 THEN
        locked := event_payments_lock(payment_ids);
        WITH open AS MATERIALIZED (
            SELECT promise.id, promise.attempt_ref, promise.room, promise.expires_at, payment.id AS payment_id,
                payment.currency, attempt.version
            FROM unnest(locked) AS each (id) JOIN payments AS payment ON payment.id = each.id
            CROSS JOIN LATERAL payment_authorizations(payment.id) AS promise
            JOIN payment_attempts AS attempt ON attempt.id = promise.id
            WHERE promise.id = ANY(ids) AND promise.room > 0 AND promise.expires_at > now()
                AND promise.expires_at <= now() + ahead
        ), entered AS (
            INSERT INTO event_dues (type, object_id, due) SELECT 'authorization.expiring', id, expires_at FROM open
            ON CONFLICT (type, object_id, due) DO NOTHING
            RETURNING object_id
        ), shown AS (
            SELECT open.*, json_build_object(
                'id', open.id,
                'payment_id', open.payment_id,
                'ref', open.attempt_ref,
                'amount_open', event_amount(open.room, event_places(open.currency)),
                'currency', open.currency,
                'expires_at', event_time(open.expires_at)) AS body
            FROM open JOIN entered ON entered.object_id = open.id
        )
        SELECT count(*), array_agg(text 'authorization.expiring' ORDER BY id), array_agg(id ORDER BY id),
            array_agg(version ORDER BY id), array_agg(payment_id ORDER BY id), array_agg(body ORDER BY id)
        INTO written, types, ids, versions, payment_ids, bodies FROM shown;
        IF written > 0 THEN
            PERFORM events_write(types, array_fill(text 'authorization', ARRAY[written]), ids, versions, payment_ids, bodies);
        END IF;
    END IF;
    RETURN NEXT;
END
$$;


-- Listings as the catalogue shows them, with what lies there and what of it is reserved. They have no version of their own:
-- that of an event counts the seconds since 2020.
CREATE FUNCTION listing_bodies(ids uuid[]) RETURNS TABLE (id uuid, version integer, body json) LANGUAGE sql STABLE AS $$
    SELECT listing.id, (extract(epoch FROM now()) - extract(epoch FROM date '2020-01-01'))::integer, json_build_object(
        'id', listing.id,
        'title', listing.title,
        'unit_price', event_amount(listing.unit_price, event_places(listing.currency)),
        'currency', listing.currency,
        'available', greatest(counter.stock - counter.reserved, 0),
        'stock', counter.stock,
        'reserved', counter.reserved,
        'vendor', vendor.name,
        'school', school.name,
        'attributes', spec.attributes)
    FROM unnest(ids) AS given (id)
    JOIN listings AS listing ON listing.id = given.id
    JOIN stock_counters AS counter ON counter.listing_id = listing.id
    JOIN vendors AS vendor ON vendor.id = listing.vendor_id
    LEFT JOIN schools AS school ON school.id = listing.school_id
    LEFT JOIN specs AS spec ON spec.id = listing.spec_id
$$;

-- Forgets of listings that they were low or sold out, where there are more pieces again or nobody counts: up to most of
-- them, from after this one on. Returns the last that was looked at, NULL once there are no more.
CREATE FUNCTION events_forget_low_stock(low integer, most integer, after uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    chosen uuid[];
    last uuid;
BEGIN
    LOCK TABLE event_dues IN SHARE ROW EXCLUSIVE MODE;
    -- low goes with sold_out: whatever is sold out is low.
    chosen := ARRAY(SELECT object_id FROM event_dues WHERE type = 'stock.low' AND object_id > after ORDER BY object_id LIMIT most);
    last := chosen[cardinality(chosen)];
    DELETE FROM event_dues AS known
    USING unnest(chosen) AS each (id) LEFT JOIN stock_counters AS counter ON counter.listing_id = each.id
    WHERE known.object_id = each.id AND (
        known.type = 'stock.low' AND coalesce(counter.stock - counter.reserved > low, true)
        OR known.type = 'stock.sold_out' AND coalesce(counter.stock - counter.reserved > 0, true));
    RETURN last;
END
$$;

-- Listings on sale of which no more than low pieces are available, and those of which none are, among so many pages of the
-- counters from this one on: read as they lie, since an index on what is available would make each hold dearer. Up to most
-- events and one. Returns the page to go on with, NULL after the last one.
CREATE FUNCTION events_write_low_stock(
    first_page bigint, pages integer, low integer, most integer, OUT next_page bigint, OUT written integer
) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    from_row tid := format('(%s,0)', first_page)::tid;
    to_row tid := format('(%s,0)', first_page + pages)::tid;
    types text[];
    ids uuid[];
BEGIN
    LOCK TABLE event_dues IN SHARE ROW EXCLUSIVE MODE;
    WITH due AS MATERIALIZED (
        SELECT counter.listing_id, each.type
        FROM stock_counters AS counter
        CROSS JOIN LATERAL (VALUES ('stock.low', low), ('stock.sold_out', 0)) AS each (type, pieces)
        JOIN listings AS listing ON listing.id = counter.listing_id AND listing.active
        WHERE counter.ctid >= from_row AND counter.ctid < to_row
            AND counter.stock - counter.reserved <= low AND counter.stock - counter.reserved <= each.pieces
            AND NOT EXISTS (SELECT FROM event_dues AS known
                WHERE known.type = each.type AND known.object_id = counter.listing_id)
        LIMIT most
    ), entered AS (
        INSERT INTO event_dues (type, object_id, due) SELECT type, listing_id, now() FROM due
        ON CONFLICT DO NOTHING
        RETURNING type, object_id
    )
    SELECT array_agg(type ORDER BY object_id, type), array_agg(object_id ORDER BY object_id, type) INTO types, ids
    FROM entered;
    written := coalesce(cardinality(ids), 0);
    IF written > 0 THEN
        PERFORM events_write(types, array_agg(text 'listing' ORDER BY each.place), ids,
            array_agg(shown.version ORDER BY each.place), ids, array_agg(shown.body ORDER BY each.place))
        FROM unnest(ids) WITH ORDINALITY AS each (id, place)
        JOIN listing_bodies(ARRAY(SELECT DISTINCT id FROM unnest(ids) AS of_them (id))) AS shown ON shown.id = each.id;
    END IF;
    next_page := CASE WHEN written >= most THEN first_page
        WHEN (first_page + pages) * current_setting('block_size')::bigint < pg_relation_size('stock_counters')
            THEN first_page + pages END;
END
$$;

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['events_write_evidence_due(interval, integer)',
        'events_write_authorizations_expiring(interval, integer, timestamptz, uuid)',
        'events_forget_low_stock(integer, integer, uuid)', 'events_write_low_stock(bigint, integer, integer, integer)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO checkout_worker', owned);
    END LOOP;
END
$$;
