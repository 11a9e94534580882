-- Entries: every movement of money by the provider's own name for it. An entry is only ever joined: each of its values
-- goes one way, whatever order events come in. Everything else is computed of them, by payments_fold (fold.sql).
-- The worker writes what providers say. The web tier writes what somebody asks for.

-- In the order in which each may move, so that greatest() and < are the database's own.
CREATE TYPE attempt_status AS ENUM ('started', 'under_way', 'failed', 'authorized', 'expired', 'canceled');
CREATE TYPE capture_status AS ENUM ('pending', 'refused', 'succeeded', 'undone');
CREATE TYPE dispute_stage AS ENUM ('inquiry', 'chargeback', 'pre_arbitration', 'arbitration');
CREATE TYPE dispute_status AS ENUM (
    'needs_response', 'under_review', 'accepted', 'expired', 'lost', 'won', 'closed');
CREATE TYPE request_status AS ENUM ('requested', 'processing', 'succeeded', 'failed');

-- How many decimals the smallest unit of a currency has (ISO 4217, list one). No table, so that a CHECK may ask it.
CREATE FUNCTION currency_decimals(currency text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF',
        'XOF', 'XPF') THEN 0
    WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
    ELSE 2
END;


-- A cart is filled, paid, and filled again: its generation counts that. Sessions belong to one; a payment ends it.
-- NULL of sessions from before generations: each is one of its own.
ALTER TABLE carts ADD generation integer DEFAULT 0 NOT NULL;
ALTER TABLE checkout_sessions ADD generation integer;


-- What is computed, and the entries that are of the payment itself. Only payments_fold writes them.
ALTER TABLE payments
    -- Money that came, by captures; that went again, by disputes and undone captures; that open disputes hold back.
    ADD amount_captured numeric DEFAULT 0 NOT NULL,
    ADD amount_lost numeric DEFAULT 0 NOT NULL,
    ADD amount_blocked numeric DEFAULT 0 NOT NULL,
    -- Promised by open authorisations, without what was captured of them.
    ADD amount_authorized numeric DEFAULT 0 NOT NULL,
    -- What an operator accepted in place of amount. NULL: nobody did.
    ADD amount_accepted numeric,
    -- Whether some attempt to pay is under way, whatever the status is.
    ADD under_way boolean DEFAULT false NOT NULL,
    -- The provider closed the whole payment unpaid: failed, expired or canceled.
    ADD closed payment_status CONSTRAINT payments_closed_unpaid CHECK (closed IN ('failed', 'expired', 'canceled')),
    -- The newest time at which its provider was asked and named no attempt under way.
    ADD looked_up_at timestamptz,
    -- Counts the changes of status, sums and reasons.
    ADD version integer DEFAULT 0 NOT NULL;


-- Of each amount: NaN is greater than anything here, Infinity too, and both would stand in sums for ever.

-- A try to pay, by the provider's name; '' where it has none. Where nothing names a capture, the money is presumed here.
CREATE TABLE payment_attempts (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payment_attempts_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT payment_attempts_payment_id_fkey REFERENCES payments (id),
    provider text NOT NULL,
    attempt_ref text DEFAULT '' NOT NULL,
    status attempt_status NOT NULL,
    -- The newest time at which it was reported.
    reported_at timestamptz NOT NULL,
    currency char(3),
    amount_presumed numeric CONSTRAINT payment_attempts_amount_presumed_not_negative
        CHECK (amount_presumed >= 0 AND amount_presumed < 'Infinity'),
    amount_authorized numeric CONSTRAINT payment_attempts_amount_authorized_not_negative
        CHECK (amount_authorized >= 0 AND amount_authorized < 'Infinity'),
    -- Whether what is authorized and not captured is open no more.
    rest_released boolean DEFAULT false NOT NULL,
    -- The end of an authorisation.
    expires_at timestamptz,
    -- When one that is under way counts no more, by the limit of its method; and when we gave it up.
    times_out_at timestamptz,
    given_up_at timestamptz,
    -- The attempt in whose place this one stands.
    replaces text,
    decline text,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX payment_attempts_payment_id_attempt_ref ON payment_attempts (payment_id, attempt_ref);
CREATE UNIQUE INDEX payment_attempts_provider_attempt_ref ON payment_attempts (provider, attempt_ref)
WHERE attempt_ref <> '';
CREATE INDEX payment_attempts_times_out_at ON payment_attempts (times_out_at)
WHERE status = 'under_way' AND given_up_at IS NULL AND times_out_at IS NOT NULL;
CREATE INDEX payment_attempts_expires_at ON payment_attempts (expires_at)
WHERE status = 'authorized' AND NOT rest_released AND expires_at IS NOT NULL;


-- Money that came, by the provider's name. The amount is the greatest that was told: Stripe's charge is cumulative.
CREATE TABLE captures (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT captures_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT captures_payment_id_fkey REFERENCES payments (id),
    provider text NOT NULL,
    capture_ref text NOT NULL CONSTRAINT captures_ref_not_empty CHECK (capture_ref <> ''),
    attempt_ref text DEFAULT '' NOT NULL,
    status capture_status NOT NULL,
    amount numeric DEFAULT 0 NOT NULL CONSTRAINT captures_amount_not_negative
        CHECK (amount >= 0 AND amount < 'Infinity'),
    currency char(3) NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX captures_provider_capture_ref ON captures (provider, capture_ref);
CREATE INDEX captures_payment_id ON captures (payment_id);


-- A dispute: its story (stage, reported_at, rank and event_id count as one value, of which the greatest is kept with what
-- hangs on it), and its money (the greatest step, and whether that step took money out or gave it back).
-- '' is a presumed one, of a provider that names none; without an amount it took all that came.
CREATE TABLE disputes (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT disputes_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT disputes_payment_id_fkey REFERENCES payments (id),
    provider text NOT NULL,
    dispute_ref text DEFAULT '' NOT NULL,
    capture_ref text DEFAULT '' NOT NULL,
    attempt_ref text DEFAULT '' NOT NULL,
    stage dispute_stage NOT NULL,
    status dispute_status NOT NULL,
    reported_at timestamptz DEFAULT '-infinity' NOT NULL,
    rank integer DEFAULT 0 NOT NULL,
    -- Compared as bytes, in whatever locale the database is.
    event_id text COLLATE "C" DEFAULT '' NOT NULL,
    reason text,
    evidence_due_at timestamptz,
    blocks_refund boolean DEFAULT false NOT NULL,
    money_step integer DEFAULT 0 NOT NULL CONSTRAINT disputes_money_step_not_negative CHECK (money_step >= 0),
    money_out boolean DEFAULT false NOT NULL,
    -- Money whose dispute the provider does not name (PayPal's reversals): what open disputes hold back shrinks by it.
    money_only boolean DEFAULT false NOT NULL,
    amount numeric CONSTRAINT disputes_amount_not_negative
        CHECK (amount >= 0 AND amount < 'Infinity'),
    currency char(3),
    version integer DEFAULT 1 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX disputes_payment_id_dispute_ref ON disputes (payment_id, dispute_ref);
CREATE UNIQUE INDEX disputes_provider_dispute_ref ON disputes (provider, dispute_ref) WHERE dispute_ref <> '';
-- Lists of one status, and the open ones counted at each scrape.
CREATE INDEX disputes_status_id ON disputes (status, id);
CREATE INDEX disputes_evidence_due_at ON disputes (evidence_due_at)
WHERE status = 'needs_response' AND evidence_due_at IS NOT NULL;


-- What signed data cannot decide: a reason for a person, never a guess.
CREATE TABLE payment_notices (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payment_notices_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT payment_notices_payment_id_fkey REFERENCES payments (id),
    reason text NOT NULL CONSTRAINT payment_notices_reason_plain CHECK (reason ~ '^[a-z_]+$'),
    -- What it is about, so that an echo is no second notice.
    ref text NOT NULL,
    detail text,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX payment_notices_payment_id_reason_ref ON payment_notices (payment_id, reason, ref);


-- A person saw a reason, with the amounts at that time: it is hidden while the amounts are those.
CREATE TABLE payment_reviews (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payment_reviews_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT payment_reviews_payment_id_fkey REFERENCES payments (id),
    reason text NOT NULL,
    amounts text NOT NULL,
    -- The operator command.
    command_id uuid,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX payment_reviews_payment_id_reason_amounts ON payment_reviews (payment_id, reason, amounts);


-- An operator accepts what came in place of the amount: the newest counts.
CREATE TABLE payment_acceptances (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payment_acceptances_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT payment_acceptances_payment_id_fkey REFERENCES payments (id),
    amount numeric NOT NULL CONSTRAINT payment_acceptances_amount_positive
        CHECK (amount > 0 AND amount < 'Infinity'),
    operator text NOT NULL,
    why text NOT NULL,
    command_id uuid NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE INDEX payment_acceptances_payment_id ON payment_acceptances (payment_id, id);
CREATE UNIQUE INDEX payment_acceptances_command_id ON payment_acceptances (command_id);


-- Captures and voids that somebody asked for, as refunds are. The id is the provider's idempotency key.
CREATE TABLE capture_requests (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT capture_requests_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT capture_requests_payment_id_fkey REFERENCES payments (id),
    provider text NOT NULL,
    attempt_ref text NOT NULL,
    -- What the provider calls the capture, once that is known.
    provider_ref text,
    amount numeric NOT NULL CONSTRAINT capture_requests_amount_positive
        CHECK (amount > 0 AND amount < 'Infinity'),
    currency char(3) NOT NULL,
    -- Whether what is authorized besides is released, and how much that was when this was asked for.
    final boolean DEFAULT true NOT NULL,
    releases numeric DEFAULT 0 NOT NULL,
    status request_status DEFAULT 'requested' NOT NULL,
    decline text,
    requested_by uuid NOT NULL,
    idempotency_key text NOT NULL,
    request_hash bytea NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    sent_at timestamptz,
    next_attempt_at timestamptz DEFAULT now() + interval '00:00:05',
    detail text,
    in_doubt boolean DEFAULT false NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    -- What we ask for is an amount of the currency. What providers report is not held to that: it may be anything.
    CONSTRAINT capture_requests_amount_of_currency CHECK (amount = round(amount, currency_decimals(currency))),
    CONSTRAINT capture_requests_outstanding_has_next_attempt CHECK (status > 'processing' OR next_attempt_at IS NOT NULL)
);

CREATE UNIQUE INDEX capture_requests_requested_by_idempotency_key ON capture_requests (requested_by, idempotency_key);
CREATE UNIQUE INDEX capture_requests_provider_provider_ref ON capture_requests (provider, provider_ref);
CREATE INDEX capture_requests_payment_id ON capture_requests (payment_id);
CREATE INDEX capture_requests_next_attempt_at ON capture_requests (next_attempt_at) WHERE status <= 'processing';

CREATE TABLE voids (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT voids_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT voids_payment_id_fkey REFERENCES payments (id),
    provider text NOT NULL,
    -- What was authorized and not captured when this was asked for.
    releases numeric NOT NULL,
    currency char(3) NOT NULL,
    status request_status DEFAULT 'requested' NOT NULL,
    decline text,
    requested_by uuid NOT NULL,
    idempotency_key text NOT NULL,
    request_hash bytea NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    sent_at timestamptz,
    next_attempt_at timestamptz DEFAULT now() + interval '00:00:05',
    detail text,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT voids_outstanding_has_next_attempt CHECK (status > 'processing' OR next_attempt_at IS NOT NULL)
);

CREATE UNIQUE INDEX voids_requested_by_idempotency_key ON voids (requested_by, idempotency_key);
CREATE INDEX voids_payment_id ON voids (payment_id);
CREATE INDEX voids_next_attempt_at ON voids (next_attempt_at) WHERE status <= 'processing';


-- A refund is of one capture, or of one attempt where nothing names its captures; NULL where nobody told us which. A
-- request that needs more than one has is several rows, made in one statement and numbered by part.
ALTER TABLE refunds
    ADD capture_ref text,
    ADD attempt_ref text,
    ADD part smallint DEFAULT 0 NOT NULL,
    ADD version integer DEFAULT 1 NOT NULL;


-- What an event was about, besides a status of the payment: the names and statuses of entries, for people to read.
ALTER TABLE payment_events
    ALTER status DROP NOT NULL,
    ADD entries jsonb;

-- Every name by which a parked webhook may find its payment.
ALTER TABLE webhook_deliveries ADD names text[];


-- 'accept': an operator accepts what came. 'fail_capture': a capture that is in doubt was not made.
ALTER TABLE audit
    DROP CONSTRAINT audit_action_known,
    ADD CONSTRAINT audit_action_known
        CHECK (action IN ('process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture'));
