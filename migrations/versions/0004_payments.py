"""Payments, the status order of their status, and the guard that keeps them on it.

Revision: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Declared in the order of the street, so that greatest() and < are the database's own.
    op.execute("""
        CREATE TYPE payment_status AS ENUM
            ('pending', 'processing', 'failed', 'expired', 'canceled', 'paid', 'reversed')""")
    op.execute("""
        CREATE TABLE payments (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payments_pkey PRIMARY KEY,
            user_id uuid NOT NULL CONSTRAINT payments_user_id_fkey REFERENCES users (id),
            provider text NOT NULL,
            provider_ref text NOT NULL,
            amount numeric(10,2) NOT NULL CONSTRAINT payments_amount_positive CHECK (amount >= 0.01),
            currency char(3) NOT NULL,
            status payment_status DEFAULT 'pending' NOT NULL,
            raw_payload jsonb,
            review_reason text,
            next_look_up_at timestamptz DEFAULT now() + interval '00:10:00',
            look_ups integer DEFAULT 0 NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    op.execute("CREATE UNIQUE INDEX idx_payment_provider_ref ON payments (provider_ref)")
    op.execute("CREATE INDEX idx_payment_status_created ON payments (status, created_at)")
    op.execute("CREATE INDEX payments_user_id_created_at_id ON payments (user_id, created_at, id)")
    op.execute("""
        CREATE INDEX payments_next_look_up_at ON payments (next_look_up_at)
        WHERE next_look_up_at IS NOT NULL""")
    op.execute("CREATE INDEX payments_flagged ON payments (id) WHERE review_reason IS NOT NULL")
    op.execute("""
        CREATE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.status < OLD.status THEN
                RAISE EXCEPTION 'payment % cannot go back from % to %', OLD.id, OLD.status, NEW.status
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_one_way';
            END IF;
            IF (NEW.id, NEW.amount, NEW.currency, NEW.provider, NEW.provider_ref, NEW.user_id)
                    IS DISTINCT FROM (OLD.id, OLD.amount, OLD.currency, OLD.provider, OLD.provider_ref, OLD.user_id) THEN
                RAISE EXCEPTION 'payment % keeps its amount, currency, provider, reference and owner', OLD.id
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_fixed';
            END IF;
            RETURN NEW;
        END
        $$""")
    op.execute("""
        CREATE TRIGGER payments_guard BEFORE UPDATE ON payments
        FOR EACH ROW EXECUTE FUNCTION payments_guard()""")
    op.execute("GRANT SELECT ON payments TO checkout_web")
    op.execute("GRANT INSERT (id, user_id, provider, provider_ref, amount, currency) ON payments TO checkout_web")
    op.execute("GRANT SELECT, UPDATE ON payments TO checkout_worker")


def downgrade() -> None:
    op.execute("DROP TABLE payments")
    op.execute("DROP FUNCTION payments_guard()")
    op.execute("DROP TYPE payment_status")
