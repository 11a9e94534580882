-- Erasing a person, with the guests whom they turned out to be: all of them under one command, and refused while something is
-- under way with the payments of any. As before otherwise (migrations/orders/erasing.sql, migrations/events/erasing.sql). Who
-- asked for refunds, captures, voids and fulfilments is staff, and no guest.
CREATE OR REPLACE FUNCTION person_erase_rows(command uuid, keep interval DEFAULT NULL)
RETURNS TABLE (kind text, touched integer, erased integer)
LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
    person uuid;
    persons uuid[];
    one uuid;
    given_at timestamptz;
    stand_in uuid;
    most CONSTANT integer := 500;
    -- Of what a cancellation or a fulfilment asked for itself.
    key_of_ours CONSTANT text := '^(cancellation|fulfilment) [0-9a-f-]{36}$';
    number integer := 0;
    what text;
BEGIN
    SELECT audit.subject::uuid, audit.created_at INTO person, given_at FROM audit
    WHERE audit.id = command AND audit.action = 'erase';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no command to erase has the id %', command USING ERRCODE = 'insufficient_privilege';
    END IF;

    -- The guests before the customer, to whom they refer.
    persons := ARRAY(SELECT guest.id FROM guests AS guest WHERE guest.customer_id = person AND guest.linked_at <= given_at)
        || person;

    SELECT run.subject INTO stand_in FROM erasures AS run WHERE run.id = command;
    IF NOT FOUND THEN
        SELECT count(*) INTO number FROM payments AS payment
        WHERE payment.user_id = ANY(persons) AND payment.created_at <= given_at AND (
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
        INSERT INTO users (id) SELECT stand_in WHERE EXISTS (SELECT FROM users WHERE id = ANY(persons));
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
            WHERE payment.user_id = ANY(persons) AND payment.created_at <= given_at
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
                WHERE payment.user_id = ANY(persons) AND payment.created_at <= given_at AND event.entries IS NOT NULL
                LIMIT most FOR NO KEY UPDATE OF event SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'notices';
            UPDATE payment_notices SET detail = NULL WHERE id = ANY(ARRAY(
                SELECT notice.id FROM payments AS payment
                JOIN payment_notices AS notice ON notice.payment_id = payment.id
                WHERE payment.user_id = ANY(persons) AND payment.created_at <= given_at AND notice.detail IS NOT NULL
                LIMIT most FOR NO KEY UPDATE OF notice SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'refunds';
            UPDATE refunds SET reason = NULL, detail = NULL WHERE id = ANY(ARRAY(
                SELECT refund.id FROM payments AS payment JOIN refunds AS refund ON refund.payment_id = payment.id
                WHERE payment.user_id = ANY(persons) AND payment.created_at <= given_at
                    AND num_nonnulls(refund.reason, refund.detail) > 0
                LIMIT most FOR NO KEY UPDATE OF refund SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            -- All parts of a request together, since they are known by their key. That of a cancellation's refund is ours,
            -- and names nobody.
            what := 'refunds';
            WITH chosen AS MATERIALIZED (
                SELECT refund.idempotency_key AS key FROM refunds AS refund
                WHERE refund.requested_by = person AND refund.created_at <= given_at AND refund.part = 0 LIMIT most
            ), free AS MATERIALIZED (
                SELECT refund.id, refund.idempotency_key AS key, refund.part
                FROM chosen JOIN refunds AS refund ON refund.requested_by = person AND refund.idempotency_key = chosen.key
                FOR NO KEY UPDATE OF refund SKIP LOCKED
            ), parts AS MATERIALIZED (
                SELECT free.id, free.key, first_value(free.id) OVER (PARTITION BY free.key ORDER BY free.part) AS first
                FROM free WHERE NOT EXISTS (SELECT FROM refunds AS other
                    WHERE other.requested_by = person AND other.idempotency_key = free.key
                        AND other.id NOT IN (SELECT each.id FROM free AS each))
            )
            UPDATE refunds SET requested_by = stand_in,
                idempotency_key = CASE WHEN parts.key ~ key_of_ours THEN parts.key ELSE parts.first::text END
            FROM parts WHERE refunds.id = parts.id;
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'captures';
            UPDATE capture_requests SET requested_by = stand_in,
                idempotency_key = CASE WHEN idempotency_key ~ key_of_ours THEN idempotency_key ELSE id::text END
            WHERE id = ANY(ARRAY(
                SELECT request.id FROM capture_requests AS request
                WHERE request.requested_by = person AND request.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'voids';
            UPDATE voids SET requested_by = stand_in,
                idempotency_key = CASE WHEN idempotency_key ~ key_of_ours THEN idempotency_key ELSE id::text END
            WHERE id = ANY(ARRAY(
                SELECT request.id FROM voids AS request
                WHERE request.requested_by = person AND request.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'cancellations';
            UPDATE cancel_requests SET detail = NULL,
                requested_by = CASE WHEN requested_by = ANY(persons) THEN stand_in ELSE requested_by END
            WHERE id = ANY(ARRAY(
                SELECT request.id FROM payments AS payment
                JOIN cancel_requests AS request ON request.payment_id = payment.id
                WHERE payment.user_id = ANY(persons) AND payment.created_at <= given_at
                    AND (request.requested_by = ANY(persons) OR request.detail IS NOT NULL)
                LIMIT most FOR NO KEY UPDATE OF request SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'fulfilments';
            UPDATE fulfilments SET requested_by = stand_in, idempotency_key = id::text WHERE id = ANY(ARRAY(
                SELECT done.id FROM fulfilments AS done
                WHERE done.requested_by = person AND done.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'cancellations';
            UPDATE order_cancellations SET requested_by = stand_in, idempotency_key = id::text WHERE id = ANY(ARRAY(
                SELECT request.id FROM order_cancellations AS request
                WHERE request.requested_by = person AND request.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            -- A parcel's number tells its carrier who gets it.
            what := 'fulfilments';
            UPDATE fulfilments SET carrier = NULL, tracking = NULL WHERE id = ANY(ARRAY(
                SELECT done.id FROM orders AS made JOIN checkout_sessions AS session ON session.id = made.session_id
                JOIN fulfilments AS done ON done.order_id = made.id
                WHERE made.user_id = ANY(persons) AND session.created_at <= given_at
                    AND num_nonnulls(done.carrier, done.tracking) > 0
                LIMIT most FOR NO KEY UPDATE OF done SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'cancellations';
            UPDATE order_cancellations SET reason = NULL WHERE id = ANY(ARRAY(
                SELECT request.id FROM orders AS made JOIN checkout_sessions AS session ON session.id = made.session_id
                JOIN order_cancellations AS request ON request.order_id = made.id
                WHERE made.user_id = ANY(persons) AND session.created_at <= given_at AND request.reason IS NOT NULL
                LIMIT most FOR NO KEY UPDATE OF request SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            -- Of a session that was never opened, or has ended: the sweep gives its pieces back.
            what := 'holds';
            UPDATE holds SET user_id = stand_in WHERE id = ANY(ARRAY(
                SELECT hold.id FROM holds AS hold WHERE hold.user_id = ANY(persons) AND hold.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'addresses';
            DELETE FROM session_addresses WHERE id = ANY(ARRAY(
                SELECT address.id FROM payments AS payment
                JOIN checkout_sessions AS session ON session.payment_id = payment.id
                JOIN session_addresses AS address ON address.payment_id = payment.id
                WHERE payment.user_id = ANY(persons) AND payment.created_at <= given_at
                LIMIT most FOR UPDATE OF address SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'sessions';
            UPDATE checkout_sessions SET user_id = stand_in, idempotency_key = id::text, payment_token = '',
                buyer = NULL, delivery_address = NULL
            WHERE id = ANY(ARRAY(
                SELECT session.id FROM checkout_sessions AS session
                WHERE session.user_id = ANY(persons) AND session.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            -- After their sessions, so that money that comes late makes no other order of this person. Only once nothing is
            -- left that is found by them.
            what := 'orders';
            UPDATE orders SET user_id = stand_in, erased_at = now(), version = version + 1, updated_at = now(),
                buyer = CASE WHEN keep IS NULL OR created_at > now() - keep THEN buyer END,
                delivery_address = CASE WHEN keep IS NULL OR created_at > now() - keep THEN delivery_address END
            WHERE id = ANY(ARRAY(
                SELECT made.id FROM orders AS made JOIN checkout_sessions AS session ON session.id = made.session_id
                WHERE made.user_id = ANY(persons) AND session.created_at <= given_at
                    AND NOT EXISTS (SELECT FROM fulfilments AS done
                        WHERE done.order_id = made.id AND num_nonnulls(done.carrier, done.tracking) > 0)
                    AND NOT EXISTS (SELECT FROM order_cancellations AS request
                        WHERE request.order_id = made.id AND request.reason IS NOT NULL)
                LIMIT most FOR NO KEY UPDATE OF made SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'lines';
            DELETE FROM cart_items WHERE id = ANY(ARRAY(
                SELECT item.id FROM carts AS cart JOIN cart_items AS item ON item.cart_id = cart.id
                WHERE cart.user_id = ANY(persons) AND cart.created_at <= given_at
                LIMIT most FOR UPDATE OF item SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            what := 'carts';
            DELETE FROM carts WHERE id = ANY(ARRAY(
                SELECT cart.id FROM carts AS cart WHERE cart.user_id = ANY(persons) AND cart.created_at <= given_at
                    AND NOT EXISTS (SELECT FROM checkout_sessions AS session WHERE session.cart_id = cart.id)
                LIMIT most FOR UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number = 0 THEN
            -- Sessions refer to it, so it stays without lines and without a person: one at a time, since each has an owner of
            -- its own. A session that was about to be opened of it is not: its generation is over.
            what := 'carts';
            one := stand_in;
            IF EXISTS (SELECT FROM carts WHERE user_id = stand_in)
                    AND EXISTS (SELECT FROM carts WHERE user_id = ANY(persons) AND created_at <= given_at) THEN
                one := gen_random_uuid();
                INSERT INTO users (id) VALUES (one);
            END IF;
            UPDATE carts SET user_id = one, generation = generation + 1, updated_at = now()
            WHERE id = ANY(ARRAY(
                SELECT cart.id FROM carts AS cart WHERE cart.user_id = ANY(persons) AND cart.created_at <= given_at
                LIMIT 1 FOR UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
            IF number = 0 AND one <> stand_in THEN
                DELETE FROM users WHERE id = one;
            END IF;
        END IF;
        -- Payments last, and only once nothing is left that is found by them: what was held by somebody, or is
        -- replayed at this moment, comes first.
        IF number = 0 AND NOT EXISTS (
            SELECT FROM payments AS payment
            WHERE payment.user_id = ANY(persons) AND payment.created_at <= given_at AND (
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
                    AND (request.requested_by = ANY(persons) OR request.detail IS NOT NULL)))
        ) THEN
            what := 'payments';
            UPDATE payments SET user_id = stand_in, raw_payload = NULL, look_up_log = '[]'
            WHERE id = ANY(ARRAY(
                SELECT payment.id FROM payments AS payment
                WHERE payment.user_id = ANY(persons) AND payment.created_at <= given_at
                LIMIT most FOR NO KEY UPDATE SKIP LOCKED));
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
    END IF;
    PERFORM set_config('checkout.erasing', '', true);

    UPDATE erasures AS run SET erased = run.erased + number, updated_at = now()
    WHERE run.id = command AND number > 0;
    IF number = 0 THEN
        IF EXISTS (SELECT FROM payments WHERE user_id = ANY(persons) AND created_at <= given_at)
                OR EXISTS (SELECT FROM carts WHERE user_id = ANY(persons) AND created_at <= given_at)
                OR EXISTS (SELECT FROM checkout_sessions WHERE user_id = ANY(persons) AND created_at <= given_at)
                OR EXISTS (SELECT FROM refunds WHERE requested_by = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM capture_requests WHERE requested_by = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM voids WHERE requested_by = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM fulfilments WHERE requested_by = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM order_cancellations WHERE requested_by = person AND created_at <= given_at)
                OR EXISTS (SELECT FROM holds WHERE user_id = ANY(persons) AND created_at <= given_at)
                OR EXISTS (SELECT FROM orders AS made JOIN checkout_sessions AS session ON session.id = made.session_id
                    WHERE made.user_id = ANY(persons) AND session.created_at <= given_at) THEN
            what := 'held';
        ELSE
            what := 'done';
            FOREACH one IN ARRAY persons LOOP
                -- It goes, unless it is the row of a new customer already, who came back meanwhile.
                BEGIN
                    DELETE FROM guests WHERE id = ANY(ARRAY(
                        SELECT guest.id FROM guests AS guest WHERE guest.id = one AND guest.created_at <= given_at
                        FOR UPDATE SKIP LOCKED));
                    DELETE FROM users WHERE id = ANY(ARRAY(
                        SELECT own.id FROM users AS own WHERE own.id = one AND own.created_at <= given_at
                        FOR UPDATE SKIP LOCKED));
                EXCEPTION WHEN foreign_key_violation THEN
                    NULL;
                END;
            END LOOP;
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

CREATE OR REPLACE FUNCTION person_erase_step(command uuid, keep interval DEFAULT NULL)
RETURNS TABLE (kind text, touched integer, erased integer) LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
    run record;
    one uuid;
    number integer := 0;
BEGIN
    SELECT audit.subject::uuid AS person, audit.created_at AS given_at, erasure.subject AS stand_in,
        erasure.created_at AS begun INTO run
    FROM audit JOIN erasures AS erasure ON erasure.id = audit.id
    WHERE audit.id = command AND audit.action = 'erase';
    IF run.stand_in IS NOT NULL THEN
        FOR one IN SELECT guest.id FROM guests AS guest
            WHERE guest.customer_id = run.person AND guest.linked_at <= run.given_at
            UNION ALL SELECT run.person
        LOOP
            number := number + events_erase(one, run.given_at, run.stand_in, 500);
        END LOOP;
    END IF;
    IF number = 0 THEN
        FOR kind, touched, erased IN SELECT * FROM person_erase_rows(command, keep) LOOP
            IF kind = 'done' THEN
                PERFORM events_erase_answers(run.stand_in, run.begun);
            END IF;
            RETURN NEXT;
        END LOOP;
        RETURN;
    END IF;
    UPDATE erasures SET erased = erasures.erased + number, updated_at = now() WHERE id = command;
    RETURN QUERY SELECT 'log', number, erasures.erased FROM erasures WHERE id = command;
END
$$;

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['person_erase_rows(uuid, interval)', 'person_erase_step(uuid, interval)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;
