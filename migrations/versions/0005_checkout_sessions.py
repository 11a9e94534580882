"""Checkout sessions: carts frozen into promises.

Revision: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was bought, in whatever order: texts change without the things. Its names are bound here, not when it runs.
    op.execute("""
        CREATE FUNCTION checkout_lines_key(lines jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN (
            SELECT hashtextextended(coalesce(string_agg(bought, ',' ORDER BY bought COLLATE "C"), ''), 0)
            FROM (
                SELECT jsonb_build_array(
                    line -> 'listing_id', line -> 'qty', line -> 'unit_price', line -> 'currency')::text AS bought
                FROM jsonb_array_elements(CASE jsonb_typeof(lines) WHEN 'array' THEN lines ELSE '[]' END) AS line
            ) AS parts
        )""")
    op.execute("""
        CREATE TABLE checkout_sessions (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT checkout_sessions_pkey PRIMARY KEY,
            user_id uuid NOT NULL CONSTRAINT checkout_sessions_user_id_fkey REFERENCES users (id),
            cart_id uuid NOT NULL CONSTRAINT checkout_sessions_cart_id_fkey REFERENCES carts (id),
            idempotency_key text NOT NULL,
            request_hash bytea NOT NULL,
            payment_id uuid NOT NULL CONSTRAINT checkout_sessions_payment_id_fkey REFERENCES payments (id),
            payment_token text NOT NULL,
            amount numeric(10,2) NOT NULL,
            currency char(3) NOT NULL,
            lines jsonb NOT NULL,
            lines_key bigint GENERATED ALWAYS AS (checkout_lines_key(lines)) STORED NOT NULL,
            expires_at timestamptz NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("""
        CREATE UNIQUE INDEX checkout_sessions_user_id_idempotency_key
        ON checkout_sessions (user_id, idempotency_key)""")
    op.execute("CREATE UNIQUE INDEX checkout_sessions_payment_id ON checkout_sessions (payment_id)")
    op.execute("CREATE INDEX checkout_sessions_expires_at ON checkout_sessions (expires_at)")
    op.execute("CREATE INDEX checkout_sessions_same_cart ON checkout_sessions (cart_id, lines_key)")
    op.execute("GRANT SELECT, INSERT ON checkout_sessions TO checkout_web")
    op.execute("GRANT SELECT ON checkout_sessions TO checkout_worker")


def downgrade() -> None:
    op.execute("DROP TABLE checkout_sessions")
    op.execute("DROP FUNCTION checkout_lines_key(jsonb)")
