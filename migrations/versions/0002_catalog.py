"""Vendors, schools, specs and listings.

Revision: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("vendors", "schools"):
        op.execute(f"""
            CREATE TABLE {table} (
                id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT {table}_pkey PRIMARY KEY,
                name text NOT NULL,
                created_at timestamptz DEFAULT now() NOT NULL,
                updated_at timestamptz DEFAULT now() NOT NULL
            )""")
    op.execute("""
        CREATE TABLE specs (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT specs_pkey PRIMARY KEY,
            name text NOT NULL,
            attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("""
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
        )""")
    op.execute("CREATE INDEX listings_vendor_id ON listings (vendor_id)")
    op.execute("CREATE INDEX listings_school_id ON listings (school_id)")
    op.execute("CREATE INDEX listings_spec_id ON listings (spec_id)")
    op.execute("GRANT SELECT ON vendors, schools, specs, listings TO checkout_web, checkout_worker")


def downgrade() -> None:
    op.execute("DROP TABLE listings, specs, schools, vendors")
