-- Customers, their carts and the lines in them.
-- The web tier writes them. The worker reads them.

CREATE TABLE users (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT users_pkey PRIMARY KEY,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

GRANT SELECT, INSERT ON users TO checkout_web;
GRANT SELECT ON users TO checkout_worker;


-- A customer has one cart: the unique index holds that, also against two requests at once.
CREATE TABLE carts (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT carts_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT carts_user_id_fkey REFERENCES users (id),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX carts_user_id ON carts (user_id);

GRANT SELECT, INSERT, UPDATE ON carts TO checkout_web;
GRANT SELECT ON carts TO checkout_worker;


-- A line goes with its cart. A listing that is in a cart cannot be deleted.
CREATE TABLE cart_items (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT cart_items_pkey PRIMARY KEY,
    cart_id uuid NOT NULL CONSTRAINT cart_items_cart_id_fkey REFERENCES carts (id) ON DELETE CASCADE,
    listing_id uuid NOT NULL CONSTRAINT cart_items_listing_id_fkey REFERENCES listings (id) ON DELETE RESTRICT,
    qty integer NOT NULL CONSTRAINT cart_items_qty_range CHECK (qty BETWEEN 1 AND 9999),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

-- A listing has one line in a cart: adding it again changes the quantity.
CREATE UNIQUE INDEX idx_cart_listing ON cart_items (cart_id, listing_id);
CREATE INDEX cart_items_listing_id ON cart_items (listing_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON cart_items TO checkout_web;
GRANT SELECT ON cart_items TO checkout_worker;
