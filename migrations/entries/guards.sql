-- payments_fit held sums that providers move; the status may go back, since entries decide.
ALTER TABLE payments DROP CONSTRAINT payments_refunds_fit;
DROP TRIGGER refunds_update_sums ON refunds;
DROP TRIGGER payments_guard_refund_sums ON payments;

CREATE OR REPLACE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
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
