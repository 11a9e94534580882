-- Where events go: the shop's webhook endpoints, their secrets, what waits or failed there, and what was tried.
-- The web tier writes what staff ask for; the sender (a worker) writes how far each endpoint is.
CREATE TYPE endpoint_state AS ENUM ('enabled', 'suspended', 'disabled');

-- A new endpoint begins behind what is numbered already; nobody but the owner may say another place.
CREATE FUNCTION events_last_seq() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT last_seq FROM event_series), 0)
$$;

CREATE TABLE webhook_endpoints (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT webhook_endpoints_pkey PRIMARY KEY,
    url text NOT NULL CONSTRAINT webhook_endpoints_url_length CHECK (length(url) BETWEEN 1 AND 2000),
    -- NULL: all types.
    types text[],
    payload text DEFAULT 'snapshot' NOT NULL CONSTRAINT webhook_endpoints_payload_known CHECK (payload IN ('snapshot', 'thin')),
    -- Whether a lane is kept in order.
    in_order boolean DEFAULT true NOT NULL,
    description text DEFAULT '' NOT NULL CONSTRAINT webhook_endpoints_description_length CHECK (length(description) <= 500),
    -- How it is signed: the scheme of its newest secret.
    signing text DEFAULT 'v1' NOT NULL CONSTRAINT webhook_endpoints_signing_known CHECK (signing IN ('v1', 'v1a')),
    -- The version of the API whose bodies it gets.
    api_version text DEFAULT '1' NOT NULL,
    state endpoint_state DEFAULT 'enabled' NOT NULL,
    -- Why it is suspended or disabled, for people: 'requested', 'failing', 'gone' (410), 'stale', 'deleted'.
    state_reason text,
    state_since timestamptz DEFAULT now() NOT NULL,
    deleted_at timestamptz,
    -- All that the endpoint wants up to this number was delivered or stands in pending_deliveries.
    place bigint DEFAULT events_last_seq() NOT NULL,
    -- The sender that has it, until when, and when something of it is due next besides new events (a retry, a probe, a replay).
    lease_token uuid,
    leased_until timestamptz,
    next_due_at timestamptz,
    -- How it goes: since the last success.
    last_success_at timestamptz,
    failing_since timestamptz,
    failures integer DEFAULT 0 NOT NULL,
    -- How many requests may be in flight while it drains after a suspension: doubles with each success; NULL: the usual share.
    pace integer,
    probes integer DEFAULT 0 NOT NULL,
    lagging_since timestamptz,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT webhook_endpoints_types_few CHECK (cardinality(types) BETWEEN 1 AND 200)
);

CREATE INDEX webhook_endpoints_live ON webhook_endpoints (id) WHERE deleted_at IS NULL;

-- Each secret signs until its end. Encrypted with the key of a setting; the web tier may write them and never read them.
CREATE TABLE endpoint_secrets (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT endpoint_secrets_pkey PRIMARY KEY,
    endpoint_id uuid NOT NULL CONSTRAINT endpoint_secrets_endpoint_id_fkey REFERENCES webhook_endpoints (id),
    -- v1: HMAC-SHA256 of a shared secret; v1a: Ed25519, of which the shop has the public half.
    scheme text DEFAULT 'v1' NOT NULL CONSTRAINT endpoint_secrets_scheme_known CHECK (scheme IN ('v1', 'v1a')),
    ciphertext bytea NOT NULL CONSTRAINT endpoint_secrets_ciphertext_length CHECK (octet_length(ciphertext) BETWEEN 1 AND 1000),
    ends_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE INDEX endpoint_secrets_endpoint_id ON endpoint_secrets (endpoint_id);

-- Events that an endpoint has not taken and that its place has passed: rows only for what waits or failed. Of a lane only the
-- first is tried; those behind it have no next_attempt_at. seq is NULL of a test event, which has no number.
CREATE TABLE pending_deliveries (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT pending_deliveries_pkey PRIMARY KEY,
    endpoint_id uuid NOT NULL CONSTRAINT pending_deliveries_endpoint_id_fkey REFERENCES webhook_endpoints (id),
    event_id uuid NOT NULL,
    seq bigint,
    type text NOT NULL,
    lane uuid NOT NULL,
    -- The replay that it is of: a lane of its own, beside the live one.
    replay_id uuid,
    state text DEFAULT 'waiting' NOT NULL CONSTRAINT pending_deliveries_state_known CHECK (state IN ('waiting', 'failed')),
    attempts integer DEFAULT 0 NOT NULL,
    first_attempt_at timestamptz,
    next_attempt_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX pending_deliveries_endpoint_id_event_id_replay_id
ON pending_deliveries (endpoint_id, event_id, replay_id) NULLS NOT DISTINCT;
CREATE INDEX pending_deliveries_endpoint_id_lane_seq ON pending_deliveries (endpoint_id, lane, seq);
-- What staff look at, newest first; and what a replay of failed ones goes through.
CREATE INDEX pending_deliveries_endpoint_id_state_id ON pending_deliveries (endpoint_id, state, id);
CREATE INDEX pending_deliveries_failed ON pending_deliveries (endpoint_id, seq) WHERE state = 'failed';
CREATE INDEX pending_deliveries_due ON pending_deliveries (endpoint_id, next_attempt_at)
WHERE state = 'waiting' AND next_attempt_at IS NOT NULL;

-- Every attempt: of a success a row without the answer, of a failure with the first KiB of it. Partitions by day, as the log.
CREATE TABLE event_attempts (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT event_attempts_pkey PRIMARY KEY,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    seq bigint,
    replay_id uuid,
    attempt integer NOT NULL,
    succeeded boolean NOT NULL,
    -- The HTTP status, NULL where no answer came; then error says why: 'timeout', 'refused_address', 'connection', 'tls', …
    status smallint,
    error text,
    answer bytea,
    duration_ms integer NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL
) PARTITION BY RANGE (id);

-- Each attempt is in one of the two: successes are listed by themselves, failures with the event that they are of.
CREATE INDEX event_attempts_succeeded ON event_attempts (endpoint_id, id) WHERE succeeded;
CREATE INDEX event_attempts_failed ON event_attempts (endpoint_id, event_id, id) WHERE NOT succeeded;

CREATE TABLE event_attempts_of_no_day PARTITION OF event_attempts DEFAULT;

-- Somebody wants events once more: a cursor through the log, or one event. Never changed by the web tier but to stop it.
CREATE TABLE event_replays (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT event_replays_pkey PRIMARY KEY,
    endpoint_id uuid NOT NULL CONSTRAINT event_replays_endpoint_id_fkey REFERENCES webhook_endpoints (id),
    -- One event; else all that were numbered since.
    event_id uuid,
    since timestamptz,
    -- Those that it is narrowed to, or else those of the endpoint when the replay began; NULL: all.
    types text[],
    only_failed boolean DEFAULT false NOT NULL,
    requested_by text NOT NULL,
    state text DEFAULT 'waiting' NOT NULL
        CONSTRAINT event_replays_state_known CHECK (state IN ('waiting', 'running', 'done', 'stopped')),
    stop_requested_at timestamptz,
    -- From where to where it goes, how far it is, how many were sent and how many of them failed for good.
    from_seq bigint,
    place bigint,
    until_seq bigint,
    sent integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    -- How many events it is about, counted when it was admitted, and whether counting ended before it had seen all.
    events bigint DEFAULT 0 NOT NULL,
    more boolean DEFAULT false NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT event_replays_one_or_since CHECK (num_nonnulls(event_id, since) = 1),
    CONSTRAINT event_replays_requested_by_length CHECK (length(requested_by) BETWEEN 1 AND 200)
);

CREATE INDEX event_replays_endpoint_id_id ON event_replays (endpoint_id, id);
CREATE INDEX event_replays_open ON event_replays (endpoint_id) WHERE state IN ('waiting', 'running');
