"""Refunds: money given back, kept within what was paid, and the events behind it.

Revision: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# {} is where a later check stands.
PAYMENTS_GUARD = """
    CREATE OR REPLACE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.status < OLD.status THEN
                RAISE EXCEPTION 'payment % cannot go back from % to %', OLD.id, OLD.status, NEW.status
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_one_way';
            END IF;
            IF (NEW.id, NEW.amount, NEW.currency, NEW.provider, NEW.provider_ref, NEW.user_id)
                    IS DISTINCT FROM (OLD.id, OLD.amount, OLD.currency, OLD.provider, OLD.provider_ref, OLD.user_id) THEN
                RAISE EXCEPTION 'payment % keeps its amount, currency, provider, reference and owner', OLD.id
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_fixed';
            END IF;{}
            RETURN NEW;
        END
        $$"""

KEEP_CAPTURE = """
            IF OLD.capture_ref IS NOT NULL AND NEW.capture_ref IS DISTINCT FROM OLD.capture_ref THEN
                RAISE EXCEPTION 'payment % keeps the name of its money', OLD.id
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_fixed';
            END IF;"""


def upgrade() -> None:
    op.execute("""
        ALTER TABLE payments
            ADD capture_ref text,
            ADD amount_refunded numeric(10,2) DEFAULT 0 NOT NULL,
            ADD amount_refunding numeric(10,2) DEFAULT 0 NOT NULL,
            ADD CONSTRAINT payments_refunds_fit CHECK (
                amount_refunded >= 0 AND amount_refunding >= 0 AND amount_refunded + amount_refunding <= amount)""")
    op.execute(PAYMENTS_GUARD.replace("{}", KEEP_CAPTURE))
    _create_refunds()
    _create_refund_events()


def _create_refunds() -> None:
    # Declared in the order of the street, so that greatest() and < are the database's own.
    op.execute("CREATE TYPE refund_status AS ENUM ('requested', 'processing', 'succeeded', 'failed')")
    op.execute("""
        CREATE TABLE refunds (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT refunds_pkey PRIMARY KEY,
            payment_id uuid NOT NULL CONSTRAINT refunds_payment_id_fkey REFERENCES payments (id),
            provider text NOT NULL,
            provider_ref text,
            amount numeric(10,2) NOT NULL CONSTRAINT refunds_amount_positive CHECK (amount >= 0.01),
            currency char(3) NOT NULL,
            status refund_status DEFAULT 'requested' NOT NULL,
            reason text,
            decline text,
            requested_by uuid,
            idempotency_key text,
            request_hash bytea,
            attempts integer DEFAULT 0 NOT NULL,
            sent_at timestamptz,
            next_attempt_at timestamptz DEFAULT now() + interval '00:00:05',
            detail text,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT refunds_asked_for_or_named CHECK (
                num_nulls(requested_by, idempotency_key, request_hash) = 0
                OR num_nonnulls(requested_by, idempotency_key, request_hash) = 0 AND provider_ref IS NOT NULL),
            CONSTRAINT refunds_owed_has_next_attempt
                CHECK (status > 'processing' OR next_attempt_at IS NOT NULL)
        )""")
    op.execute("CREATE UNIQUE INDEX refunds_requested_by_idempotency_key ON refunds (requested_by, idempotency_key)")
    op.execute("CREATE UNIQUE INDEX refunds_provider_provider_ref ON refunds (provider, provider_ref)")
    op.execute("CREATE INDEX refunds_payment_id ON refunds (payment_id)")
    op.execute("CREATE INDEX refunds_next_attempt_at ON refunds (next_attempt_at) WHERE status <= 'processing'")
    op.execute("CREATE INDEX refunds_failed ON refunds (updated_at) WHERE status = 'failed'")

    # The row lock that this takes is what two refunds at once wait at; what the payment says is read under it. As the
    # owner, since the web tier may not lock a payment.
    op.execute("""
        CREATE FUNCTION refunds_enter() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            paid payments;
        BEGIN
            SELECT * INTO paid FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'there is no payment %', NEW.payment_id
                    USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'refunds_payment_id_fkey';
            END IF;
            IF paid.status < 'paid' OR (NEW.status = 'requested' AND paid.status <> 'paid') THEN
                RAISE EXCEPTION 'payment % is %: there is nothing to give back', paid.id, paid.status
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_need_money';
            END IF;
            NEW.provider := coalesce(NEW.provider, paid.provider);
            NEW.currency := coalesce(NEW.currency, paid.currency);
            NEW.amount := coalesce(NEW.amount, paid.amount - paid.amount_refunded - paid.amount_refunding);
            IF (NEW.provider, NEW.currency) <> (paid.provider, paid.currency) THEN
                RAISE EXCEPTION 'a refund has the provider and currency of its payment %', paid.id
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_like_payment';
            END IF;
            RETURN NEW;
        END
        $$""")
    op.execute("""
        CREATE TRIGGER refunds_enter BEFORE INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION refunds_enter()""")
    op.execute("""
        CREATE FUNCTION refunds_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.status < OLD.status THEN
                RAISE EXCEPTION 'refund % cannot go back from % to %', OLD.id, OLD.status, NEW.status
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_one_way';
            END IF;
            IF (NEW.id, NEW.payment_id, NEW.provider, NEW.amount, NEW.currency, NEW.requested_by, NEW.idempotency_key,
                    coalesce(OLD.provider_ref, NEW.provider_ref))
                IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.amount, OLD.currency, OLD.requested_by,
                    OLD.idempotency_key, NEW.provider_ref) THEN
                RAISE EXCEPTION 'refund % keeps its payment, amount, currency, key and reference', OLD.id
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_fixed';
            END IF;
            RETURN NEW;
        END
        $$""")
    op.execute("""
        CREATE TRIGGER refunds_guard BEFORE UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION refunds_guard()""")
    # Keeps the payment's two sums, whose CHECK is what no race gets past. A refund that failed gives its room back.
    op.execute("""
        CREATE FUNCTION refunds_count() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            done numeric := 0;
            owed numeric := 0;
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                done := done - CASE OLD.status WHEN 'succeeded' THEN OLD.amount ELSE 0 END;
                owed := owed - CASE WHEN OLD.status <= 'processing' THEN OLD.amount ELSE 0 END;
            END IF;
            IF TG_OP <> 'DELETE' THEN
                done := done + CASE NEW.status WHEN 'succeeded' THEN NEW.amount ELSE 0 END;
                owed := owed + CASE WHEN NEW.status <= 'processing' THEN NEW.amount ELSE 0 END;
            END IF;
            IF (done, owed) <> (0, 0) THEN
                UPDATE payments SET amount_refunded = amount_refunded + done, amount_refunding = amount_refunding + owed,
                    updated_at = now()
                WHERE id = coalesce(NEW.payment_id, OLD.payment_id);
            END IF;
            RETURN NULL;
        END
        $$""")
    op.execute("""
        CREATE TRIGGER refunds_count AFTER INSERT OR DELETE OR UPDATE OF status ON refunds
        FOR EACH ROW EXECUTE FUNCTION refunds_count()""")
    # Whoever may execute them could hang them on a temporary table of their own, and feed them with rows.
    op.execute("REVOKE EXECUTE ON FUNCTION refunds_enter(), refunds_count() FROM PUBLIC")
    op.execute("GRANT SELECT ON refunds TO checkout_web, checkout_worker")
    op.execute("""
        GRANT INSERT (payment_id, amount, reason, requested_by, idempotency_key, request_hash)
        ON refunds TO checkout_web""")
    op.execute("""
        GRANT INSERT (payment_id, provider_ref, amount, status, decline, next_attempt_at)
        ON refunds TO checkout_worker""")
    op.execute("""
        GRANT UPDATE (provider_ref, status, decline, attempts, sent_at, next_attempt_at, detail, updated_at)
        ON refunds TO checkout_worker""")


def _create_refund_events() -> None:
    op.execute("""
        CREATE TABLE refund_events (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT refund_events_pkey PRIMARY KEY,
            delivery_id uuid,
            provider text NOT NULL,
            event_id text NOT NULL,
            refund_id uuid NOT NULL CONSTRAINT refund_events_refund_id_fkey REFERENCES refunds (id),
            status refund_status NOT NULL,
            amount numeric(10,2),
            currency char(3),
            outcome text NOT NULL CONSTRAINT refund_events_outcome_known
                CHECK (outcome IN ('applied', 'stale', 'mismatch')),
            occurred_at timestamptz,
            received_at timestamptz DEFAULT now() NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL
        )""")
    # With the refund, since one event may speak of several.
    op.execute("""
        CREATE UNIQUE INDEX refund_events_provider_event_id_refund_id
        ON refund_events (provider, event_id, refund_id)""")
    op.execute("CREATE INDEX refund_events_refund_id ON refund_events (refund_id)")
    op.execute("GRANT SELECT ON refund_events TO checkout_web")
    op.execute("GRANT SELECT, INSERT, DELETE ON refund_events TO checkout_worker")
    op.execute("GRANT UPDATE (outcome) ON refund_events TO checkout_worker")


def downgrade() -> None:
    op.execute("DROP TABLE refund_events")
    op.execute("DROP TABLE refunds")
    op.execute("DROP FUNCTION refunds_enter(), refunds_guard(), refunds_count()")
    op.execute("DROP TYPE refund_status")
    op.execute(PAYMENTS_GUARD.replace("{}", ""))
    op.execute("ALTER TABLE payments DROP capture_ref, DROP amount_refunded, DROP amount_refunding")
