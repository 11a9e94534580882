-- Payments for the same things in two carts that a merge made one: a guest's, begun before it, and one of a session that the
-- customer opened after it. Where money comes for both, the same was paid twice. Written when the session is, and never changed:
-- so who records money of either finds the other, in whatever order it comes. Each pair is here twice, once from each side.
CREATE TABLE IF NOT EXISTS payment_mates (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payment_mates_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT payment_mates_payment_id_fkey REFERENCES payments (id),
    mate_id uuid NOT NULL CONSTRAINT payment_mates_mate_id_fkey REFERENCES payments (id),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT payment_mates_are_two CHECK (payment_id <> mate_id)
);

CREATE UNIQUE INDEX IF NOT EXISTS payment_mates_payment_id_mate_id ON payment_mates (payment_id, mate_id);

GRANT SELECT ON payment_mates TO checkout_web, checkout_worker;
