DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['carts_lock_for_payments(text[])',
        'payments_fold(uuid[], payment_status[], timestamptz[], bytea[])', 'refunds_fill_from_payment()',
        'refunds_check_cover()', 'refunds_fold_payment()', 'capture_requests_admit()', 'capture_requests_check_cover()',
        'voids_admit()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;

GRANT EXECUTE ON FUNCTION carts_lock_for_payments(text[]), payments_fold(uuid[], payment_status[], timestamptz[], bytea[])
TO checkout_worker;
GRANT SELECT ON payment_attempts, captures, disputes, payment_notices, payment_reviews, payment_acceptances,
    capture_requests, voids TO checkout_web, checkout_worker;
GRANT INSERT, UPDATE ON payment_attempts, captures, disputes TO checkout_worker;
GRANT INSERT ON payment_notices, payment_reviews, payment_acceptances TO checkout_worker;
GRANT INSERT (payment_id, attempt_ref, amount, final, requested_by, idempotency_key, request_hash)
ON capture_requests TO checkout_web;
GRANT UPDATE (provider_ref, status, decline, attempts, sent_at, next_attempt_at, detail, in_doubt, version, updated_at)
ON capture_requests TO checkout_worker;
GRANT INSERT (payment_id, requested_by, idempotency_key, request_hash) ON voids TO checkout_web;
GRANT UPDATE (status, decline, attempts, sent_at, next_attempt_at, detail, version, updated_at) ON voids TO checkout_worker;
GRANT INSERT (capture_ref, attempt_ref, part) ON refunds TO checkout_web;
GRANT INSERT (capture_ref, attempt_ref), UPDATE (capture_ref, attempt_ref, version) ON refunds TO checkout_worker;
