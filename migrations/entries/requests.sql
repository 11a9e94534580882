-- What we ask providers for: refunds, captures, voids. What a provider says is always entered; only what we want to do can
-- be refused. A request is admitted under the lock of its payment and only with cover, and its first sending looks once
-- more, since a dispute may have come between. An open chargeback counts as gone, an inquiry does not.

-- What was given back or taken of some sources of a payment's money: of captures by name, and of an attempt what names no
-- capture. With sending, what that refund would find: those that were not sent yet hold nothing, nor does it itself.
CREATE FUNCTION payment_sources_used(payment uuid, captures text[], attempt text, sending uuid)
RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT sum(refund.amount) FROM refunds AS refund
            WHERE refund.payment_id = payment AND refund.status <> 'failed'
                AND (sending IS NULL OR refund.id <> sending AND (refund.status = 'succeeded'
                    OR refund.sent_at IS NOT NULL OR refund.requested_by IS NULL))
                AND (refund.capture_ref = ANY(captures)
                    OR refund.capture_ref IS NULL AND refund.attempt_ref = attempt)), 0)
        + coalesce((SELECT coalesce(sum(dispute.amount) FILTER (WHERE dispute.money_out), 0) + disputes_block(
                sum(dispute.amount) FILTER (WHERE dispute.money_step = 0 AND dispute.blocks_refund),
                sum(dispute.amount) FILTER (WHERE dispute.money_only AND dispute.money_out),
                sum(dispute.amount) FILTER (WHERE dispute.money_step = 0 AND dispute.status = 'lost'))
            FROM disputes AS dispute
            WHERE dispute.payment_id = payment AND (dispute.capture_ref = ANY(captures)
                OR dispute.capture_ref = '' AND dispute.attempt_ref = attempt)), 0)
$$;

-- What may still be given back of one source of a payment's money: a named capture, or an attempt on which money is
-- presumed. NULL: there is no such source. What names the attempt of a capture alone, as Adyen's refunds and chargebacks
-- do, is of one of its captures: all of them together have so much less.
CREATE FUNCTION payment_source_left(payment uuid, capture text, attempt text, sending uuid DEFAULT NULL)
RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT source.room
    FROM (
        SELECT least(
            CASE WHEN capture_counts(entry) THEN entry.amount ELSE 0 END
                - payment_sources_used(payment, ARRAY[capture], NULL, sending),
            beside.amount - payment_sources_used(payment, beside.refs, entry.attempt_ref, sending)) AS room
        FROM captures AS entry CROSS JOIN LATERAL (
            SELECT coalesce(sum(other.amount) FILTER (WHERE capture_counts(other)), 0), array_agg(other.capture_ref)
            FROM captures AS other
            WHERE other.payment_id = payment AND other.attempt_ref = entry.attempt_ref AND other.currency = entry.currency
        ) AS beside (amount, refs)
        WHERE entry.payment_id = payment AND entry.capture_ref = capture
        UNION ALL
        SELECT entry.amount_presumed - payment_sources_used(payment, '{}', attempt, sending)
        FROM payment_attempts AS entry
        WHERE capture IS NULL AND entry.payment_id = payment AND entry.attempt_ref = attempt
            AND entry.amount_presumed IS NOT NULL
    ) AS source
    LIMIT 1
$$;

-- Every source of a payment's money and what may still be given back of it, the oldest first: captures by their names,
-- and attempts whose presumed money counts, as payment_sums has it.
CREATE FUNCTION payment_sources(payment uuid)
RETURNS TABLE (id uuid, capture_ref text, attempt_ref text, amount numeric, room numeric) LANGUAGE sql STABLE AS $$
    SELECT source.id, source.capture_ref, source.attempt_ref, source.amount, greatest(measured.room, 0)
    FROM (
        SELECT entry.id, entry.capture_ref, NULL AS attempt_ref, entry.amount, entry.created_at
        FROM captures AS entry JOIN payments AS own ON own.id = entry.payment_id
        WHERE entry.payment_id = payment AND capture_counts(entry) AND entry.currency = own.currency
        UNION ALL
        SELECT entry.id, NULL, entry.attempt_ref, entry.amount_presumed, entry.created_at
        FROM payment_attempts AS entry JOIN payments AS own ON own.id = entry.payment_id
        WHERE entry.payment_id = payment AND entry.amount_presumed IS NOT NULL AND entry.status < 'expired'
            AND coalesce(entry.currency = own.currency, true)
            AND NOT EXISTS (SELECT FROM captures AS named
                WHERE named.payment_id = payment AND named.status >= 'succeeded'
                    AND entry.attempt_ref IN ('', named.attempt_ref))
            AND (entry.attempt_ref <> '' OR NOT EXISTS (SELECT FROM payment_attempts AS named
                WHERE named.payment_id = payment AND named.attempt_ref <> '' AND named.amount_presumed IS NOT NULL
                    AND named.status < 'expired'))
    ) AS source
    CROSS JOIN LATERAL (SELECT payment_source_left(payment, source.capture_ref, source.attempt_ref)) AS measured (room)
    ORDER BY source.created_at, source.id
$$;

-- Before a refund is inserted: it gets provider and currency of its payment and, where no amount is named, all that is
-- left. Two at once wait for each other at the row lock that this takes. Runs as the owner, since the web tier may not
-- lock a payment. Rows that the statement inserted before are seen: a request over two captures is two rows.
CREATE OR REPLACE FUNCTION refunds_fill_from_payment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    payment payments;
    remaining numeric;
    of_source numeric;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no payment %', NEW.payment_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'refunds_payment_id_fkey';
    END IF;
    NEW.provider := coalesce(NEW.provider, payment.provider);
    NEW.currency := coalesce(NEW.currency, payment.currency);
    IF (NEW.provider, NEW.currency) <> (payment.provider, payment.currency) THEN
        RAISE EXCEPTION 'a refund has the provider and currency of its payment %', payment.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_match_payment';
    END IF;
    IF NEW.requested_by IS NULL THEN
        RETURN NEW;
    END IF;
    IF payment.status NOT IN ('partially_paid', 'paid') THEN
        RAISE EXCEPTION 'payment % is %: there is nothing to give back', payment.id, payment.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_payment_is_paid';
    END IF;
    SELECT payment.amount_captured - payment.amount_lost - payment.amount_blocked - coalesce(sum(refund.amount), 0)
    INTO remaining FROM refunds AS refund WHERE refund.payment_id = payment.id AND refund.status <> 'failed';
    IF NEW.capture_ref IS NOT NULL OR NEW.attempt_ref IS NOT NULL THEN
        of_source := payment_source_left(payment.id, NEW.capture_ref, NEW.attempt_ref);
        remaining := least(remaining, coalesce(of_source, 0));
    END IF;
    NEW.amount := coalesce(NEW.amount, remaining);
    IF NEW.amount > remaining THEN
        RAISE EXCEPTION 'payment % has % left to give back', payment.id, remaining
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_covered';
    END IF;
    RETURN NEW;
END
$$;

-- Before the provider is asked for a refund the first time: whether there still is cover, among those that were sent.
CREATE FUNCTION refunds_check_cover() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    payment payments;
    remaining numeric;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
    SELECT payment.amount_captured - payment.amount_lost - payment.amount_blocked - coalesce(sum(refund.amount), 0)
    INTO remaining FROM refunds AS refund
    WHERE refund.payment_id = payment.id AND refund.id <> NEW.id
        AND (refund.status = 'succeeded' OR refund.status <= 'processing'
            AND (refund.sent_at IS NOT NULL OR refund.requested_by IS NULL));
    IF NEW.capture_ref IS NOT NULL OR NEW.attempt_ref IS NOT NULL THEN
        remaining := least(remaining,
            coalesce(payment_source_left(payment.id, NEW.capture_ref, NEW.attempt_ref, NEW.id), 0));
    END IF;
    IF NEW.amount > remaining THEN
        RAISE EXCEPTION 'payment % has % left to give back', payment.id, remaining
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_covered';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER refunds_check_cover BEFORE UPDATE OF sent_at ON refunds FOR EACH ROW
WHEN (OLD.sent_at IS NULL AND NEW.sent_at IS NOT NULL) EXECUTE FUNCTION refunds_check_cover();

-- A request moves the sums of its payment at once. What providers report moves them by the fold of the worker's set.
CREATE FUNCTION refunds_fold_payment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM payments_fold(ARRAY[NEW.payment_id]);
    RETURN NULL;
END
$$;

CREATE TRIGGER refunds_fold_payment AFTER INSERT ON refunds FOR EACH ROW
WHEN (NEW.requested_by IS NOT NULL) EXECUTE FUNCTION refunds_fold_payment();


-- What a provider lets us capture of what is authorized: PayPal 115 % or 75 USD more (Payments v2, "capture authorized
-- payment"), the others what was authorized.
CREATE FUNCTION capture_limit(provider text, authorized numeric, currency text) RETURNS numeric LANGUAGE sql IMMUTABLE
RETURN CASE WHEN provider = 'paypal' AND authorized > 0
    THEN greatest(authorized * 1.15, CASE WHEN currency = 'USD' THEN authorized + 75 ELSE 0 END)
    ELSE authorized END;

-- The open authorisations of a payment with what may still be captured of each, as payment_sums has it, the oldest first.
-- One that somebody asked to capture for the last time is open no more.
CREATE FUNCTION payment_authorizations(payment uuid)
RETURNS TABLE (id uuid, attempt_ref text, room numeric, expires_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT entry.id, entry.attempt_ref, least(measured.room, own.amount_authorized) - measured.requested, entry.expires_at
    FROM payment_attempts AS entry JOIN payments AS own ON own.id = entry.payment_id
    CROSS JOIN LATERAL (
        SELECT coalesce(entry.amount_authorized, own.amount) - coalesce((SELECT sum(capture.amount)
                FROM captures AS capture
                WHERE capture.payment_id = payment AND capture.attempt_ref = entry.attempt_ref
                    AND capture.status >= 'succeeded' AND capture.currency = own.currency), 0),
            coalesce((SELECT sum(request.amount) FROM capture_requests AS request
                WHERE request.payment_id = payment AND request.attempt_ref = entry.attempt_ref
                    AND request.status <= 'processing'), 0)
    ) AS measured (room, requested)
    WHERE entry.payment_id = payment AND entry.status = 'authorized' AND entry.amount_presumed IS NULL
        AND NOT entry.rest_released AND own.closed IS NULL AND coalesce(entry.currency = own.currency, true)
        AND NOT EXISTS (SELECT FROM payment_attempts AS newer
            WHERE newer.payment_id = payment AND newer.replaces = entry.attempt_ref)
        AND NOT EXISTS (SELECT FROM capture_requests AS request
            WHERE request.payment_id = payment AND request.attempt_ref = entry.attempt_ref AND request.final
                AND request.status <> 'failed')
    ORDER BY entry.created_at, entry.id
$$;

-- Before a capture is requested: it is of the one open authorisation that it names, with cover. Nothing is captured that
-- somebody asked to void, and the other way round. Runs as the owner, as above.
CREATE FUNCTION capture_requests_admit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    payment payments;
    promise record;
    most numeric;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no payment %', NEW.payment_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'capture_requests_payment_id_fkey';
    END IF;
    NEW.provider := payment.provider;
    NEW.currency := payment.currency;
    SELECT * INTO promise FROM payment_authorizations(payment.id) AS found WHERE found.attempt_ref = NEW.attempt_ref;
    IF NOT FOUND OR promise.room <= 0 OR EXISTS (
        SELECT FROM voids WHERE payment_id = payment.id AND status <= 'processing'
    ) THEN
        RAISE EXCEPTION 'payment % has nothing to capture', payment.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'capture_requests_capturable';
    END IF;
    most := promise.room;
    -- What goes beyond may go once.
    IF NEW.amount > most THEN
        most := trunc(capture_limit(payment.provider, promise.room, payment.currency), currency_decimals(payment.currency));
    END IF;
    NEW.amount := coalesce(NEW.amount, promise.room);
    IF NEW.amount > most THEN
        RAISE EXCEPTION 'payment % has % left to capture', payment.id, promise.room
            USING ERRCODE = 'check_violation', CONSTRAINT = 'capture_requests_covered';
    END IF;
    NEW.final := NEW.final OR NEW.amount >= promise.room;
    NEW.releases := CASE WHEN NEW.final THEN greatest(promise.room - NEW.amount, 0) ELSE 0 END;
    RETURN NEW;
END
$$;

CREATE TRIGGER capture_requests_admit BEFORE INSERT ON capture_requests
FOR EACH ROW EXECUTE FUNCTION capture_requests_admit();

-- Before the provider is asked the first time: whether its authorisation is open, and covers it beside those that were
-- sent before. Of a cumulative capture, which has the name of its authorisation (Stripe's charge), what nobody was told to
-- be done may be one of those already: it counts once.
CREATE FUNCTION capture_requests_check_cover() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    payment payments;
    covered numeric;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
    SELECT least(coalesce(entry.amount_authorized, payment.amount) - captured.amount, payment.amount_authorized)
        - greatest(sent.outstanding - greatest(captured.cumulative - sent.done, 0), 0)
    INTO covered FROM payment_attempts AS entry
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(capture.amount), 0),
            coalesce(sum(capture.amount) FILTER (WHERE capture.capture_ref = capture.attempt_ref), 0)
        FROM captures AS capture
        WHERE capture.payment_id = payment.id AND capture.attempt_ref = entry.attempt_ref
            AND capture.status >= 'succeeded' AND capture.currency = payment.currency
    ) AS captured (amount, cumulative)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(request.amount) FILTER (WHERE request.status <= 'processing'), 0),
            coalesce(sum(request.amount) FILTER (WHERE request.status = 'succeeded'), 0)
        FROM capture_requests AS request
        WHERE request.payment_id = payment.id AND request.attempt_ref = entry.attempt_ref
            AND request.sent_at IS NOT NULL AND request.id <> NEW.id
    ) AS sent (outstanding, done)
    WHERE entry.payment_id = payment.id AND entry.attempt_ref = NEW.attempt_ref AND entry.status = 'authorized'
        AND NOT entry.rest_released;
    IF payment.closed IS NOT NULL OR coalesce(covered, 0) <= 0
            OR NEW.amount > capture_limit(payment.provider, covered, payment.currency) THEN
        RAISE EXCEPTION 'payment % has % left to capture', payment.id, coalesce(covered, 0)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'capture_requests_covered';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER capture_requests_check_cover BEFORE UPDATE OF sent_at ON capture_requests FOR EACH ROW
WHEN (OLD.sent_at IS NULL AND NEW.sent_at IS NOT NULL) EXECUTE FUNCTION capture_requests_check_cover();

-- A void gives back what is authorized and was not captured. One at a time, and none while a capture is outstanding.
CREATE FUNCTION voids_admit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    payment payments;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no payment %', NEW.payment_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'voids_payment_id_fkey';
    END IF;
    NEW.provider := payment.provider;
    NEW.currency := payment.currency;
    NEW.releases := payment.amount_authorized;
    IF payment.amount_authorized <= 0 OR payment.closed IS NOT NULL
            OR EXISTS (SELECT FROM voids WHERE payment_id = payment.id AND status <= 'processing')
            OR EXISTS (SELECT FROM capture_requests WHERE payment_id = payment.id AND status <= 'processing') THEN
        RAISE EXCEPTION 'payment % has nothing to void', payment.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'voids_voidable';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER voids_admit BEFORE INSERT ON voids FOR EACH ROW EXECUTE FUNCTION voids_admit();
