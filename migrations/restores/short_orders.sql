-- As before (migrations/orders/requests.sql), but an order waits while nobody knows what its provider gave back since the moment
-- that the database was put back to.
CREATE OR REPLACE FUNCTION orders_cancel_short(most integer, service uuid)
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
                AND NOT EXISTS (SELECT FROM look_ups_after_restore AS waiting WHERE waiting.payment_id = made.payment_id)
            ORDER BY made.updated_at, made.id LIMIT most))
        ORDER BY payment.id FOR NO KEY UPDATE SKIP LOCKED);
    -- Seen again now that nobody moves them.
    due := ARRAY(
        SELECT made.id FROM orders AS made
        WHERE made.payment_id = ANY(locked) AND made.status = 'short' AND NOT EXISTS (SELECT FROM capture_requests AS request
            WHERE request.payment_id = made.payment_id AND request.status <= 'processing')
            AND NOT EXISTS (SELECT FROM look_ups_after_restore AS waiting WHERE waiting.payment_id = made.payment_id)
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

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION orders_cancel_short(integer, uuid) SET search_path = %I, pg_temp', current_schema());
END
$$;
