-- Chains of certificates that a provider's webhooks were verified by, so that the next start fetches none of them. Whoever
-- could write here could make nobody believe anything: a worker verifies a chain each time that it uses it.
CREATE TABLE believed_certificates (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT believed_certificates_pkey PRIMARY KEY,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    address text NOT NULL,
    fingerprint text NOT NULL,
    chain text NOT NULL,
    ends_at timestamptz NOT NULL,
    CONSTRAINT believed_certificates_bounded CHECK (octet_length(chain) <= 200000 AND octet_length(address) <= 500)
);
CREATE UNIQUE INDEX believed_certificates_address ON believed_certificates (address);
GRANT SELECT, INSERT (address, fingerprint, chain, ends_at), UPDATE (fingerprint, chain, ends_at, updated_at), DELETE
    ON believed_certificates TO checkout_worker;
