-- As carts_lock_for_payments(text[]) (migrations/merges/mates.sql), but that a payment is named by its provider and that
-- provider's reference of it: two providers may name alike. The one without providers is called by workers of the release
-- before, which lock too many carts by it and none too few; a later release drops it.
CREATE OR REPLACE FUNCTION carts_lock_for_payments(providers text[], money text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    meant uuid[];
BEGIN
    meant := ARRAY(
        SELECT payment.id FROM unnest(providers, money) AS named (provider, reference)
        JOIN payments AS payment ON payment.provider = named.provider AND payment.provider_ref = named.reference);
    PERFORM FROM guests
    WHERE id IN (SELECT payment.user_id FROM payments AS payment WHERE payment.id = ANY(meant))
    ORDER BY id FOR SHARE;
    PERFORM FROM carts
    WHERE id IN (
        SELECT session.cart_id FROM checkout_sessions AS session WHERE session.payment_id = ANY(meant)
        UNION ALL
        SELECT guest.merged_cart_id FROM payments AS payment JOIN guests AS guest ON guest.id = payment.user_id
        WHERE payment.id = ANY(meant)
        UNION ALL
        SELECT session.cart_id FROM payment_mates AS pair
        JOIN checkout_sessions AS session ON session.payment_id = pair.mate_id
        WHERE pair.payment_id = ANY(meant)
    )
    ORDER BY id FOR NO KEY UPDATE;
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION carts_lock_for_payments(text[], text[]) SET search_path = %I, pg_temp', current_schema());
END
$$;
REVOKE EXECUTE ON FUNCTION carts_lock_for_payments(text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION carts_lock_for_payments(text[], text[]) TO checkout_worker;
