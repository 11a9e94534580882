-- Payments about which their provider has to be asked since the database was put back to an earlier moment, or lost the
-- last of what it had. A row stands until what the provider said is recorded, and goes in the same transaction: until then
-- nobody knows what was given back or captured meanwhile. Answered, but there all the same: that provider cannot tell, and
-- an operator has to let it go.
CREATE TABLE IF NOT EXISTS look_ups_after_restore (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT look_ups_after_restore_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT look_ups_after_restore_payment_id_fkey REFERENCES payments (id),
    provider text NOT NULL,
    due_at timestamptz DEFAULT now() NOT NULL,
    answered_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS look_ups_after_restore_payment_id ON look_ups_after_restore (payment_id);
CREATE INDEX IF NOT EXISTS look_ups_after_restore_provider_due_at ON look_ups_after_restore (provider, due_at)
WHERE answered_at IS NULL;

GRANT SELECT ON look_ups_after_restore TO checkout_web, checkout_worker;
GRANT UPDATE (due_at, answered_at, updated_at), DELETE ON look_ups_after_restore TO checkout_worker;

-- Whether its provider gave money back for a request of ours that is not here, and nobody has looked at it since: whoever
-- repeats that request would be given it again.
CREATE OR REPLACE FUNCTION refund_request_lost(payment uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM payments AS own JOIN payment_notices AS notice ON notice.payment_id = own.id
        WHERE own.id = payment AND own.review_reason LIKE '%refund\_mismatch%' AND notice.reason = 'refund_mismatch'
            AND notice.detail LIKE '% was requested here, and is not here'
            AND NOT EXISTS (SELECT FROM payment_reviews AS review
                WHERE review.payment_id = own.id AND review.reason = notice.reason
                    AND review.created_at > notice.created_at))
$$;

-- Before a refund or a capture is inserted, after the trigger that locks its payment: what was read before may be out of
-- date by now. What a cancellation gives back is all that is left, so of that none can be a lost request once more.
CREATE OR REPLACE FUNCTION requests_wait_for_look_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (SELECT FROM look_ups_after_restore AS waiting WHERE waiting.payment_id = NEW.payment_id) THEN
        RAISE EXCEPTION 'payment % waits for its look-up after a restore', NEW.payment_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'requests_wait_for_look_up';
    END IF;
    IF TG_TABLE_NAME = 'refunds' AND pg_trigger_depth() = 1 AND refund_request_lost(NEW.payment_id) THEN
        RAISE EXCEPTION 'a refund of payment % was requested before, and is not here', NEW.payment_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_request_lost';
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION requests_wait_for_look_up() FROM PUBLIC;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION requests_wait_for_look_up() SET search_path = %I, pg_temp', current_schema());
END
$$;
