-- Erasing a person: what names them goes or is struck out, what the money rests on stays and names nobody. The worker may
-- call one function, which does one step of a command that stands in the audit; whatever ends it, the next call goes on.

ALTER TABLE webhook_deliveries ALTER body DROP NOT NULL, ADD erased_at timestamptz;

ALTER TABLE audit DROP CONSTRAINT audit_action_known, ADD CONSTRAINT audit_action_known CHECK (
    action IN ('process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture', 'erase'));

-- Nobody but the owner reads it: while a person is being erased it tells under which subject their payments stand. Then
-- that is forgotten.
CREATE TABLE erasures (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT erasures_pkey PRIMARY KEY
        CONSTRAINT erasures_id_fkey REFERENCES audit (id),
    subject uuid,
    erased integer DEFAULT 0 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

-- Whether the function below is at work: it runs as the owner, and nobody else can.
CREATE FUNCTION person_is_erased(of_table oid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('checkout.erasing', true) = 'on', false)
        AND pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = of_table), 'USAGE')
$$;

-- As before, but for the subject, and the key that a caller chose: erasing changes both.
CREATE OR REPLACE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.amount, NEW.currency, NEW.provider, NEW.provider_ref)
            IS DISTINCT FROM (OLD.id, OLD.amount, OLD.currency, OLD.provider, OLD.provider_ref)
            OR NEW.user_id IS DISTINCT FROM OLD.user_id AND NOT person_is_erased(TG_RELID) THEN
        RAISE EXCEPTION 'payment % keeps its amount, currency, provider, reference and owner', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_fixed_columns';
    END IF;
    IF OLD.capture_ref IS NOT NULL AND NEW.capture_ref IS DISTINCT FROM OLD.capture_ref THEN
        RAISE EXCEPTION 'payment % keeps the name of its money', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION refunds_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'refund % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_status_order';
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.amount, NEW.currency, NEW.request_hash, NEW.part,
            coalesce(OLD.provider_ref, NEW.provider_ref),
            coalesce(OLD.capture_ref, NEW.capture_ref), coalesce(OLD.attempt_ref, NEW.attempt_ref))
        IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.amount, OLD.currency, OLD.request_hash, OLD.part,
            NEW.provider_ref, NEW.capture_ref, NEW.attempt_ref)
        OR (NEW.requested_by, NEW.idempotency_key) IS DISTINCT FROM (OLD.requested_by, OLD.idempotency_key)
            AND NOT person_is_erased(TG_RELID) THEN
        RAISE EXCEPTION 'refund % keeps its payment, amount, currency, key, source and reference', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION capture_requests_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'capture request % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'capture_requests_status_order';
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.attempt_ref, NEW.amount, NEW.currency, NEW.final, NEW.releases,
            NEW.request_hash, coalesce(OLD.provider_ref, NEW.provider_ref))
        IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.attempt_ref, OLD.amount, OLD.currency, OLD.final,
            OLD.releases, OLD.request_hash, NEW.provider_ref)
        OR (NEW.requested_by, NEW.idempotency_key) IS DISTINCT FROM (OLD.requested_by, OLD.idempotency_key)
            AND NOT person_is_erased(TG_RELID) THEN
        RAISE EXCEPTION 'capture request % keeps its payment, amount, currency, key and reference', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'capture_requests_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION voids_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'void % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'voids_status_order';
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.provider, NEW.releases, NEW.currency, NEW.request_hash)
        IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.provider, OLD.releases, OLD.currency, OLD.request_hash)
        OR (NEW.requested_by, NEW.idempotency_key) IS DISTINCT FROM (OLD.requested_by, OLD.idempotency_key)
            AND NOT person_is_erased(TG_RELID) THEN
        RAISE EXCEPTION 'void % keeps its payment and key', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'voids_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

-- One step of a command to erase: up to 500 rows of one kind. Rows that somebody holds are left to a later step, so it
-- waits for nobody. The kind 'under_way' refuses, with how many payments are; 'done' is over. Whatever the person opened
-- after the command is a new customer's. Payments change hands last, since all else is found by them.
CREATE FUNCTION person_erase_step(command uuid) RETURNS TABLE (kind text, touched integer, erased integer)
LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
    person uuid;
    given_at timestamptz;
    stand_in uuid;
    most CONSTANT integer := 500;
    number integer := 0;
    what text;
BEGIN
    SELECT audit.subject::uuid, audit.created_at INTO person, given_at FROM audit
    WHERE audit.id = command AND audit.action = 'erase';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no command to erase has the id %', command USING ERRCODE = 'insufficient_privilege';
    END IF;

    SELECT run.subject INTO stand_in FROM erasures AS run WHERE run.id = command;
    IF NOT FOUND THEN
        SELECT count(*) INTO number FROM payments AS payment
        WHERE payment.user_id = person AND payment.created_at <= given_at AND (
            payment.status < 'expired' OR payment.under_way
            OR EXISTS (SELECT FROM refunds AS request
                WHERE request.payment_id = payment.id AND request.status <= 'processing')
            OR EXISTS (SELECT FROM capture_requests AS request
                WHERE request.payment_id = payment.id AND request.status <= 'processing')
            OR EXISTS (SELECT FROM voids AS request
                WHERE request.payment_id = payment.id AND request.status <= 'processing')
            OR EXISTS (SELECT FROM cancel_requests AS request
                WHERE request.payment_id = payment.id AND request.next_attempt_at IS NOT NULL)
            OR EXISTS (SELECT FROM disputes AS dispute
                WHERE dispute.payment_id = payment.id AND dispute.status IN ('needs_response', 'under_review'))
            OR EXISTS (SELECT FROM webhook_deliveries AS webhook
                WHERE webhook.state = 'parked' AND webhook.names @> ARRAY[payment.provider_ref])
            OR EXISTS (SELECT FROM webhook_deliveries AS webhook
                WHERE webhook.state = 'parked' AND webhook.provider_ref = payment.provider_ref));
        IF number > 0 THEN
            RETURN QUERY SELECT 'under_way', number, 0;
            RETURN;
        END IF;
        -- Of no version that would tell when: the subject is as random as that of any caller.
        stand_in := gen_random_uuid();
        INSERT INTO users (id) SELECT stand_in WHERE EXISTS (SELECT FROM users WHERE id = person);
        INSERT INTO erasures (id, subject) VALUES (command, stand_in);
        RETURN QUERY SELECT 'begun', 0, 0;
        RETURN;
    END IF;

    PERFORM set_config('checkout.erasing', 'on', true);
    IF stand_in IS NOT NULL THEN
        -- Without a next attempt: one that could not be verified yet would be tried again, without its bytes.
        what := 'webhooks';
        WITH own AS MATERIALIZED (
            SELECT payment.id, payment.provider_ref FROM payments AS payment
            WHERE payment.user_id = person AND payment.created_at <= given_at
        ), named AS MATERIALIZED (
            SELECT event.delivery_id AS id FROM own JOIN payment_events AS event ON event.payment_id = own.id
            UNION
            SELECT event.delivery_id FROM own JOIN refunds AS refund ON refund.payment_id = own.id
            JOIN refund_events AS event ON event.refund_id = refund.id
            UNION
            SELECT webhook.id FROM own JOIN webhook_deliveries AS webhook ON webhook.provider_ref = own.provider_ref
                AND webhook.state IN ('parked', 'duplicate', 'ignored', 'failed')
            UNION
            SELECT webhook.id FROM own JOIN webhook_deliveries AS webhook ON webhook.rejected_payment = own.id
                AND webhook.state = 'rejected'
        ), found AS MATERIALIZED (
            SELECT webhook.id FROM named JOIN webhook_deliveries AS webhook ON webhook.id = named.id
            WHERE webhook.erased_at IS NULL AND webhook.replay_of IS NULL
                AND webhook.state NOT IN ('received', 'parked')
            LIMIT most FOR NO KEY UPDATE OF webhook SKIP LOCKED
        )
        UPDATE webhook_deliveries AS webhook
        SET body = NULL, headers = '{}', detail = NULL, next_attempt_at = NULL, erased_at = now(), updated_at = now()
        FROM found WHERE webhook.id = found.id;
        GET DIAGNOSTICS number = ROW_COUNT;

        IF number = 0 THEN
            what := 'events';
            UPDATE payment_events SET entries = NULL WHERE id = ANY(ARRAY(
                SELECT event.id FROM payments AS payment JOIN payment_events AS event ON event.payment_id = payment.id
                WHERE payment.user_id = person AND payment.created_at <= given_at AND event.entries IS NOT NULL
                LIMIT most FOR NO KEY UPDATE OF event SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'notices';
            UPDATE payment_notices SET detail = NULL WHERE id = ANY(ARRAY(
                SELECT notice.id FROM payments AS payment
                JOIN payment_notices AS notice ON notice.payment_id = payment.id
                WHERE payment.user_id = person AND payment.created_at <= given_at AND notice.detail IS NOT NULL
                LIMIT most FOR NO KEY UPDATE OF notice SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'refunds';
            UPDATE refunds SET reason = NULL, detail = NULL WHERE id = ANY(ARRAY(
                SELECT refund.id FROM payments AS payment JOIN refunds AS refund ON refund.payment_id = payment.id
                WHERE payment.user_id = person AND payment.created_at <= given_at
                    AND num_nonnulls(refund.reason, refund.detail) > 0
                LIMIT most FOR NO KEY UPDATE OF refund SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'refunds';
            UPDATE refunds SET requested_by = stand_in, idempotency_key = id::text WHERE id = ANY(ARRAY(
                SELECT refund.id FROM refunds AS refund
                WHERE refund.requested_by = person AND refund.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'captures';
            UPDATE capture_requests SET requested_by = stand_in, idempotency_key = id::text WHERE id = ANY(ARRAY(
                SELECT request.id FROM capture_requests AS request
                WHERE request.requested_by = person AND request.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'voids';
            UPDATE voids SET requested_by = stand_in, idempotency_key = id::text WHERE id = ANY(ARRAY(
                SELECT request.id FROM voids AS request
                WHERE request.requested_by = person AND request.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'cancellations';
            UPDATE cancel_requests SET detail = NULL,
                requested_by = CASE requested_by WHEN person THEN stand_in ELSE requested_by END
            WHERE id = ANY(ARRAY(
                SELECT request.id FROM payments AS payment
                JOIN cancel_requests AS request ON request.payment_id = payment.id
                WHERE payment.user_id = person AND payment.created_at <= given_at
                    AND (request.requested_by = person OR request.detail IS NOT NULL)
                LIMIT most FOR NO KEY UPDATE OF request SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'addresses';
            DELETE FROM session_addresses WHERE id = ANY(ARRAY(
                SELECT address.id FROM payments AS payment
                JOIN checkout_sessions AS session ON session.payment_id = payment.id
                JOIN session_addresses AS address ON address.payment_id = payment.id
                WHERE payment.user_id = person AND payment.created_at <= given_at
                LIMIT most FOR UPDATE OF address SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'sessions';
            UPDATE checkout_sessions SET user_id = stand_in, idempotency_key = id::text, payment_token = ''
            WHERE id = ANY(ARRAY(
                SELECT session.id FROM checkout_sessions AS session
                WHERE session.user_id = person AND session.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'lines';
            DELETE FROM cart_items WHERE id = ANY(ARRAY(
                SELECT item.id FROM carts AS cart JOIN cart_items AS item ON item.cart_id = cart.id
                WHERE cart.user_id = person AND cart.created_at <= given_at
                LIMIT most FOR UPDATE OF item SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            -- Sessions refer to it, so it stays without lines and without a person. A session that was about to be opened
            -- of it is not: its generation is over.
            what := 'carts';
            UPDATE carts SET user_id = stand_in, generation = generation + 1, updated_at = now()
            WHERE id = ANY(ARRAY(
                SELECT cart.id FROM carts AS cart WHERE cart.user_id = person AND cart.created_at <= given_at
                LIMIT most FOR UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        -- Payments last, and only once nothing is left that is found by them: what was held by somebody, or is
        -- replayed at this moment, comes first.
        IF number = 0 AND NOT EXISTS (
            SELECT FROM payments AS payment
            WHERE payment.user_id = person AND payment.created_at <= given_at AND (
                EXISTS (SELECT FROM payment_events AS event
                    LEFT JOIN webhook_deliveries AS webhook ON webhook.id = event.delivery_id
                    WHERE event.payment_id = payment.id
                        AND (event.entries IS NOT NULL OR webhook.id IS NOT NULL AND webhook.erased_at IS NULL))
                OR EXISTS (SELECT FROM refunds AS refund JOIN refund_events AS event ON event.refund_id = refund.id
                    JOIN webhook_deliveries AS webhook ON webhook.id = event.delivery_id
                    WHERE refund.payment_id = payment.id AND webhook.erased_at IS NULL)
                OR EXISTS (SELECT FROM webhook_deliveries AS webhook
                    WHERE webhook.provider_ref = payment.provider_ref
                        AND webhook.state IN ('duplicate', 'ignored', 'failed') AND webhook.erased_at IS NULL)
                OR EXISTS (SELECT FROM webhook_deliveries AS webhook
                    WHERE webhook.rejected_payment = payment.id AND webhook.state = 'rejected'
                        AND webhook.erased_at IS NULL)
                OR EXISTS (SELECT FROM webhook_deliveries AS webhook
                    WHERE webhook.replay_of IS NOT NULL
                        AND (webhook.rejected_payment = payment.id OR webhook.provider_ref = payment.provider_ref))
                OR EXISTS (SELECT FROM payment_notices AS notice
                    WHERE notice.payment_id = payment.id AND notice.detail IS NOT NULL)
                OR EXISTS (SELECT FROM refunds AS refund
                    WHERE refund.payment_id = payment.id AND num_nonnulls(refund.reason, refund.detail) > 0)
                OR EXISTS (SELECT FROM cancel_requests AS request WHERE request.payment_id = payment.id
                    AND (request.requested_by = person OR request.detail IS NOT NULL)))
        ) THEN
            what := 'payments';
            UPDATE payments SET user_id = stand_in, raw_payload = NULL, look_up_log = '[]'
            WHERE id = ANY(ARRAY(
                SELECT payment.id FROM payments AS payment
                WHERE payment.user_id = person AND payment.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
    END IF;
    PERFORM set_config('checkout.erasing', '', true);

    UPDATE erasures AS run SET erased = run.erased + number, updated_at = now()
    WHERE run.id = command AND number > 0;
    IF number = 0 THEN
        IF EXISTS (SELECT FROM payments WHERE user_id = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM carts WHERE user_id = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM checkout_sessions WHERE user_id = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM refunds WHERE requested_by = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM capture_requests WHERE requested_by = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM voids WHERE requested_by = person AND created_at <= given_at) THEN
            what := 'held';
        ELSE
            what := 'done';
            -- It goes, unless it is the row of a new customer already, who came back meanwhile.
            BEGIN
                DELETE FROM users WHERE id = ANY(ARRAY(
                    SELECT own.id FROM users AS own WHERE own.id = person AND own.created_at <= given_at
                    FOR UPDATE SKIP LOCKED));
            EXCEPTION WHEN foreign_key_violation THEN
                NULL;
            END;
            DELETE FROM carts WHERE user_id = stand_in
                AND NOT EXISTS (SELECT FROM checkout_sessions WHERE cart_id = carts.id);
            DELETE FROM users WHERE id = stand_in
                AND NOT EXISTS (SELECT FROM payments WHERE user_id = stand_in)
                AND NOT EXISTS (SELECT FROM carts WHERE user_id = stand_in)
                AND NOT EXISTS (SELECT FROM checkout_sessions WHERE user_id = stand_in);
            UPDATE erasures SET subject = NULL, updated_at = now() WHERE id = command AND subject IS NOT NULL;
        END IF;
    END IF;
    RETURN QUERY SELECT what, number, run.erased FROM erasures AS run WHERE run.id = command;
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION person_erase_step(uuid) SET search_path = %I, pg_temp', current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION person_erase_step(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION person_erase_step(uuid) TO checkout_worker;
