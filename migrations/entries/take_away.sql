-- The way back of 0003: the tables of before, with what the release before needs of them. It knows neither 'authorized'
-- nor 'partially_paid', and no entry: what they tell beyond the status of a payment is lost.
DROP TRIGGER payments_bridge ON payments;
DROP TRIGGER refunds_bridge_payment ON refunds;
DROP TRIGGER refunds_bridge_sums ON refunds;
DROP TRIGGER refunds_fold_payment ON refunds;
DROP TRIGGER refunds_check_cover ON refunds;

UPDATE payments SET review_reason = concat_ws(', ', 'mismatch', nullif(review_reason, 'mismatch'))
WHERE status = 'partially_paid' AND review_reason IS DISTINCT FROM 'mismatch';
UPDATE payments SET status = 'pending' WHERE status = 'partially_paid';
UPDATE payments SET status = 'processing' WHERE status = 'authorized';

DROP FUNCTION capture_counts(captures);
DROP TABLE capture_requests, voids, payment_acceptances, payment_reviews, payment_notices, disputes, captures,
    payment_attempts;

-- What the login roles had.
REVOKE INSERT (user_id), UPDATE (updated_at) ON carts FROM checkout_web;
GRANT INSERT, UPDATE ON carts TO checkout_web;
REVOKE INSERT (capture_ref, attempt_ref, part) ON refunds FROM checkout_web;
REVOKE INSERT (capture_ref, attempt_ref), UPDATE (capture_ref, attempt_ref, version) ON refunds FROM checkout_worker;

DROP FUNCTION payments_enter(uuid[]), payments_bridge(), refunds_bridge_payment(), refunds_bridge_sums(),
    payments_fold(uuid[], payment_status[], timestamptz[], bytea[]), carts_lock_for_payments(text[]),
    payment_reasons(payment_sum[]), payment_sums(uuid[]), payment_source_left(uuid, text, text, uuid),
    payment_sources_used(uuid, text[], text, uuid),
    payment_sources(uuid), payment_authorizations(uuid), capture_limit(text, numeric, text),
    disputes_block(numeric, numeric, numeric), refunds_check_cover(), refunds_fold_payment(), capture_requests_admit(),
    capture_requests_check_cover(), capture_requests_guard(), voids_admit(), voids_guard(), captures_guard(),
    disputes_guard(), payment_attempts_guard();
DROP TYPE payment_sum;

ALTER TABLE carts DROP generation;
ALTER TABLE checkout_sessions DROP generation;
ALTER TABLE webhook_deliveries DROP names;
ALTER TABLE payments
    DROP amount_captured, DROP amount_lost, DROP amount_blocked, DROP amount_authorized, DROP amount_accepted,
    DROP under_way, DROP closed, DROP looked_up_at, DROP version;

-- An event that speaks of no status of a payment keeps its row, so that it stays a duplicate when it comes again.
UPDATE payment_events SET status = 'pending' WHERE status IS NULL;
ALTER TABLE payment_events ALTER status SET NOT NULL, DROP entries;

ALTER TABLE refunds DROP capture_ref, DROP attempt_ref, DROP part, DROP version;

CREATE OR REPLACE FUNCTION refunds_fill_from_payment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    payment payments;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no payment %', NEW.payment_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'refunds_payment_id_fkey';
    END IF;
    IF payment.status < 'paid' OR (NEW.status = 'requested' AND payment.status <> 'paid') THEN
        RAISE EXCEPTION 'payment % is %: there is nothing to give back', payment.id, payment.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_payment_is_paid';
    END IF;
    NEW.provider := coalesce(NEW.provider, payment.provider);
    NEW.currency := coalesce(NEW.currency, payment.currency);
    NEW.amount := coalesce(NEW.amount, payment.amount - payment.amount_refunded - payment.amount_refunding);
    IF (NEW.provider, NEW.currency) <> (payment.provider, payment.currency) THEN
        RAISE EXCEPTION 'a refund has the provider and currency of its payment %', payment.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_match_payment';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION refunds_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'refund % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_status_order';
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.amount, NEW.currency, NEW.requested_by, NEW.idempotency_key,
            coalesce(OLD.provider_ref, NEW.provider_ref))
        IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.amount, OLD.currency, OLD.requested_by,
            OLD.idempotency_key, NEW.provider_ref) THEN
        RAISE EXCEPTION 'refund % keeps its payment, amount, currency, key and reference', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'payment % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_status_order';
    END IF;
    IF (NEW.id, NEW.amount, NEW.currency, NEW.provider, NEW.provider_ref, NEW.user_id)
            IS DISTINCT FROM (OLD.id, OLD.amount, OLD.currency, OLD.provider, OLD.provider_ref, OLD.user_id) THEN
        RAISE EXCEPTION 'payment % keeps its amount, currency, provider, reference and owner', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_fixed_columns';
    END IF;
    IF OLD.capture_ref IS NOT NULL AND NEW.capture_ref IS DISTINCT FROM OLD.capture_ref THEN
        RAISE EXCEPTION 'payment % keeps the name of its money', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

-- What keeps the sums of refunds for that release.
CREATE TRIGGER refunds_update_sums AFTER INSERT OR DELETE OR UPDATE OF status ON refunds
FOR EACH ROW EXECUTE FUNCTION refunds_update_sums();
CREATE TRIGGER payments_guard_refund_sums BEFORE UPDATE OF amount_refunded, amount_refunding ON payments
FOR EACH STATEMENT EXECUTE FUNCTION payments_guard_refund_sums();

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION refunds_fill_from_payment() SET search_path = %I, pg_temp', current_schema());
END
$$;

-- Rows that these two would refuse are the truth, and are kept: then both hold for what comes from now on.
DO $$
BEGIN
    ALTER TABLE payments ADD CONSTRAINT payments_refunds_fit CHECK (
        amount_refunded >= 0 AND amount_refunding >= 0 AND amount_refunded + amount_refunding <= amount) NOT VALID;
    IF NOT EXISTS (SELECT FROM payments WHERE amount_refunded + amount_refunding > amount) THEN
        ALTER TABLE payments VALIDATE CONSTRAINT payments_refunds_fit;
    END IF;
    ALTER TABLE audit DROP CONSTRAINT audit_action_known, ADD CONSTRAINT audit_action_known
        CHECK (action IN ('process', 'process_all', 'stop', 'look_up', 'review')) NOT VALID;
    IF NOT EXISTS (SELECT FROM audit WHERE action IN ('accept', 'fail_capture')) THEN
        ALTER TABLE audit VALIDATE CONSTRAINT audit_action_known;
    END IF;
END
$$;

DROP FUNCTION currency_decimals(text), currency_prevails(uuid, text, text);
DROP TYPE attempt_status, capture_status, dispute_stage, dispute_status, request_status;
