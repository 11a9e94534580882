-- Webhooks: what providers sent, as bytes, and how far the worker is with each.
-- The web tier inserts them. Only the worker changes and prunes them.

CREATE TABLE webhook_deliveries (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT webhook_deliveries_pkey PRIMARY KEY,
    provider text NOT NULL,
    headers jsonb DEFAULT '{}'::jsonb NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz DEFAULT now() NOT NULL,
    state text DEFAULT 'received' NOT NULL CONSTRAINT webhook_deliveries_state_known
        CHECK (state IN ('received', 'parked', 'applied', 'duplicate', 'ignored', 'rejected', 'failed')),
    attempts integer DEFAULT 0 NOT NULL,
    -- A wake-up is sent at once; where it is lost, the sweep finds the row from five seconds on.
    next_attempt_at timestamptz DEFAULT now() + interval '00:00:05',
    provider_ref text,
    detail text,
    processed_at timestamptz,
    -- Applied, but an event in it moved nothing, since amount or currency are not the payment's: it may be replayed.
    mismatch boolean DEFAULT false NOT NULL,
    -- The command that replays it at this moment. NULL again once there is a result.
    replay_of uuid,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    -- One that is pending and that no sweep would find would be lost.
    CONSTRAINT webhook_deliveries_pending_has_next_attempt
        CHECK (state NOT IN ('received', 'parked') OR next_attempt_at IS NOT NULL)
);

-- Every webhook is updated twice within moments of its insert, so the dead rows are vacuumed early.
ALTER TABLE webhook_deliveries
    SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE INDEX webhook_deliveries_next_attempt_at ON webhook_deliveries (next_attempt_at)
WHERE state IN ('received', 'parked');
CREATE INDEX webhook_deliveries_parked ON webhook_deliveries (provider, provider_ref) WHERE state = 'parked';
CREATE INDEX webhook_deliveries_rejected ON webhook_deliveries (received_at) WHERE state = 'rejected';
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (received_at) WHERE state = 'failed';

-- For operators who look for webhooks. Both are partial, on states in which few webhooks end: one that is applied pays
-- for neither, nor does the receiver's INSERT, nor the worker's claim.
CREATE INDEX webhook_deliveries_rare_states ON webhook_deliveries (state, id)
WHERE state IN ('parked', 'duplicate', 'ignored', 'rejected', 'failed');
CREATE INDEX webhook_deliveries_rare_states_provider_ref ON webhook_deliveries (provider_ref, id)
WHERE state IN ('parked', 'duplicate', 'ignored', 'failed') AND provider_ref IS NOT NULL;


-- For replays. An ordinary webhook pays for neither.
CREATE INDEX webhook_deliveries_mismatch ON webhook_deliveries (id) WHERE mismatch;
CREATE INDEX webhook_deliveries_replay_of ON webhook_deliveries (replay_of) WHERE replay_of IS NOT NULL;

GRANT SELECT, INSERT ON webhook_deliveries TO checkout_web;
GRANT SELECT, UPDATE, DELETE ON webhook_deliveries TO checkout_worker;
