-- Who may do what with orders. They are written by payments_fold, which runs as the owner; the web tier writes what somebody
-- asked for. Functions that run as the owner find their tables here and nowhere else.
DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['payments_fold(uuid[], payment_status[], timestamptz[], bytea[])',
        'payments_have_orders()', 'orders_wait_for_numbers()', 'orders_number(text, integer)', 'order_take_over(uuid)',
        'carts_lock_for_payments(text[])'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;

GRANT EXECUTE ON FUNCTION payments_fold(uuid[], payment_status[], timestamptz[], bytea[]), orders_number(text, integer),
    order_take_over(uuid), carts_lock_for_payments(text[]) TO checkout_worker;

GRANT SELECT ON orders, order_lines, order_reasons, order_numbers, unnumbered_orders, fulfilments, order_cancellations, refund_lines
TO checkout_web, checkout_worker;
GRANT INSERT (buyer, delivery_address) ON checkout_sessions TO checkout_web;
