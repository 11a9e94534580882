-- An entry is only ever joined: status, amounts, steps and moments go one way, whoever writes them, and what an entry is
-- never changes. So nothing that a provider told is taken back, and whatever order events come in, they end alike.
-- Amounts that are NULL come once. A column that a row compares is compared as greatest() compares it.

-- Of two currencies under one name that of the payment is kept, else the smaller text, so that any order ends alike;
-- whether the new one is that. Amounts go one way within a currency.
CREATE FUNCTION currency_prevails(payment uuid, new text, old text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT old IS NULL OR new <> old AND (new = own.currency OR old <> own.currency AND new < old COLLATE "C")
    FROM payments AS own WHERE own.id = payment
$$;

CREATE FUNCTION payment_attempts_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'attempt % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_attempts_status_order';
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.attempt_ref)
            IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.attempt_ref)
            OR NEW.currency IS DISTINCT FROM OLD.currency
            AND currency_prevails(OLD.payment_id, NEW.currency, OLD.currency) IS NOT TRUE THEN
        RAISE EXCEPTION 'attempt % keeps its payment, name and currency', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_attempts_fixed_columns';
    END IF;
    IF NEW.currency <> OLD.currency THEN
        OLD.amount_presumed := NULL;
        OLD.amount_authorized := NULL;
    END IF;
    IF (NEW.reported_at, NEW.amount_presumed, NEW.amount_authorized, NEW.rest_released, NEW.expires_at,
            NEW.times_out_at, NEW.given_up_at, NEW.replaces, NEW.version)
        IS DISTINCT FROM (greatest(NEW.reported_at, OLD.reported_at),
            greatest(NEW.amount_presumed, OLD.amount_presumed), greatest(NEW.amount_authorized, OLD.amount_authorized),
            NEW.rest_released OR OLD.rest_released, greatest(NEW.expires_at, OLD.expires_at),
            greatest(NEW.times_out_at, OLD.times_out_at), greatest(NEW.given_up_at, OLD.given_up_at),
            greatest(NEW.replaces, OLD.replaces), greatest(NEW.version, OLD.version)) THEN
        RAISE EXCEPTION 'attempt % keeps its greatest amounts and moments', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_attempts_one_way';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER payment_attempts_guard BEFORE UPDATE ON payment_attempts
FOR EACH ROW EXECUTE FUNCTION payment_attempts_guard();


CREATE FUNCTION captures_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'capture % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'captures_status_order';
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.capture_ref)
            IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.capture_ref)
            OR NEW.currency <> OLD.currency
            AND currency_prevails(OLD.payment_id, NEW.currency, OLD.currency) IS NOT TRUE THEN
        RAISE EXCEPTION 'capture % keeps its payment, name and currency', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'captures_fixed_columns';
    END IF;
    IF NEW.currency <> OLD.currency THEN
        OLD.amount := NULL;
    END IF;
    IF (NEW.amount, NEW.attempt_ref, NEW.version)
        IS DISTINCT FROM (greatest(NEW.amount, OLD.amount), greatest(NEW.attempt_ref, OLD.attempt_ref),
            greatest(NEW.version, OLD.version)) THEN
        RAISE EXCEPTION 'capture % keeps its greatest amount, and its attempt', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'captures_one_way';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER captures_guard BEFORE UPDATE ON captures FOR EACH ROW EXECUTE FUNCTION captures_guard();


CREATE FUNCTION disputes_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.dispute_ref)
            IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.dispute_ref)
            OR NEW.currency IS DISTINCT FROM OLD.currency
            AND currency_prevails(OLD.payment_id, NEW.currency, OLD.currency) IS NOT TRUE THEN
        RAISE EXCEPTION 'dispute % keeps its payment, name and currency', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'disputes_fixed_columns';
    END IF;
    -- The first that differs decides, as in the join.
    IF (NEW.stage, NEW.reported_at, NEW.rank, NEW.event_id) < (OLD.stage, OLD.reported_at, OLD.rank, OLD.event_id) THEN
        RAISE EXCEPTION 'dispute % has newer news than these', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'disputes_news_order';
    END IF;
    IF (NEW.money_step, NEW.money_out) < (OLD.money_step, OLD.money_out) THEN
        RAISE EXCEPTION 'the money of dispute % is at step % already', OLD.id, OLD.money_step
            USING ERRCODE = 'check_violation', CONSTRAINT = 'disputes_money_order';
    END IF;
    IF NEW.currency <> OLD.currency THEN
        OLD.amount := NULL;
    END IF;
    IF (NEW.money_only, NEW.amount, NEW.capture_ref, NEW.attempt_ref, NEW.version)
        IS DISTINCT FROM (NEW.money_only OR OLD.money_only, greatest(NEW.amount, OLD.amount),
            greatest(NEW.capture_ref, OLD.capture_ref),
            greatest(NEW.attempt_ref, OLD.attempt_ref), greatest(NEW.version, OLD.version)) THEN
        RAISE EXCEPTION 'dispute % keeps its greatest amount, and what it is about', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'disputes_one_way';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER disputes_guard BEFORE UPDATE ON disputes FOR EACH ROW EXECUTE FUNCTION disputes_guard();


CREATE FUNCTION capture_requests_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'capture request % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'capture_requests_status_order';
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.attempt_ref, NEW.amount, NEW.currency, NEW.final, NEW.releases,
            NEW.requested_by, NEW.idempotency_key, NEW.request_hash, coalesce(OLD.provider_ref, NEW.provider_ref))
        IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.attempt_ref, OLD.amount, OLD.currency, OLD.final,
            OLD.releases, OLD.requested_by, OLD.idempotency_key, OLD.request_hash, NEW.provider_ref) THEN
        RAISE EXCEPTION 'capture request % keeps its payment, amount, currency, key and reference', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'capture_requests_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER capture_requests_guard BEFORE UPDATE ON capture_requests
FOR EACH ROW EXECUTE FUNCTION capture_requests_guard();


CREATE FUNCTION voids_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'void % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'voids_status_order';
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.releases, NEW.currency, NEW.requested_by, NEW.idempotency_key,
            NEW.request_hash)
        IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.releases, OLD.currency, OLD.requested_by,
            OLD.idempotency_key, OLD.request_hash) THEN
        RAISE EXCEPTION 'void % keeps its payment and key', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'voids_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER voids_guard BEFORE UPDATE ON voids FOR EACH ROW EXECUTE FUNCTION voids_guard();


-- As before, and: what it is of is set once, its part of the request never changes.
CREATE OR REPLACE FUNCTION refunds_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'refund % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_status_order';
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.amount, NEW.currency, NEW.requested_by, NEW.idempotency_key,
            NEW.request_hash, NEW.part, coalesce(OLD.provider_ref, NEW.provider_ref),
            coalesce(OLD.capture_ref, NEW.capture_ref), coalesce(OLD.attempt_ref, NEW.attempt_ref))
        IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.amount, OLD.currency, OLD.requested_by,
            OLD.idempotency_key, OLD.request_hash, OLD.part, NEW.provider_ref, NEW.capture_ref, NEW.attempt_ref) THEN
        RAISE EXCEPTION 'refund % keeps its payment, amount, currency, key, source and reference', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;


-- The status of a payment may go back, since its entries decide. What it is still never changes.
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

-- It stood on sums that providers move; what we ask for is admitted with cover instead (requests.sql). The sums follow
-- from the fold, and who may write them from the rights.
ALTER TABLE payments DROP CONSTRAINT payments_refunds_fit;
DROP TRIGGER refunds_update_sums ON refunds;
DROP TRIGGER payments_guard_refund_sums ON payments;
