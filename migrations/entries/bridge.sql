-- While processes of the release before entries still run: they write the status of a payment themselves, and no entry.
-- What they write is entered at once, so that both releases see the same payments. 0007 takes all of this away again.

-- The entries that a status from before entries proves, and the sums that follow of them. Money has the name that is
-- known of it: of Stripe and PayPal that of its capture, of Adyen that of its attempt. All else is presumed on the attempt
-- without a name. Reasons that a release before wrote down become notices. Whoever calls it holds the payments' locks.
CREATE FUNCTION payments_enter(ids uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO payment_notices (payment_id, reason, ref, detail)
    SELECT payment.id, coalesce(nullif(trim(BOTH '_' FROM regexp_replace(lower(given.reason), '[^a-z]+', '_', 'g')), ''),
        'other'), 'before entries', given.reason
    FROM payments AS payment CROSS JOIN LATERAL string_to_table(payment.review_reason, ', ') AS given (reason)
    WHERE payment.id = ANY(ids) AND payment.version = 0
    ON CONFLICT (payment_id, reason, ref) DO NOTHING;

    WITH known AS MATERIALIZED (
        SELECT payment.*, payment.status IN ('paid', 'reversed') AS money, CASE
            WHEN payment.provider NOT IN ('stripe', 'paypal', 'adyen') OR payment.capture_ref IS NULL THEN ''
            -- A name of two payments is nobody's.
            WHEN row_number() OVER (PARTITION BY payment.provider, payment.capture_ref ORDER BY payment.id) > 1
                OR EXISTS (SELECT FROM payment_attempts AS entry WHERE entry.provider = payment.provider
                    AND entry.attempt_ref = payment.capture_ref AND entry.attempt_ref <> ''
                    AND entry.payment_id <> payment.id)
                OR EXISTS (SELECT FROM captures AS entry WHERE entry.provider = payment.provider
                    AND entry.capture_ref = payment.capture_ref AND entry.payment_id <> payment.id) THEN ''
            ELSE payment.capture_ref END AS name
        FROM payments AS payment
        WHERE payment.id = ANY(ids) AND (
            payment.status IN ('paid', 'reversed') AND payment.amount_captured = 0
            OR payment.status IN ('processing', 'failed') AND NOT EXISTS (
                SELECT FROM payment_attempts AS entry
                WHERE entry.payment_id = payment.id AND entry.attempt_ref <> ''))
    ), attempts AS (
        INSERT INTO payment_attempts AS entry
            (payment_id, provider, attempt_ref, status, reported_at, currency, amount_presumed)
        SELECT id, provider, CASE WHEN money THEN name ELSE '' END,
            (CASE status WHEN 'processing' THEN 'under_way' WHEN 'failed' THEN 'failed' ELSE 'started' END)::attempt_status,
            updated_at, currency, CASE WHEN money AND (name = '' OR provider = 'adyen') THEN amount END
        FROM known
        ON CONFLICT (payment_id, attempt_ref) DO UPDATE SET
            status = greatest(entry.status, EXCLUDED.status),
            reported_at = greatest(entry.reported_at, EXCLUDED.reported_at),
            amount_presumed = greatest(entry.amount_presumed, EXCLUDED.amount_presumed),
            version = entry.version + 1, updated_at = now()
    ), sources AS (
        UPDATE refunds AS refund SET
            capture_ref = CASE WHEN known.name <> '' AND known.provider <> 'adyen' THEN known.name END,
            attempt_ref = CASE WHEN known.name = '' OR known.provider = 'adyen' THEN known.name END
        FROM known
        WHERE refund.payment_id = known.id AND known.money AND refund.capture_ref IS NULL AND refund.attempt_ref IS NULL
    )
    INSERT INTO captures (payment_id, provider, capture_ref, attempt_ref, status, amount, currency)
    SELECT id, provider, name, name, 'succeeded', amount, currency FROM known
    WHERE money AND name <> '' AND provider <> 'adyen'
    ON CONFLICT (provider, capture_ref) DO NOTHING;

    INSERT INTO disputes (payment_id, provider, stage, status, money_step, money_out, currency)
    SELECT id, provider, 'chargeback', 'lost', 1, true, currency FROM payments
    WHERE id = ANY(ids) AND status = 'reversed' AND amount_lost = 0
    ON CONFLICT (payment_id, dispute_ref) DO UPDATE SET money_step = 1, money_out = true
    WHERE disputes.money_step = 0;

    -- What the fold will find, so that it finds nothing to change: updated_at tells when the payment moved, and it did not.
    UPDATE payments AS payment SET
        amount_captured = CASE WHEN payment.status IN ('paid', 'reversed') THEN payment.amount ELSE 0 END,
        amount_lost = CASE WHEN payment.status = 'reversed' THEN payment.amount ELSE 0 END,
        under_way = payment.status = 'processing',
        closed = CASE WHEN payment.status IN ('expired', 'canceled') THEN payment.status END,
        review_reason = CASE WHEN payment.review_reason IS NOT NULL THEN (
            SELECT string_agg(notice.reason, ', ' ORDER BY notice.reason) FROM payment_notices AS notice
            WHERE notice.payment_id = payment.id) END,
        version = 1
    WHERE payment.id = ANY(ids) AND payment.version = 0
        AND (payment.status <> 'pending' OR payment.review_reason IS NOT NULL);
END
$$;

-- The release before wrote a payment: its entries follow. A reason that it took away was seen by a person.
CREATE FUNCTION payments_bridge() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NEW.version > 0 THEN
        INSERT INTO payment_notices (payment_id, reason, ref)
        SELECT NEW.id, added.reason, 'before entries'
        FROM string_to_table(NEW.review_reason, ', ') AS added (reason)
        WHERE added.reason <> ALL(coalesce(string_to_array(OLD.review_reason, ', '), '{}'))
            AND added.reason ~ '^[a-z_]+$'
        ON CONFLICT (payment_id, reason, ref) DO NOTHING;
        INSERT INTO payment_reviews (payment_id, reason, amounts)
        SELECT found.payment_id, found.reason, found.amounts
        FROM payment_reasons(ARRAY(SELECT summed FROM payment_sums(ARRAY[NEW.id]) AS summed)) AS found
        WHERE found.reason = ANY(string_to_array(OLD.review_reason, ', '))
            AND found.reason <> ALL(coalesce(string_to_array(NEW.review_reason, ', '), '{}'))
        ON CONFLICT (payment_id, reason, amounts) DO NOTHING;
    END IF;
    PERFORM payments_enter(ARRAY[NEW.id]);
    PERFORM payments_fold(ARRAY[NEW.id],
        ARRAY[CASE WHEN NEW.status IN ('expired', 'canceled') THEN NEW.status END]);
    -- Of a payment that was not entered yet the fold finds its money there already. It ends the filling of its cart too.
    UPDATE carts AS cart SET generation = cart.generation + 1
    FROM payments AS payment JOIN checkout_sessions AS session ON session.payment_id = payment.id
    WHERE payment.id = NEW.id AND NEW.version = 0 AND NEW.amount_captured = 0 AND payment.amount_captured > 0
        AND cart.id = session.cart_id AND cart.generation = session.generation;
    RETURN NULL;
END
$$;

CREATE TRIGGER payments_bridge AFTER UPDATE OF status, review_reason ON payments FOR EACH ROW
WHEN (current_user = 'checkout_worker' AND (NEW.status, NEW.review_reason) IS DISTINCT FROM (OLD.status, OLD.review_reason))
EXECUTE FUNCTION payments_bridge();

-- A refund of a payment that was not entered yet: it is entered first. In the order of their names, this trigger comes
-- before refunds_fill_from_payment, which looks for the cover.
CREATE FUNCTION refunds_bridge_payment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM payments WHERE id = NEW.payment_id AND version = 0 AND status <> 'pending') THEN
        PERFORM payments_enter(ARRAY[NEW.payment_id]);
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER refunds_bridge_payment BEFORE INSERT ON refunds
FOR EACH ROW EXECUTE FUNCTION refunds_bridge_payment();

-- The release before moved the sums of refunds by a trigger; this one folds the payment.
CREATE FUNCTION refunds_bridge_sums() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
    PERFORM payments_fold(ARRAY[NEW.payment_id]);
    RETURN NULL;
END
$$;

CREATE TRIGGER refunds_bridge_sums AFTER INSERT OR UPDATE OF status ON refunds FOR EACH ROW
WHEN (current_user = 'checkout_worker') EXECUTE FUNCTION refunds_bridge_sums();

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY[
        'payments_enter(uuid[])', 'payments_bridge()', 'refunds_bridge_payment()', 'refunds_bridge_sums()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;
