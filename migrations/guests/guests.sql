-- Guests: who shops without a token of ours, by the shop's cookie or by a Cart-Token. Of a token its SHA-256 is kept: it is
-- 256 random bits, which nobody finds by trying. To the money a guest is a customer like any other, by the row of users.
-- Once the guest signed in they are linked to the customer, for good: what they paid for and bought keeps its owner row, and
-- the customer sees it by the link. What came of the guest's filling merged_generation of their cart is in the filling
-- into_generation of merged_cart_id since; none where the customer kept their own cart alone.
CREATE TABLE guests (
    id uuid NOT NULL CONSTRAINT guests_pkey PRIMARY KEY CONSTRAINT guests_id_fkey REFERENCES users (id),
    token_hash bytea CONSTRAINT guests_token_hash_length CHECK (octet_length(token_hash) = 32),
    last_used_at timestamptz DEFAULT now() NOT NULL,
    customer_id uuid CONSTRAINT guests_customer_id_fkey REFERENCES users (id)
        CONSTRAINT guests_customer_is_another CHECK (customer_id <> id),
    linked_at timestamptz,
    merged_cart_id uuid CONSTRAINT guests_merged_cart_id_fkey REFERENCES carts (id) ON DELETE SET NULL,
    merged_generation integer,
    into_generation integer,
    capped jsonb DEFAULT '[]' NOT NULL,
    ended_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT guests_linked_once CHECK ((customer_id IS NULL) = (linked_at IS NULL)),
    CONSTRAINT guests_linked_before_merged CHECK (customer_id IS NOT NULL OR merged_cart_id IS NULL)
);

CREATE UNIQUE INDEX guests_token_hash ON guests (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX guests_customer_id ON guests (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX guests_merged_cart_id ON guests (merged_cart_id) WHERE merged_cart_id IS NOT NULL;
-- Those that the sweep has not seen to yet.
CREATE INDEX guests_last_used_at_id ON guests (last_used_at, id) WHERE ended_at IS NULL;

GRANT SELECT, INSERT (id, token_hash, last_used_at), UPDATE (last_used_at) ON guests TO checkout_web;


-- A link is made once, whoever writes.
CREATE FUNCTION guests_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.token_hash, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.token_hash, OLD.created_at)
            OR OLD.customer_id IS NOT NULL AND (NEW.customer_id, NEW.linked_at)
                IS DISTINCT FROM (OLD.customer_id, OLD.linked_at) THEN
        RAISE EXCEPTION 'guest % keeps who they are', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'guests_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guests_guard BEFORE UPDATE ON guests FOR EACH ROW EXECUTE FUNCTION guests_guard();
