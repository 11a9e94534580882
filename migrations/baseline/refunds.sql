-- Refunds: money given back, kept within what was paid, and the events that providers reported of them.
-- The web tier inserts what somebody requested, the worker what was made in the provider's dashboard.

-- In the order in which a refund may move, so that greatest() and < are the database's own.
CREATE TYPE refund_status AS ENUM ('requested', 'processing', 'succeeded', 'failed');

CREATE TABLE refunds (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT refunds_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT refunds_payment_id_fkey REFERENCES payments (id),
    provider text NOT NULL,
    -- What the provider calls this refund, once that is known.
    provider_ref text,
    amount numeric(10,2) NOT NULL CONSTRAINT refunds_amount_positive CHECK (amount >= 0.01),
    currency char(3) NOT NULL,
    status refund_status DEFAULT 'requested' NOT NULL,
    reason text,
    decline text,
    requested_by uuid,
    idempotency_key text,
    request_hash bytea,
    attempts integer DEFAULT 0 NOT NULL,
    -- The moment of the first sending to the provider: from then on it may have made it, whatever we were answered.
    sent_at timestamptz,
    -- A wake-up is sent at once; where it is lost, the sweep finds the row from five seconds on.
    next_attempt_at timestamptz DEFAULT now() + interval '00:00:05',
    detail text,
    -- Nobody knows whether the provider made it, and to ask again might make it twice: a person has to look.
    in_doubt boolean DEFAULT false NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    -- Either somebody requested it, with a key; or the provider reported it, with its own name for it.
    CONSTRAINT refunds_requested_or_reported CHECK (
        num_nulls(requested_by, idempotency_key, request_hash) = 0
        OR num_nonnulls(requested_by, idempotency_key, request_hash) = 0 AND provider_ref IS NOT NULL),
    -- One that is outstanding and that no sweep would find would be lost.
    CONSTRAINT refunds_outstanding_has_next_attempt CHECK (status > 'processing' OR next_attempt_at IS NOT NULL)
);

-- The idempotency of a request: a key is one refund.
CREATE UNIQUE INDEX refunds_requested_by_idempotency_key ON refunds (requested_by, idempotency_key);
CREATE UNIQUE INDEX refunds_provider_provider_ref ON refunds (provider, provider_ref);
CREATE INDEX refunds_payment_id ON refunds (payment_id);
CREATE INDEX refunds_next_attempt_at ON refunds (next_attempt_at) WHERE status <= 'processing';
CREATE INDEX refunds_failed ON refunds (updated_at) WHERE status = 'failed';

-- Before a refund is inserted: its payment must be paid (one that the provider reports may also come after the money
-- was reversed), and gives it its provider, its currency and, where no amount is named, all that is left.
-- Two refunds at once wait for each other at the row lock that this takes; what the payment says is read under it.
-- Runs as the owner, since the web tier may not lock a payment.
CREATE FUNCTION refunds_fill_from_payment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
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

CREATE TRIGGER refunds_fill_from_payment BEFORE INSERT ON refunds
FOR EACH ROW EXECUTE FUNCTION refunds_fill_from_payment();

-- No status moves back, whoever writes it, and what a refund is never changes. Its provider_ref is set once.
CREATE FUNCTION refunds_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER refunds_guard BEFORE UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION refunds_guard();

-- Keeps the payment's two sums, which payments_refunds_fit holds within its amount. A refund that failed gives its room
-- back. Runs as the owner: payments_guard_refund_sums lets nobody else write the sums.
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

CREATE TRIGGER refunds_update_sums AFTER INSERT OR DELETE OR UPDATE OF status ON refunds
FOR EACH ROW EXECUTE FUNCTION refunds_update_sums();

-- Functions that run as the owner find their tables here and nowhere else: otherwise whoever runs them could put a table
-- of that name in front. The schema's name is put in by format(), since no migration names one.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION refunds_fill_from_payment() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION refunds_update_sums() SET search_path = %I, pg_temp', current_schema());
END
$$;

-- Whoever may execute them could hang them on a temporary table of their own, and feed them with rows.
REVOKE EXECUTE ON FUNCTION refunds_fill_from_payment(), refunds_update_sums() FROM PUBLIC;

-- Neither role names a provider or a currency: the payment gives both. The web tier names no status, so what it inserts
-- is requested. The worker changes neither amount nor payment, nor who requested it.
GRANT SELECT, INSERT (payment_id, amount, reason, requested_by, idempotency_key, request_hash)
ON refunds TO checkout_web;
GRANT
    SELECT,
    INSERT (payment_id, provider_ref, amount, status, decline, next_attempt_at),
    UPDATE (provider_ref, status, decline, attempts, sent_at, next_attempt_at, detail, in_doubt, updated_at)
ON refunds TO checkout_worker;


-- What providers reported of refunds, each event of a refund once.
CREATE TABLE refund_events (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT refund_events_pkey PRIMARY KEY,
    delivery_id uuid,
    provider text NOT NULL,
    event_id text NOT NULL,
    refund_id uuid NOT NULL CONSTRAINT refund_events_refund_id_fkey REFERENCES refunds (id),
    status refund_status NOT NULL,
    amount numeric(10,2),
    currency char(3),
    outcome text NOT NULL CONSTRAINT refund_events_outcome_known CHECK (outcome IN ('applied', 'stale', 'mismatch')),
    occurred_at timestamptz,
    received_at timestamptz DEFAULT now() NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

-- With the refund, since one event may speak of several.
CREATE UNIQUE INDEX refund_events_provider_event_id_refund_id ON refund_events (provider, event_id, refund_id);
CREATE INDEX refund_events_refund_id ON refund_events (refund_id);

GRANT SELECT ON refund_events TO checkout_web;
GRANT SELECT, INSERT, UPDATE (outcome), DELETE ON refund_events TO checkout_worker;
