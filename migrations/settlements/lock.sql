-- Who fetches reports at this moment: one at a time. Whoever is killed has it until lease_until; nothing waits for a connection
-- of theirs, which a pooler may keep.

CREATE TABLE settlement_leases (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT settlement_leases_pkey PRIMARY KEY,
    name text NOT NULL,
    holder uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);
CREATE UNIQUE INDEX settlement_leases_name ON settlement_leases (name);

GRANT SELECT ON settlement_leases TO checkout_web, checkout_settlements;
GRANT INSERT (name, holder, lease_until), UPDATE (holder, lease_until, updated_at) ON settlement_leases TO checkout_settlements;
