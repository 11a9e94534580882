-- Who may do what. The worker writes what providers reported, and of that only what is joined. The web tier writes what
-- somebody asked for. Status, sums and reasons of payments are written by payments_fold, which runs as the owner.
-- Functions that run as the owner find their tables here and nowhere else, and nobody else may hang them on a table.
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

-- Ids and times of creation are the database's: the newest acceptance counts by its id.
GRANT
    INSERT (payment_id, provider, attempt_ref, status, reported_at, currency, amount_presumed, amount_authorized,
        rest_released, expires_at, times_out_at, given_up_at, replaces, decline),
    UPDATE (status, reported_at, currency, amount_presumed, amount_authorized, rest_released, expires_at, times_out_at,
        given_up_at, replaces, decline, version, updated_at)
ON payment_attempts TO checkout_worker;
GRANT
    INSERT (payment_id, provider, capture_ref, attempt_ref, status, amount, currency),
    UPDATE (attempt_ref, status, amount, currency, version, updated_at)
ON captures TO checkout_worker;
GRANT
    INSERT (payment_id, provider, dispute_ref, capture_ref, attempt_ref, stage, status, reported_at, rank, event_id,
        reason, evidence_due_at, blocks_refund, money_step, money_out, money_only, amount, currency),
    UPDATE (capture_ref, attempt_ref, stage, status, reported_at, rank, event_id, reason, evidence_due_at,
        blocks_refund, money_step, money_out, money_only, amount, currency, version, updated_at)
ON disputes TO checkout_worker;
GRANT INSERT (payment_id, reason, ref, detail) ON payment_notices TO checkout_worker;
GRANT INSERT (payment_id, reason, amounts, command_id) ON payment_reviews TO checkout_worker;
GRANT INSERT (payment_id, amount, operator, why, command_id) ON payment_acceptances TO checkout_worker;

GRANT INSERT (payment_id, attempt_ref, amount, final, requested_by, idempotency_key, request_hash)
ON capture_requests TO checkout_web;
GRANT UPDATE (provider_ref, status, decline, attempts, sent_at, next_attempt_at, detail, in_doubt, version, updated_at)
ON capture_requests TO checkout_worker;
GRANT INSERT (payment_id, requested_by, idempotency_key, request_hash) ON voids TO checkout_web;
GRANT UPDATE (status, decline, attempts, sent_at, next_attempt_at, detail, version, updated_at) ON voids TO checkout_worker;
GRANT INSERT (capture_ref, attempt_ref, part) ON refunds TO checkout_web;
GRANT INSERT (capture_ref, attempt_ref), UPDATE (capture_ref, attempt_ref, version) ON refunds TO checkout_worker;

-- The generation of a cart counts fillings that were paid: payments_fold alone moves it.
REVOKE INSERT, UPDATE ON carts FROM checkout_web;
GRANT INSERT (user_id), UPDATE (updated_at) ON carts TO checkout_web;
