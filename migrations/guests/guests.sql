-- Guests: who shops without a token of ours, by the shop's cookie or by a Cart-Token. Of a token its SHA-256 is kept: it is
-- 256 random bits, which nobody finds by trying. To the money a guest is a customer like any other, by the row of users.
CREATE TABLE guests (
    id uuid NOT NULL CONSTRAINT guests_pkey PRIMARY KEY CONSTRAINT guests_id_fkey REFERENCES users (id),
    token_hash bytea CONSTRAINT guests_token_hash_length CHECK (octet_length(token_hash) = 32),
    last_used_at timestamptz DEFAULT now() NOT NULL,
    customer_id uuid CONSTRAINT guests_customer_id_fkey REFERENCES users (id),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX guests_token_hash ON guests (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX guests_customer_id ON guests (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX guests_last_used_at ON guests (last_used_at);

GRANT SELECT, INSERT (id, token_hash), UPDATE (last_used_at) ON guests TO checkout_web;
