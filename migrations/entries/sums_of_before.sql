-- The way back of 0007: the functions of the triggers that kept the sums of refunds before there were entries. The triggers
-- come with the way back of 0003.
CREATE FUNCTION refunds_update_sums() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    succeeded numeric := 0;
    outstanding numeric := 0;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        succeeded := succeeded - CASE OLD.status WHEN 'succeeded' THEN OLD.amount ELSE 0 END;
        outstanding := outstanding - CASE WHEN OLD.status <= 'processing' THEN OLD.amount ELSE 0 END;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        succeeded := succeeded + CASE NEW.status WHEN 'succeeded' THEN NEW.amount ELSE 0 END;
        outstanding := outstanding + CASE WHEN NEW.status <= 'processing' THEN NEW.amount ELSE 0 END;
    END IF;
    IF (succeeded, outstanding) <> (0, 0) THEN
        UPDATE payments SET amount_refunded = amount_refunded + succeeded,
            amount_refunding = amount_refunding + outstanding, updated_at = now()
        WHERE id = coalesce(NEW.payment_id, OLD.payment_id);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION payments_guard_refund_sums() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RAISE EXCEPTION 'permission denied: the sums of refunds are kept by the refunds themselves'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION refunds_update_sums() SET search_path = %I, pg_temp', current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION refunds_update_sums() FROM PUBLIC;
