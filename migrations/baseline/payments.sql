-- Payments, the events that providers reported of them, and requests to cancel them.
-- The web tier inserts a payment. From then on only the worker changes it.

-- In the order in which a payment may move, so that greatest() and < are the database's own.
CREATE TYPE payment_status AS ENUM ('pending', 'processing', 'failed', 'expired', 'canceled', 'paid', 'reversed');

CREATE TABLE payments (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payments_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT payments_user_id_fkey REFERENCES users (id),
    provider text NOT NULL,
    provider_ref text NOT NULL,
    -- What the provider calls the money that came, where that is another name than provider_ref.
    capture_ref text,
    amount numeric(10,2) NOT NULL CONSTRAINT payments_amount_positive CHECK (amount >= 0.01),
    currency char(3) NOT NULL,
    status payment_status DEFAULT 'pending' NOT NULL,
    -- The sums of its refunds: succeeded, and requested or processing. The triggers of refunds keep them.
    amount_refunded numeric(10,2) DEFAULT 0 NOT NULL,
    amount_refunding numeric(10,2) DEFAULT 0 NOT NULL,
    raw_payload jsonb,
    review_reason text,
    -- A payment whose webhook is lost is looked up at its provider from ten minutes on.
    next_look_up_at timestamptz DEFAULT now() + interval '00:10:00',
    look_ups integer DEFAULT 0 NOT NULL,
    -- The newest look-ups ("at", "question", "answer"), also those that learned nothing: operators want to see both.
    look_up_log jsonb DEFAULT '[]'::jsonb NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    -- The bound that no race gets past: nobody gives back more than was paid.
    CONSTRAINT payments_refunds_fit
        CHECK (amount_refunded >= 0 AND amount_refunding >= 0 AND amount_refunded + amount_refunding <= amount)
);

CREATE UNIQUE INDEX idx_payment_provider_ref ON payments (provider_ref);
CREATE INDEX idx_payment_status_created ON payments (status, created_at);
CREATE INDEX payments_user_id_created_at_id ON payments (user_id, created_at, id);
CREATE INDEX payments_next_look_up_at ON payments (next_look_up_at) WHERE next_look_up_at IS NOT NULL;
CREATE INDEX payments_flagged ON payments (id) WHERE review_reason IS NOT NULL;

-- No status moves back, whoever writes it, and what a payment is never changes. Its capture_ref is set once.
CREATE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER payments_guard BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION payments_guard();

-- The worker may update payments, but only refunds move the sums of refunds: their trigger runs as the owner.
CREATE FUNCTION payments_guard_refund_sums() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RAISE EXCEPTION 'permission denied: the sums of refunds are kept by the refunds themselves'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER payments_guard_refund_sums BEFORE UPDATE OF amount_refunded, amount_refunding ON payments
FOR EACH STATEMENT EXECUTE FUNCTION payments_guard_refund_sums();

-- The web tier cannot name a status: a payment begins as pending.
GRANT SELECT, INSERT (id, user_id, provider, provider_ref, amount, currency) ON payments TO checkout_web;
GRANT SELECT, UPDATE ON payments TO checkout_worker;


-- What providers reported of payments, each event once. It outlives the webhook that brought it, which is pruned:
-- so delivery_id is no foreign key. An event that was looked up has none.
CREATE TABLE payment_events (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payment_events_pkey PRIMARY KEY,
    delivery_id uuid,
    provider text NOT NULL,
    event_id text NOT NULL,
    payment_id uuid NOT NULL CONSTRAINT payment_events_payment_id_fkey REFERENCES payments (id),
    status payment_status NOT NULL,
    amount numeric(10,2),
    currency char(3),
    outcome text NOT NULL CONSTRAINT payment_events_outcome_known CHECK (outcome IN ('applied', 'stale', 'mismatch')),
    occurred_at timestamptz,
    received_at timestamptz DEFAULT now() NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

-- The idempotency of webhooks: an event that comes twice is a duplicate.
CREATE UNIQUE INDEX payment_events_provider_event_id ON payment_events (provider, event_id);
CREATE INDEX payment_events_payment_id ON payment_events (payment_id);

GRANT SELECT ON payment_events TO checkout_web;
GRANT SELECT, INSERT, UPDATE (outcome), DELETE ON payment_events TO checkout_worker;


-- Payments that somebody asked to cancel, and how far the worker is with each. No next attempt: nothing is left to do.
CREATE TABLE cancel_requests (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT cancel_requests_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT cancel_requests_payment_id_fkey REFERENCES payments (id),
    requested_by uuid NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    -- A wake-up is sent at once; where it is lost, the sweep finds the row from five seconds on.
    next_attempt_at timestamptz DEFAULT now() + interval '00:00:05',
    detail text,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

-- To ask twice is to ask once.
CREATE UNIQUE INDEX cancel_requests_payment_id ON cancel_requests (payment_id);
CREATE INDEX cancel_requests_next_attempt_at ON cancel_requests (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

GRANT SELECT, INSERT (payment_id, requested_by) ON cancel_requests TO checkout_web;
GRANT SELECT, UPDATE (attempts, next_attempt_at, detail, updated_at) ON cancel_requests TO checkout_worker;
