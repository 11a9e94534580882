"""Customers, their carts and the lines in them.

Revision: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE users (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT users_pkey PRIMARY KEY,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("""
        CREATE TABLE carts (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT carts_pkey PRIMARY KEY,
            user_id uuid NOT NULL CONSTRAINT carts_user_id_fkey REFERENCES users (id),
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("CREATE UNIQUE INDEX carts_user_id ON carts (user_id)")
    op.execute("""
        CREATE TABLE cart_items (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT cart_items_pkey PRIMARY KEY,
            cart_id uuid NOT NULL CONSTRAINT cart_items_cart_id_fkey REFERENCES carts (id) ON DELETE CASCADE,
            listing_id uuid NOT NULL
                CONSTRAINT cart_items_listing_id_fkey REFERENCES listings (id) ON DELETE RESTRICT,
            qty integer NOT NULL CONSTRAINT cart_items_qty_range CHECK (qty BETWEEN 1 AND 9999),
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("CREATE UNIQUE INDEX idx_cart_listing ON cart_items (cart_id, listing_id)")
    op.execute("CREATE INDEX cart_items_listing_id ON cart_items (listing_id)")
    op.execute("GRANT SELECT, INSERT ON users TO checkout_web")
    op.execute("GRANT SELECT, INSERT, UPDATE ON carts TO checkout_web")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON cart_items TO checkout_web")
    op.execute("GRANT SELECT ON users, carts, cart_items TO checkout_worker")


def downgrade() -> None:
    op.execute("DROP TABLE cart_items, carts, users")
