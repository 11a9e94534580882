-- Checkout sessions: a cart as it was when its customer asked to pay. They are never changed and never pruned.

-- A number for what was bought: the same for the same listings, quantities and prices, in whatever order and under
-- whatever titles. The body is no text but an expression, so its names are bound here and not when it runs.
CREATE FUNCTION checkout_lines_key(lines jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT hashtextextended(coalesce(string_agg(bought, ',' ORDER BY bought COLLATE "C"), ''), 0)
    FROM (
        SELECT jsonb_build_array(
            line -> 'listing_id', line -> 'qty', line -> 'unit_price', line -> 'currency')::text AS bought
        FROM jsonb_array_elements(CASE jsonb_typeof(lines) WHEN 'array' THEN lines ELSE '[]' END) AS line
    ) AS parts
);

CREATE TABLE checkout_sessions (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT checkout_sessions_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT checkout_sessions_user_id_fkey REFERENCES users (id),
    cart_id uuid NOT NULL CONSTRAINT checkout_sessions_cart_id_fkey REFERENCES carts (id),
    idempotency_key text NOT NULL,
    request_hash bytea NOT NULL,
    payment_id uuid NOT NULL CONSTRAINT checkout_sessions_payment_id_fkey REFERENCES payments (id),
    payment_token text NOT NULL,
    amount numeric(10,2) NOT NULL,
    currency char(3) NOT NULL,
    lines jsonb NOT NULL,
    lines_key bigint GENERATED ALWAYS AS (checkout_lines_key(lines)) STORED NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

-- The idempotency of a checkout: a key opens one session.
CREATE UNIQUE INDEX checkout_sessions_user_id_idempotency_key ON checkout_sessions (user_id, idempotency_key);
CREATE UNIQUE INDEX checkout_sessions_payment_id ON checkout_sessions (payment_id);
CREATE INDEX checkout_sessions_expires_at ON checkout_sessions (expires_at);
-- Finds the sessions in which one cart paid for the same things: duplicate payments.
CREATE INDEX checkout_sessions_cart_id_lines_key ON checkout_sessions (cart_id, lines_key);

GRANT SELECT, INSERT ON checkout_sessions TO checkout_web;
GRANT SELECT ON checkout_sessions TO checkout_worker;
