-- Merges of a cart are counted, so that a session knows which of them it was read after. Times do not tell: a session is read,
-- its provider is called, and then it is written, and a guest may have signed in meanwhile.

-- Whether a session of the customer's cart was read after a guest's had gone into it. One that a release before wrote has no
-- count, and a guest who was merged before merges were counted has no number: every counted session was read after that.
CREATE OR REPLACE FUNCTION session_has_merge(
    merges integer, opened_at timestamptz, merge_number integer, linked_at timestamptz
) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN CASE WHEN merges IS NULL THEN opened_at > linked_at ELSE merges >= coalesce(merge_number, 0) END;

-- As before (migrations/guests/merging.sql), but it counts the merge.
CREATE OR REPLACE FUNCTION guest_merge(
    token bytea, lasts interval, customer uuid, of_issuer text, of_subject text, how text, most_lines integer,
    most_qty integer, largest numeric
) RETURNS TABLE (result text, beyond jsonb, canceled uuid[]) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    guest guests;
    mine carts;
    theirs carts;
    new_cart uuid;
    priced_in char(3);
BEGIN
    IF (how IN ('sum', 'max', 'guest', 'mine')) IS NOT TRUE THEN
        RAISE EXCEPTION 'no way to merge is called %', how USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO guest FROM guests WHERE token_hash = token AND last_used_at > now() - lasts FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknown', NULL::jsonb, '{}'::uuid[];
        RETURN;
    ELSIF guest.customer_id IS NOT NULL OR guest.id = customer THEN
        RETURN QUERY
        SELECT CASE WHEN guest.customer_id = customer THEN 'merged' ELSE 'of_another' END, guest.capped, '{}'::uuid[];
        RETURN;
    END IF;

    -- The cart before the customer, as the first write of a cart has it: two of these wait for each other in one order.
    IF NOT EXISTS (SELECT FROM carts WHERE user_id = customer) THEN
        WITH opened AS (
            INSERT INTO carts (user_id) VALUES (customer) ON CONFLICT (user_id) DO UPDATE SET updated_at = now()
            RETURNING id
        ), written AS (
            INSERT INTO users (id, issuer, subject) VALUES (customer, of_issuer, of_subject) ON CONFLICT DO NOTHING
        )
        SELECT id INTO new_cart FROM opened;
    END IF;
    PERFORM FROM carts WHERE user_id IN (guest.id, customer) ORDER BY id FOR NO KEY UPDATE;
    SELECT * INTO mine FROM carts WHERE user_id = customer;
    SELECT * INTO theirs FROM carts WHERE user_id = guest.id;
    PERFORM FROM cart_items WHERE cart_id IN (mine.id, theirs.id) ORDER BY cart_id, listing_id FOR UPDATE;

    IF how <> 'mine' AND EXISTS (SELECT FROM cart_items WHERE cart_id = theirs.id) THEN
        IF how = 'guest' THEN
            DELETE FROM cart_items AS item WHERE item.cart_id = mine.id AND NOT EXISTS (
                SELECT FROM cart_items AS other WHERE other.cart_id = theirs.id AND other.listing_id = item.listing_id);
        END IF;
        -- No price is ever converted. An empty cart takes the guest's currency, whichever was chosen for it.
        SELECT coalesce(theirs.currency, min(coalesce(item.currency, listing.currency))) INTO priced_in
        FROM cart_items AS item JOIN listings AS listing ON listing.id = item.listing_id WHERE item.cart_id = theirs.id;
        IF EXISTS (
            SELECT FROM cart_items AS item JOIN listings AS listing ON listing.id = item.listing_id
            WHERE item.cart_id = mine.id AND coalesce(item.currency, listing.currency) <> priced_in
        ) THEN
            IF how <> 'guest' THEN
                RETURN QUERY SELECT 'of_two_currencies', NULL::jsonb, '{}'::uuid[];
                RETURN;
            END IF;
            DELETE FROM cart_items WHERE cart_id = mine.id;
        END IF;
        UPDATE carts SET currency = priced_in, currency_chosen = theirs.currency_chosen, updated_at = now()
        WHERE id = mine.id AND currency IS DISTINCT FROM priced_in;
        WITH given AS (
            SELECT item.id, item.listing_id, item.currency, item.qty AS of_guest, own.qty AS of_customer, CASE how
                    WHEN 'sum' THEN item.qty + coalesce(own.qty, 0)
                    WHEN 'max' THEN greatest(item.qty, own.qty)
                    ELSE item.qty END AS requested
            FROM cart_items AS item
            LEFT JOIN cart_items AS own ON own.cart_id = mine.id AND own.listing_id = item.listing_id
            WHERE item.cart_id = theirs.id
        ), fitting AS (
            -- What one of the carts had already may stay, though a price rose since.
            SELECT given.*, least(given.requested, greatest(
                    least(most_qty, floor(largest / coalesce(price.unit_price, listing.unit_price)))::integer,
                    given.of_guest, given.of_customer)) AS qty,
                row_number() OVER (PARTITION BY given.of_customer IS NULL ORDER BY given.id) AS place
            FROM given JOIN listings AS listing ON listing.id = given.listing_id
            LEFT JOIN listing_prices AS price ON price.listing_id = listing.id AND price.currency = given.currency
                AND given.currency <> listing.currency
        ), roomy AS (
            SELECT fitting.id, fitting.listing_id, fitting.currency, fitting.requested, CASE
                    WHEN fitting.of_customer IS NULL AND fitting.place > most_lines
                        - (SELECT count(*) FROM cart_items AS item WHERE item.cart_id = mine.id)
                    THEN 0 ELSE fitting.qty END AS qty
            FROM fitting
        ), written AS (
            INSERT INTO cart_items (cart_id, listing_id, qty, currency)
            SELECT mine.id, roomy.listing_id, roomy.qty, roomy.currency FROM roomy WHERE roomy.qty > 0 ORDER BY roomy.id
            ON CONFLICT (cart_id, listing_id) DO UPDATE
            SET qty = excluded.qty, currency = excluded.currency, updated_at = now()
        )
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'listing', roomy.listing_id, 'requested', roomy.requested, 'qty', roomy.qty) ORDER BY roomy.id), '[]')
        INTO guest.capped FROM roomy WHERE roomy.qty < roomy.requested;
    END IF;
    DELETE FROM cart_items WHERE cart_id = theirs.id;

    WITH request AS (
        INSERT INTO cancel_requests (payment_id, requested_by)
        SELECT payment.id, customer
        FROM checkout_sessions AS session JOIN payments AS payment ON payment.id = session.payment_id
        WHERE session.cart_id = theirs.id AND session.generation = theirs.generation
            AND payment.status < 'expired' AND payment.amount_captured = 0
            AND NOT (payment.under_way OR payment.status = 'processing' OR payment.amount_authorized > 0)
        ORDER BY payment.id
        ON CONFLICT (payment_id) DO NOTHING
        RETURNING payment_id
    )
    SELECT coalesce(array_agg(request.payment_id), '{}') INTO canceled FROM request;
    -- A session that is about to be opened of it is not: its lines are elsewhere now. One that is there keeps its generation.
    UPDATE carts SET generation = generation + 1, updated_at = now() WHERE id = theirs.id;
    -- A session that was read before this has none of these lines, whenever it is opened.
    IF how <> 'mine' THEN
        UPDATE carts SET merges = merges + 1, updated_at = now() WHERE id = mine.id;
    END IF;
    UPDATE guests SET customer_id = customer, linked_at = clock_timestamp(), capped = guest.capped, updated_at = now(),
        merged_cart_id = CASE WHEN how <> 'mine' THEN mine.id END,
        merged_generation = CASE WHEN how <> 'mine' THEN theirs.generation END,
        into_generation = CASE WHEN how <> 'mine' THEN mine.generation END,
        merge_number = CASE WHEN how <> 'mine' THEN mine.merges + 1 END
    WHERE id = guest.id;
    RETURN QUERY SELECT 'merged', guest.capped, canceled;
END
$$;

-- What is replaced loses its search_path: both in one transaction.
DO $$
DECLARE
    merge text := 'guest_merge(bytea, interval, uuid, text, text, text, integer, integer, numeric)';
BEGIN
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', merge, current_schema());
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', merge);
END
$$;

-- As before (migrations/guests/merging.sql), but a session that was opened after is known by what it was read after.
CREATE OR REPLACE FUNCTION order_carts(made uuid[]) RETURNS TABLE (order_id uuid, cart_id uuid, is_merged boolean) LANGUAGE sql STABLE AS $$
    SELECT new.id, CASE
            WHEN EXISTS (SELECT FROM orders AS later
                WHERE later.cart_id = new.cart_id AND later.generation > new.generation) THEN NULL
            WHEN guest.id IS NULL THEN new.cart_id
            ELSE cart.id END, guest.id IS NOT NULL
    FROM orders AS new
    LEFT JOIN guests AS guest ON guest.id = new.user_id AND guest.merged_cart_id IS NOT NULL
        AND guest.merged_generation >= new.generation
    LEFT JOIN carts AS cart ON cart.id = guest.merged_cart_id AND NOT EXISTS (
        SELECT FROM orders AS since JOIN checkout_sessions AS session ON session.id = since.session_id
        WHERE since.cart_id = cart.id AND since.generation >= guest.into_generation
            AND session_has_merge(session.merges, session.created_at, guest.merge_number, guest.linked_at))
    WHERE new.id = ANY(made)
$$;

-- As before (migrations/guests/merging.sql), with the same difference.
CREATE OR REPLACE FUNCTION orders_use_up_carts(made uuid[], some_authorized boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    merged uuid[];
BEGIN
    SELECT array_agg(DISTINCT used.cart_id) INTO merged
    FROM order_carts(made) AS used WHERE used.is_merged AND used.cart_id IS NOT NULL;
    MERGE INTO cart_items AS item
    USING (
        SELECT used.cart_id, line.listing_id, sum(line.qty) AS qty
        FROM orders AS new JOIN order_carts(made) AS used ON used.order_id = new.id
        JOIN order_lines AS line ON line.order_id = new.id
        WHERE new.id = ANY(made) AND used.cart_id IS NOT NULL
        GROUP BY used.cart_id, line.listing_id
    ) AS bought
    ON item.cart_id = bought.cart_id AND item.listing_id = bought.listing_id
    WHEN MATCHED AND item.qty <= bought.qty THEN DELETE
    WHEN MATCHED THEN UPDATE SET qty = item.qty - bought.qty, updated_at = now();

    -- The first money that came has ended it already, not so what is authorized.
    IF some_authorized THEN
        UPDATE carts AS cart SET generation = cart.generation + 1, updated_at = now()
        FROM orders AS new
        WHERE new.id = ANY(made) AND cart.id = new.cart_id AND cart.generation = new.generation;
    END IF;

    INSERT INTO cancel_requests (payment_id, requested_by)
    SELECT DISTINCT other.id, other.user_id
    FROM orders AS new
    CROSS JOIN LATERAL (
        SELECT new.cart_id, new.generation
        UNION ALL
        -- What this session bought was in a guest's cart before: a payment of that may have failed since.
        SELECT theirs.id, guest.merged_generation
        FROM guests AS guest JOIN carts AS theirs ON theirs.user_id = guest.id
        JOIN checkout_sessions AS paid ON paid.id = new.session_id
            AND session_has_merge(paid.merges, paid.created_at, guest.merge_number, guest.linked_at)
        WHERE guest.merged_cart_id = new.cart_id AND guest.into_generation <= new.generation
    ) AS filling
    JOIN checkout_sessions AS session ON session.cart_id = filling.cart_id
        AND session.generation = filling.generation AND session.payment_id <> new.payment_id
    JOIN payments AS other ON other.id = session.payment_id
    WHERE new.id = ANY(made) AND other.status IN ('pending', 'failed') AND NOT other.under_way
    ON CONFLICT (payment_id) DO NOTHING;

    IF merged IS NOT NULL THEN
        INSERT INTO cancel_requests (payment_id, requested_by)
        SELECT DISTINCT other.id, other.user_id
        FROM carts AS cart JOIN checkout_sessions AS session
            ON session.cart_id = cart.id AND session.generation = cart.generation
        JOIN payments AS other ON other.id = session.payment_id
        WHERE cart.id = ANY(merged) AND other.status IN ('pending', 'failed') AND NOT other.under_way
        ON CONFLICT (payment_id) DO NOTHING;
        UPDATE carts SET generation = generation + 1, updated_at = now() WHERE id = ANY(merged);
    END IF;
END
$$;
