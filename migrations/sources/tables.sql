-- The catalogue of an application beside this one as the source of ours: what was taken from it, and each time it was read.

-- A run of `catalog sync`. One runs at a time, by the unique index; one that was killed is over when its lease is.
CREATE TYPE catalog_sync_state AS ENUM ('running', 'done', 'partial', 'tried', 'refused', 'failed', 'abandoned');

CREATE TABLE catalog_syncs (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT catalog_syncs_pkey PRIMARY KEY,
    state catalog_sync_state DEFAULT 'running' NOT NULL,
    lease_until timestamptz NOT NULL,
    finished_at timestamptz,
    source_rows integer DEFAULT 0 NOT NULL,
    added integer DEFAULT 0 NOT NULL,
    changed integer DEFAULT 0 NOT NULL,
    made_inactive integer DEFAULT 0 NOT NULL,
    unusable integer DEFAULT 0 NOT NULL,
    short integer DEFAULT 0 NOT NULL,
    allowed boolean DEFAULT false NOT NULL,
    detail text DEFAULT '' NOT NULL CONSTRAINT catalog_syncs_detail_length CHECK (length(detail) <= 4000),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);
CREATE UNIQUE INDEX catalog_syncs_running ON catalog_syncs (state) WHERE state = 'running';

-- Which listings are the source's, by its own key. digest is of the row as it was read, none where it has to be looked at
-- again; listing_updated_at is when the listing last changed by then: one that somebody else changed is looked at again.
CREATE TABLE source_listings (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT source_listings_pkey PRIMARY KEY,
    listing_id uuid NOT NULL CONSTRAINT source_listings_listing_id_fkey REFERENCES listings (id) ON DELETE CASCADE,
    key text COLLATE "C" NOT NULL CONSTRAINT source_listings_key_length CHECK (length(key) BETWEEN 1 AND 255),
    digest bytea,
    listing_updated_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);
CREATE UNIQUE INDEX source_listings_listing_id ON source_listings (listing_id);
CREATE UNIQUE INDEX source_listings_key ON source_listings (key);

GRANT SELECT ON catalog_syncs, source_listings TO checkout_web, checkout_worker;
