-- From where a session was opened, so that one address has no more open than some. The worker erases a row once its
-- payment is decided, and after a day at the latest.
CREATE TABLE session_addresses (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT session_addresses_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT session_addresses_payment_id_fkey REFERENCES payments (id),
    -- Keyed hashes: there are so few addresses that any other hash of one is found by trying all. The web tier alone has
    -- the key.
    address bytea NOT NULL,
    ends_at timestamptz NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE INDEX session_addresses_address_ends_at ON session_addresses (address, ends_at);

GRANT SELECT, INSERT (payment_id, address, ends_at) ON session_addresses TO checkout_web;
GRANT SELECT, DELETE ON session_addresses TO checkout_worker;
