-- Catalogue: vendors, schools, specs and the listings that are for sale.
-- Both login roles read it. Only the owner writes it, by `flask catalog import`.

CREATE TABLE vendors (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT vendors_pkey PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE TABLE schools (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT schools_pkey PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE TABLE specs (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT specs_pkey PRIMARY KEY,
    name text NOT NULL,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE TABLE listings (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT listings_pkey PRIMARY KEY,
    vendor_id uuid NOT NULL CONSTRAINT listings_vendor_id_fkey REFERENCES vendors (id),
    school_id uuid CONSTRAINT listings_school_id_fkey REFERENCES schools (id),
    spec_id uuid CONSTRAINT listings_spec_id_fkey REFERENCES specs (id),
    title text NOT NULL,
    unit_price numeric(10,2) NOT NULL CONSTRAINT listings_unit_price_positive CHECK (unit_price > 0),
    currency char(3) NOT NULL,
    stock integer CONSTRAINT listings_stock_not_negative CHECK (stock >= 0),
    active boolean DEFAULT true NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE INDEX listings_vendor_id ON listings (vendor_id);
CREATE INDEX listings_school_id ON listings (school_id);
CREATE INDEX listings_spec_id ON listings (spec_id);

GRANT SELECT ON vendors, schools, specs, listings TO checkout_web, checkout_worker;
