-- The mates of a session that is opened now: of each guest whose cart had gone into this one when it was read, the sessions of the
-- filling that did, and of older ones that were paid in part, if a listing is in both. Not once the customer has bought what was
-- merged (order_carts), nor once the guest has: then it has left the cart, and who buys it again means to. Its statement holds
-- the cart, for which whoever makes an order of either waits. Mostly no guest's cart went into this one, and it is not called.
CREATE OR REPLACE FUNCTION checkout_sessions_pair() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    mates uuid[];
BEGIN
    mates := ARRAY(
        SELECT theirs.payment_id
        FROM guests AS guest JOIN carts AS cart ON cart.user_id = guest.id
        JOIN checkout_sessions AS theirs ON theirs.cart_id = cart.id AND theirs.generation <= guest.merged_generation
        WHERE guest.merged_cart_id = NEW.cart_id
            AND session_has_merge(NEW.merges, NEW.created_at, guest.merge_number, guest.linked_at)
            AND NOT EXISTS (
                SELECT FROM orders AS since JOIN checkout_sessions AS session ON session.id = since.session_id
                WHERE since.cart_id = NEW.cart_id AND since.generation >= guest.into_generation
                    AND session_has_merge(session.merges, session.created_at, guest.merge_number, guest.linked_at))
            AND NOT EXISTS (SELECT FROM orders AS made
                WHERE made.cart_id = theirs.cart_id AND made.generation >= theirs.generation)
            AND EXISTS (
                SELECT FROM jsonb_array_elements(theirs.lines) AS line
                WHERE line -> 'listing_id' IN (SELECT own -> 'listing_id' FROM jsonb_array_elements(NEW.lines) AS own))
        ORDER BY theirs.payment_id);
    INSERT INTO payment_mates (payment_id, mate_id)
    SELECT NEW.payment_id, mate FROM unnest(mates) AS mate
    UNION ALL
    SELECT mate, NEW.payment_id FROM unnest(mates) AS mate;
    RETURN NULL;
END
$$;

-- As before (migrations/guests/merging.sql), and the carts of mates: each of two waits for the other, though their guest was
-- erased since.
CREATE OR REPLACE FUNCTION carts_lock_for_payments(money text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM guests
    WHERE id IN (SELECT payment.user_id FROM payments AS payment WHERE payment.provider_ref = ANY(money))
    ORDER BY id FOR SHARE;
    PERFORM FROM carts
    WHERE id IN (
        SELECT session.cart_id FROM payments AS payment JOIN checkout_sessions AS session ON session.payment_id = payment.id
        WHERE payment.provider_ref = ANY(money)
        UNION ALL
        SELECT guest.merged_cart_id FROM payments AS payment JOIN guests AS guest ON guest.id = payment.user_id
        WHERE payment.provider_ref = ANY(money)
        UNION ALL
        SELECT session.cart_id FROM payments AS payment JOIN payment_mates AS pair ON pair.payment_id = payment.id
        JOIN checkout_sessions AS session ON session.payment_id = pair.mate_id
        WHERE payment.provider_ref = ANY(money)
    )
    ORDER BY id FOR NO KEY UPDATE;
END
$$;

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['checkout_sessions_pair()', 'carts_lock_for_payments(text[])'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;
