-- What staff ask of orders: to fulfil them, to cancel them, to give back what was paid for some of their lines. Each is one
-- INSERT, which a trigger admits under the locks of the payment and then of its order, and carries out at once; so one key
-- is one of them, whoever is killed where. Refused by the names of constraints. Locks: payment, order, holds, listings,
-- counters; each kind in the order of its ids.

-- What the order was after it, so that a replay says the same. several_captures: none where no capture is asked for; else
-- whether the account may capture an authorisation several times. Rows are there already where a downgrade left them.
ALTER TABLE fulfilments
    ADD order_status order_status,
    ADD several_captures boolean,
    ADD capture_request_id uuid
        CONSTRAINT fulfilments_capture_request_id_fkey REFERENCES capture_requests (id);

UPDATE fulfilments SET order_status = (SELECT status FROM orders WHERE orders.id = order_id);
ALTER TABLE fulfilments ALTER order_status SET NOT NULL;

ALTER TABLE order_cancellations
    ADD payment_id uuid CONSTRAINT order_cancellations_payment_id_fkey REFERENCES payments (id),
    ADD refund_ids uuid[] DEFAULT '{}' NOT NULL,
    ADD void_id uuid CONSTRAINT order_cancellations_void_id_fkey REFERENCES voids (id);

UPDATE order_cancellations SET payment_id = (SELECT payment_id FROM orders WHERE orders.id = order_id);
ALTER TABLE order_cancellations ALTER payment_id SET NOT NULL;

CREATE INDEX order_cancellations_payment_id ON order_cancellations (payment_id);


-- Locks the payment of an order, and then the order: that of somebody who asks for something by an INSERT into that table.
CREATE FUNCTION order_for_request(order_id uuid, table_name text) RETURNS orders LANGUAGE plpgsql AS $$
DECLARE
    payment uuid;
    held orders;
BEGIN
    SELECT payment_id INTO payment FROM orders WHERE id = order_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no order %', order_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = table_name || '_order_id_fkey';
    END IF;
    PERFORM FROM payments WHERE id = payment FOR NO KEY UPDATE;
    SELECT * INTO held FROM orders WHERE id = order_id AND payment_id = payment FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'order % was given to another payment at this moment', order_id
            USING ERRCODE = 'check_violation', CONSTRAINT = table_name || '_payment_stays';
    END IF;
    IF held.status = 'canceled' THEN
        RAISE EXCEPTION 'order % is canceled', order_id
            USING ERRCODE = 'check_violation', CONSTRAINT = table_name || '_not_canceled';
    END IF;
    RETURN held;
END
$$;

-- Captures the share of pieces that are fulfilled, where money is authorized and not all of it was asked for: of the oldest
-- open authorisation that has enough. An account that captures once may do so for all that is open alone, since the rest
-- would be lost. Returns the request, or NULL where nothing is open.
CREATE FUNCTION fulfilment_capture(new_one fulfilments, payment uuid, share numeric) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    promise record;
    request uuid;
BEGIN
    SELECT found.attempt_ref, found.room INTO promise
    FROM payment_authorizations(payment) WITH ORDINALITY AS found (id, attempt_ref, room, expires_at, place)
    WHERE found.room > 0 ORDER BY found.room >= share DESC, found.place LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF NOT new_one.several_captures AND share < promise.room THEN
        RAISE EXCEPTION 'the account of payment % captures once: % of % would release the rest', payment, share, promise.room
            USING ERRCODE = 'check_violation', CONSTRAINT = 'fulfilments_capture_whole';
    END IF;
    -- A key of ours has a space, one of a caller never.
    INSERT INTO capture_requests (payment_id, attempt_ref, amount, final, requested_by, idempotency_key, request_hash)
    VALUES (payment, promise.attempt_ref, share, false, new_one.requested_by, 'fulfilment ' || new_one.id, new_one.request_hash)
    RETURNING id INTO request;
    RETURN request;
END
$$;

-- What a fulfilment is of, complete: of each line named how many pieces, or all that is left of the order. What was given
-- back counts first against what was not handed over: nobody is sent what they were refunded, unless its line says so.
CREATE FUNCTION fulfilment_lines(made uuid, given jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    complete jsonb;
    named integer;
    too_many boolean;
BEGIN
    SELECT jsonb_agg(jsonb_build_object('line_id', line.id, 'qty', coalesce(part.qty, unsent.pieces)) ORDER BY line.place),
        count(DISTINCT line.id), bool_or(coalesce(part.qty, unsent.pieces) NOT BETWEEN 1 AND line.qty - line.qty_fulfilled)
    INTO complete, named, too_many
    FROM order_lines AS line LEFT JOIN jsonb_to_recordset(given) AS part (line_id uuid, qty integer) ON part.line_id = line.id
    CROSS JOIN LATERAL (SELECT line.qty - line.qty_fulfilled - order_line_refunded(line.id)) AS unsent (pieces)
    WHERE line.order_id = made AND CASE WHEN given IS NULL THEN unsent.pieces > 0 ELSE part.line_id IS NOT NULL END;
    IF given IS NOT NULL AND named <> jsonb_array_length(given) THEN
        RAISE EXCEPTION 'a fulfilment of order % names a line twice, or one of another order', made
            USING ERRCODE = 'check_violation', CONSTRAINT = 'fulfilments_lines_of_order';
    END IF;
    IF complete IS NULL OR too_many THEN
        RAISE EXCEPTION 'fewer pieces of order % are left to fulfil', made
            USING ERRCODE = 'check_violation', CONSTRAINT = 'fulfilments_of_what_is_left';
    END IF;
    RETURN complete;
END
$$;

-- Takes pieces that are handed over out of stock: those that the order's holds keep; beyond them, where it is short of some or
-- nobody counted when it was paid, what is available at this moment. Never more than lies there: where people counted less
-- than was sold, their count is mended first. Returns whether the order was short of some of them.
CREATE FUNCTION fulfilment_take_stock(made orders, given jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    all_listings uuid[];
    pieces integer[];
    held integer[];
    was_short boolean;
BEGIN
    all_listings := ARRAY(
        SELECT DISTINCT line.listing_id FROM jsonb_to_recordset(given) AS part (line_id uuid)
        JOIN order_lines AS line ON line.id = part.line_id);
    PERFORM FROM holds WHERE payment_id = made.payment_id AND listing_id = ANY(all_listings) ORDER BY listing_id FOR UPDATE;
    PERFORM FROM listings WHERE id = ANY(all_listings) ORDER BY id FOR NO KEY UPDATE;
    PERFORM FROM stock_counters WHERE listing_id = ANY(all_listings) ORDER BY listing_id FOR NO KEY UPDATE;

    WITH taken AS MATERIALIZED (
        SELECT line.id, line.listing_id, part.qty, again.pieces + greatest(least(part.qty - again.pieces,
                sum(part.qty - again.pieces) OVER (PARTITION BY line.listing_id ORDER BY line.place)
                - coalesce(hold.qty, 0)), 0)::integer AS beyond, again.pieces AS again
        FROM jsonb_to_recordset(given) AS part (line_id uuid, qty integer)
        JOIN order_lines AS line ON line.id = part.line_id
        -- What was given back and is sent all the same.
        CROSS JOIN LATERAL (SELECT greatest(part.qty - (line.qty - line.qty_fulfilled - line.qty_canceled), 0))
            AS again (pieces)
        LEFT JOIN holds AS hold ON hold.payment_id = made.payment_id AND hold.listing_id = line.listing_id
    ), handed_over AS (
        UPDATE order_lines AS line SET qty_fulfilled = line.qty_fulfilled + taken.qty,
            qty_short = least(greatest(line.qty_short - taken.beyond + taken.again, 0),
                line.qty - line.qty_fulfilled - line.qty_canceled - taken.qty + taken.again),
            qty_canceled = line.qty_canceled - taken.again,
            updated_at = now()
        FROM taken WHERE line.id = taken.id RETURNING old.qty_short > new.qty_short AS was_short
    ), of_listings AS (
        SELECT listing_id, sum(qty)::integer AS pieces, sum(qty - beyond)::integer AS held FROM taken GROUP BY listing_id
    )
    SELECT array_agg(listing_id), array_agg(of_listings.pieces), array_agg(of_listings.held),
        (SELECT bool_or(handed_over.was_short) FROM handed_over)
    INTO all_listings, pieces, held, was_short FROM of_listings;

    IF EXISTS (
        SELECT FROM unnest(all_listings, pieces, held) AS taken (listing, pieces, held)
        JOIN stock_counters AS counter ON counter.listing_id = taken.listing AND counter.stock IS NOT NULL
        WHERE taken.pieces > counter.stock
            OR taken.pieces - taken.held > greatest(counter.stock - counter.reserved, 0)
    ) THEN
        RAISE EXCEPTION 'there are too few pieces for order %', made.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'fulfilments_in_stock';
    END IF;

    DELETE FROM holds AS hold USING unnest(all_listings, held) AS taken (listing, number)
    WHERE hold.payment_id = made.payment_id AND hold.listing_id = taken.listing AND hold.qty <= taken.number;
    UPDATE holds AS hold SET qty = hold.qty - taken.number, reserved = hold.reserved - taken.number, updated_at = now()
    FROM unnest(all_listings, held) AS taken (listing, number)
    WHERE hold.payment_id = made.payment_id AND hold.listing_id = taken.listing AND taken.number > 0;
    PERFORM counters_add(all_listings, ARRAY(SELECT -number FROM unnest(held) WITH ORDINALITY AS each (number, place)
        ORDER BY place));
    -- Its trigger carries it to the counters.
    UPDATE listings AS listing SET stock = listing.stock - taken.number, updated_at = now()
    FROM unnest(all_listings, pieces) AS taken (listing, number)
    WHERE listing.id = taken.listing AND listing.stock IS NOT NULL;
    RETURN was_short;
END
$$;

-- Before a fulfilment is inserted it is done: pieces leave the stock, the order moves, its share of the money is asked for.
CREATE FUNCTION fulfilments_admit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    made orders := order_for_request(NEW.order_id, 'fulfilments');
BEGIN
    IF made.status = 'on_hold' THEN
        RAISE EXCEPTION 'order % is on hold', made.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'fulfilments_not_on_hold';
    END IF;
    IF EXISTS (SELECT FROM voids WHERE payment_id = made.payment_id AND status <= 'processing') THEN
        RAISE EXCEPTION 'the money for order % is being released', made.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'fulfilments_not_voided';
    END IF;
    NEW.lines := fulfilment_lines(made.id, NEW.lines);
    IF NEW.several_captures IS NOT NULL THEN
        NEW.capture_request_id := fulfilment_capture(NEW, made.payment_id, (
            SELECT sum(line.unit_price * part.qty) FROM jsonb_to_recordset(NEW.lines) AS part (line_id uuid, qty integer)
            JOIN order_lines AS line ON line.id = part.line_id));
    END IF;
    UPDATE orders SET version = version + 1, updated_at = now() WHERE id = made.id;
    IF fulfilment_take_stock(made, NEW.lines) THEN
        -- Fewer pieces are lacking: so the payment's reason is another one, or gone.
        PERFORM payments_fold(ARRAY[made.payment_id]);
    ELSE
        PERFORM orders_follow(ARRAY[made.id]);
        PERFORM events_follow('{}', ARRAY[made.payment_id], ARRAY[made.id], ARRAY[made.status], '{}');
    END IF;
    SELECT status INTO NEW.order_status FROM orders WHERE id = made.id;
    RETURN NEW;
END
$$;

CREATE TRIGGER fulfilments_admit BEFORE INSERT ON fulfilments FOR EACH ROW EXECUTE FUNCTION fulfilments_admit();


-- Before a cancellation is inserted it is done: pieces go back, what may be given back of the money is asked for, of each of
-- its sources apart, and what is authorized is to be released.
CREATE FUNCTION order_cancellations_admit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    made orders := order_for_request(NEW.order_id, 'order_cancellations');
    payment payments;
    remaining numeric;
BEGIN
    IF EXISTS (SELECT FROM order_lines WHERE order_id = made.id AND qty_fulfilled > 0) THEN
        RAISE EXCEPTION 'something of order % was fulfilled', made.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_cancellations_unfulfilled';
    END IF;
    IF EXISTS (SELECT FROM capture_requests WHERE payment_id = made.payment_id AND status <= 'processing') THEN
        RAISE EXCEPTION 'the money for order % is being captured', made.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_cancellations_not_capturing';
    END IF;
    NEW.payment_id := made.payment_id;
    UPDATE orders SET canceled_at = now(), version = version + 1, updated_at = now() WHERE id = made.id;
    PERFORM orders_follow(ARRAY[made.id]);
    SELECT * INTO payment FROM payments WHERE id = made.payment_id;
    IF payment.amount_authorized > 0 AND payment.closed IS NULL THEN
        SELECT id INTO NEW.void_id FROM voids WHERE payment_id = payment.id AND status <= 'processing';
        IF NOT FOUND THEN
            INSERT INTO voids (payment_id, requested_by, idempotency_key, request_hash)
            VALUES (payment.id, NEW.requested_by, 'cancellation ' || NEW.id, NEW.request_hash)
            RETURNING id INTO NEW.void_id;
        END IF;
    END IF;
    SELECT payment.amount_captured - payment.amount_lost - payment.amount_blocked - coalesce(sum(refund.amount), 0)
    INTO remaining FROM refunds AS refund WHERE refund.payment_id = payment.id AND refund.status <> 'failed';
    WITH parts AS (
        SELECT source.capture_ref, source.attempt_ref, row_number() OVER in_turn AS number,
            least(source.room, remaining - sum(source.room) OVER in_turn + source.room) AS amount
        FROM payment_sources(payment.id) WITH ORDINALITY AS source (id, capture_ref, attempt_ref, amount, room, place)
        WHERE source.room > 0 AND payment.status IN ('partially_paid', 'paid')
        WINDOW in_turn AS (ORDER BY source.place)
    ), given_back AS (
        INSERT INTO refunds (payment_id, amount, reason, requested_by, idempotency_key, request_hash, capture_ref,
            attempt_ref, part)
        SELECT payment.id, amount, NEW.reason, NEW.requested_by, 'cancellation ' || NEW.id, NEW.request_hash, capture_ref,
            attempt_ref, number - 1
        FROM parts WHERE amount > 0 ORDER BY number
        RETURNING id, part
    )
    SELECT coalesce(array_agg(id ORDER BY part), '{}') INTO NEW.refund_ids FROM given_back;
    IF cardinality(NEW.refund_ids) = 0 THEN
        -- Else the refunds did so: whether the payment lacks pieces depends on its order.
        PERFORM payments_fold(ARRAY[payment.id]);
    END IF;
    PERFORM events_follow('{}', ARRAY[payment.id], ARRAY[made.id], ARRAY[made.status], '{}');
    RETURN NEW;
END
$$;

CREATE TRIGGER order_cancellations_admit BEFORE INSERT ON order_cancellations
FOR EACH ROW EXECUTE FUNCTION order_cancellations_admit();

-- Cancels orders that are short, most of them at a time, in the name of the service. All locks come first, kind by kind,
-- since several orders are one transaction; one that somebody holds is left to the next call. An order that is refused for
-- a reason that nobody foresaw is returned without refunds, and is the last of all to be tried again.
CREATE FUNCTION orders_cancel_short(most integer, service uuid)
RETURNS TABLE (order_id uuid, refund_ids uuid[], void_id uuid) LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
    locked uuid[];
    due uuid[];
    short orders;
BEGIN
    locked := ARRAY(
        SELECT payment.id FROM payments AS payment
        WHERE payment.id = ANY(ARRAY(
            SELECT made.payment_id FROM orders AS made
            WHERE made.status = 'short' AND NOT EXISTS (SELECT FROM capture_requests AS request
                WHERE request.payment_id = made.payment_id AND request.status <= 'processing')
            ORDER BY made.updated_at, made.id LIMIT most))
        ORDER BY payment.id FOR NO KEY UPDATE SKIP LOCKED);
    -- Seen again now that nobody moves them.
    due := ARRAY(
        SELECT made.id FROM orders AS made
        WHERE made.payment_id = ANY(locked) AND made.status = 'short' AND NOT EXISTS (SELECT FROM capture_requests AS request
            WHERE request.payment_id = made.payment_id AND request.status <= 'processing')
        ORDER BY made.id FOR NO KEY UPDATE);
    PERFORM FROM holds WHERE payment_id = ANY(locked) ORDER BY payment_id, listing_id FOR UPDATE;
    PERFORM FROM stock_counters WHERE listing_id = ANY(ARRAY(SELECT listing_id FROM holds WHERE payment_id = ANY(locked)))
    ORDER BY listing_id FOR NO KEY UPDATE;
    FOR short IN SELECT * FROM orders WHERE id = ANY(due) ORDER BY id LOOP
        BEGIN
            RETURN QUERY
            INSERT INTO order_cancellations AS made (order_id, reason, requested_by, idempotency_key, request_hash)
            VALUES (short.id, 'out of stock', service, concat_ws(' ', 'short', short.id, short.version),
                sha256(convert_to(concat_ws(' ', 'short', short.id, short.version), 'UTF8')))
            RETURNING made.order_id, made.refund_ids, made.void_id;
        EXCEPTION WHEN integrity_constraint_violation THEN
            UPDATE orders SET updated_at = clock_timestamp() WHERE id = short.id;
            RETURN QUERY SELECT short.id, NULL::uuid[], NULL::uuid;
        END;
    END LOOP;
END
$$;


-- How many pieces of an order's line were given back, or are on their way.
CREATE FUNCTION order_line_refunded(line uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT refunded + refunding FROM order_line_refunds(line)
$$;

-- Before a line of a refund is inserted, under the payment's lock: it is of the payment's order, at the price that was paid,
-- and of no more pieces than were bought.
CREATE FUNCTION refund_lines_admit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    payment uuid := (SELECT payment_id FROM refunds WHERE id = NEW.refund_id);
    line order_lines;
BEGIN
    PERFORM FROM payments WHERE id = payment FOR NO KEY UPDATE;
    SELECT item.* INTO line FROM order_lines AS item JOIN orders AS made ON made.id = item.order_id
    WHERE item.id = NEW.order_line_id AND made.payment_id = payment;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'line % is of no order that payment % paid', NEW.order_line_id, payment
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refund_lines_of_order';
    END IF;
    IF NEW.amount <> line.unit_price * NEW.qty THEN
        RAISE EXCEPTION '% pieces of line % cost %', NEW.qty, line.id, line.unit_price * NEW.qty
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refund_lines_at_price';
    END IF;
    IF NEW.qty > line.qty - order_line_refunded(line.id) THEN
        RAISE EXCEPTION 'of line % fewer pieces are left to give back', line.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refund_lines_bought';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER refund_lines_admit BEFORE INSERT ON refund_lines FOR EACH ROW EXECUTE FUNCTION refund_lines_admit();

-- The lines of a request come to what it gives back, to the cent; they hang on its first part.
CREATE FUNCTION refund_lines_add_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT refund_id FROM added) AS each JOIN refunds AS first ON first.id = each.refund_id
        WHERE first.part <> 0 OR (SELECT sum(amount) FROM refund_lines WHERE refund_id = first.id)
            IS DISTINCT FROM (SELECT sum(part.amount) FROM refunds AS part
                WHERE part.id = first.id OR part.requested_by = first.requested_by
                    AND part.idempotency_key = first.idempotency_key)
    ) THEN
        RAISE EXCEPTION 'the lines of a refund do not add up to its amount'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refund_lines_add_up';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER refund_lines_add_up AFTER INSERT ON refund_lines REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION refund_lines_add_up();


-- Functions that run as the owner find their tables here and nowhere else, and nobody else may hang them on a table.
DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['fulfilments_admit()', 'order_cancellations_admit()', 'orders_cancel_short(integer, uuid)',
        'refund_lines_admit()', 'refund_lines_add_up()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;

GRANT INSERT (order_id, lines, carrier, tracking, several_captures, requested_by, idempotency_key, request_hash)
ON fulfilments TO checkout_web;
GRANT INSERT (order_id, reason, requested_by, idempotency_key, request_hash) ON order_cancellations TO checkout_web;
GRANT INSERT (refund_id, order_line_id, qty, amount) ON refund_lines TO checkout_web;
GRANT EXECUTE ON FUNCTION orders_cancel_short(integer, uuid) TO checkout_worker;
