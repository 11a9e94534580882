-- Events of entries and of what somebody asked for: captures, requests to capture, refunds, disputes, voids, sessions. They
-- are written by triggers on those tables, whoever wrote the row and by whatever statement, with a type that the row itself
-- decides: neither login role can have any other written.

-- Where evidence is sent: what the providers of this repository say of themselves (ProviderSpec.evidence).
CREATE FUNCTION dispute_evidence_at(provider text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE provider
    WHEN 'adyen' THEN 'the Adyen Customer Area, Disputes'
    WHEN 'mollie' THEN 'the Mollie Dashboard, Disputes or Chargebacks'
    WHEN 'paypal' THEN 'the PayPal Resolution Center'
    WHEN 'stripe' THEN 'the Stripe Dashboard, Disputes'
    WHEN 'mock' THEN 'the provider''s dashboard'
    WHEN 'standard' THEN 'the provider''s dashboard'
    ELSE concat('the dashboard of ', provider) END;


-- Captures as the list of their payment shows them, with its id. What may be given back of one that has company is asked of
-- payment_sources; most have none, and are worth all that they brought.
CREATE FUNCTION capture_bodies(ids uuid[]) RETURNS TABLE (id uuid, body json) LANGUAGE sql STABLE AS $$
    SELECT capture.id, json_build_object(
        'id', capture.id,
        'payment_id', capture.payment_id,
        'ref', capture.capture_ref,
        'status', capture.status,
        'amount', event_amount(capture.amount, event_places(capture.currency)),
        'currency', capture.currency,
        'presumed', false,
        'amount_refundable', event_amount(CASE
            WHEN EXISTS (SELECT FROM captures AS other WHERE other.payment_id = capture.payment_id AND other.id <> capture.id)
                OR EXISTS (SELECT FROM refunds AS refund WHERE refund.payment_id = capture.payment_id)
                OR EXISTS (SELECT FROM disputes AS dispute WHERE dispute.payment_id = capture.payment_id)
            THEN coalesce((SELECT source.room FROM payment_sources(capture.payment_id) AS source
                WHERE source.id = capture.id), 0)
            WHEN capture_counts(capture) AND capture.currency = payment.currency THEN capture.amount
            ELSE 0 END, event_places(capture.currency)))
    FROM unnest(ids) AS given (id)
    JOIN captures AS capture ON capture.id = given.id
    JOIN payments AS payment ON payment.id = capture.payment_id
$$;

-- Requests to capture, as the same list shows them.
CREATE FUNCTION capture_request_bodies(ids uuid[]) RETURNS TABLE (id uuid, body json) LANGUAGE sql STABLE AS $$
    SELECT request.id, json_build_object(
        'id', request.id,
        'payment_id', request.payment_id,
        'authorization', request.attempt_ref,
        'amount', event_amount(request.amount, event_places(request.currency)),
        'currency', request.currency,
        'final', request.final,
        'releases', event_amount(request.releases, event_places(request.currency)),
        'status', request.status,
        'capture_ref', request.provider_ref,
        'decline', request.decline,
        'provider_answer', CASE WHEN request.decline <> '' THEN request.detail END,
        'created_at', event_time(request.created_at),
        'updated_at', event_time(request.updated_at))
    FROM unnest(ids) AS given (id) JOIN capture_requests AS request ON request.id = given.id
$$;

-- Refunds as staff list them, without what the provider answered; with lines where they were asked for by line.
CREATE FUNCTION refund_bodies(ids uuid[]) RETURNS TABLE (id uuid, body json) LANGUAGE sql STABLE AS $$
    SELECT refund.id, (jsonb_build_object(
        'id', refund.id,
        'payment_id', refund.payment_id,
        'amount', event_amount(refund.amount, event_places(refund.currency)),
        'currency', refund.currency,
        'status', refund.status,
        'reason', refund.reason,
        'decline', refund.decline,
        'made_by', CASE WHEN refund.requested_by IS NULL THEN 'provider' ELSE 'request' END,
        'created_at', event_time(refund.created_at),
        'updated_at', event_time(refund.updated_at))
        || CASE WHEN back.lines IS NULL THEN '{}' ELSE jsonb_build_object('lines', back.lines) END)::json
    FROM unnest(ids) AS given (id)
    JOIN refunds AS refund ON refund.id = given.id
    CROSS JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('line_id', line.order_line_id, 'qty', line.qty,
            'amount', event_amount(line.amount, event_places(refund.currency))) ORDER BY line.id) AS lines
        FROM refund_lines AS line WHERE line.refund_id = refund.id
    ) AS back
$$;

-- Disputes as staff list them. One without an amount took all that came, by the entries: the fold comes after them.
CREATE FUNCTION dispute_bodies(ids uuid[]) RETURNS TABLE (id uuid, body json) LANGUAGE sql STABLE AS $$
    SELECT dispute.id, json_build_object(
        'id', dispute.id,
        'payment_id', dispute.payment_id,
        'provider', dispute.provider,
        'name', nullif(dispute.dispute_ref, ''),
        'stage', dispute.stage,
        'status', dispute.status,
        'reason', dispute.reason,
        'amount', event_amount(known.amount, event_places(known.currency)),
        'currency', known.currency,
        'amount_lost', event_amount(CASE WHEN dispute.money_step > 0 AND dispute.money_out THEN known.amount ELSE 0 END,
            event_places(known.currency)),
        'blocks_refund', dispute.money_step = 0 AND dispute.blocks_refund,
        'evidence_due_at', event_time(dispute.evidence_due_at),
        'evidence_at', dispute_evidence_at(dispute.provider),
        'created_at', event_time(dispute.created_at),
        'updated_at', event_time(dispute.updated_at))
    FROM unnest(ids) AS given (id)
    JOIN disputes AS dispute ON dispute.id = given.id
    JOIN payments AS payment ON payment.id = dispute.payment_id
    CROSS JOIN LATERAL (SELECT
        CASE WHEN dispute.amount IS NULL AND dispute.money_step > 0
            THEN (SELECT sums.came FROM payment_sums(ARRAY[payment.id]) AS sums) ELSE dispute.amount END,
        coalesce(dispute.currency, payment.currency)
    ) AS known (amount, currency)
$$;


-- A capture succeeded, brought more than before (Stripe's charge is cumulative), was refused or undone.
CREATE FUNCTION captures_tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    ids uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        ids := ARRAY(SELECT id FROM changed WHERE status <> 'pending' ORDER BY id);
    ELSE
        ids := ARRAY(SELECT changed.id FROM changed JOIN before USING (id)
            WHERE changed.status <> 'pending' AND (changed.status <> before.status
                OR changed.status = 'succeeded' AND (changed.amount, changed.currency) <> (before.amount, before.currency))
            ORDER BY changed.id);
    END IF;
    IF cardinality(ids) > 0 THEN
        PERFORM events_write(
            array_agg(CASE changed.status WHEN 'succeeded' THEN 'capture.succeeded' ELSE 'capture.failed' END
                ORDER BY changed.id),
            array_agg(text 'capture' ORDER BY changed.id), array_agg(changed.id ORDER BY changed.id),
            array_agg(changed.version ORDER BY changed.id), array_agg(changed.payment_id ORDER BY changed.id),
            array_agg(shown.body ORDER BY changed.id))
        FROM capture_bodies(ids) AS shown JOIN changed ON changed.id = shown.id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER captures_tell_of_new AFTER INSERT ON captures REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION captures_tell();
CREATE TRIGGER captures_tell AFTER UPDATE ON captures REFERENCING OLD TABLE AS before NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION captures_tell();


-- A capture that staff asked for was not made.
CREATE FUNCTION capture_requests_tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    ids uuid[] := ARRAY(SELECT changed.id FROM changed JOIN before USING (id)
        WHERE changed.status = 'failed' AND before.status <> 'failed' ORDER BY changed.id);
BEGIN
    IF cardinality(ids) > 0 THEN
        PERFORM events_write(
            array_agg(text 'capture.failed' ORDER BY changed.id), array_agg(text 'capture_request' ORDER BY changed.id),
            array_agg(changed.id ORDER BY changed.id), array_agg(changed.version ORDER BY changed.id),
            array_agg(changed.payment_id ORDER BY changed.id), array_agg(shown.body ORDER BY changed.id))
        FROM capture_request_bodies(ids) AS shown JOIN changed ON changed.id = shown.id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER capture_requests_tell AFTER UPDATE ON capture_requests REFERENCING OLD TABLE AS before NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION capture_requests_tell();


-- Somebody asked for a refund; one succeeded or failed, ours or one that was made at the provider. The lines of a request
-- are inserted by the same statement, and are there by now.
CREATE FUNCTION refunds_tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    ids uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        ids := ARRAY(SELECT id FROM changed WHERE requested_by IS NOT NULL OR status > 'processing' ORDER BY id);
    ELSE
        ids := ARRAY(SELECT changed.id FROM changed JOIN before USING (id)
            WHERE changed.status <> before.status AND changed.status > 'processing' ORDER BY changed.id);
    END IF;
    IF cardinality(ids) > 0 THEN
        PERFORM events_write(
            array_agg(CASE WHEN TG_OP = 'INSERT' AND changed.requested_by IS NOT NULL THEN 'refund.requested'
                ELSE concat('refund.', changed.status) END ORDER BY changed.id),
            array_agg(text 'refund' ORDER BY changed.id), array_agg(changed.id ORDER BY changed.id),
            array_agg(changed.version ORDER BY changed.id), array_agg(changed.payment_id ORDER BY changed.id),
            array_agg(shown.body ORDER BY changed.id))
        FROM refund_bodies(ids) AS shown JOIN changed ON changed.id = shown.id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER refunds_tell_of_new AFTER INSERT ON refunds REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION refunds_tell();
CREATE TRIGGER refunds_tell AFTER UPDATE ON refunds REFERENCING OLD TABLE AS before NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION refunds_tell();


-- What follows of a change of a dispute: a new one is opened, its money went or came back, it has an outcome. What none
-- of these tells makes it another one than before. A change that nobody is shown is none.
CREATE FUNCTION dispute_types(before disputes, changed disputes) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN before.id IS NULL THEN array_prepend('dispute.opened', moved.types)
        WHEN moved.types <> '{}' THEN moved.types
        WHEN (before.stage, before.status, before.reason, before.amount, before.currency, before.evidence_due_at,
                before.money_step = 0, before.money_step = 0 AND before.blocks_refund)
            IS DISTINCT FROM (changed.stage, changed.status, changed.reason, changed.amount, changed.currency,
                changed.evidence_due_at, changed.money_step = 0, changed.money_step = 0 AND changed.blocks_refund)
            THEN ARRAY['dispute.updated']
        ELSE '{}' END
    FROM (
        SELECT array_remove(ARRAY[
            CASE WHEN now_out AND NOT was_out THEN 'dispute.funds_withdrawn' END,
            CASE WHEN was_out AND NOT now_out THEN 'dispute.funds_reinstated' END,
            CASE WHEN changed.status IN ('won', 'lost', 'accepted', 'expired') AND changed.status IS DISTINCT FROM before.status
                THEN concat('dispute.', changed.status) END], NULL) AS types
        FROM (SELECT coalesce(before.money_step > 0 AND before.money_out, false), changed.money_step > 0 AND changed.money_out)
            AS money (was_out, now_out)
    ) AS moved
$$;

CREATE FUNCTION disputes_tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    types text[];
    ids uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(each.type ORDER BY changed.id, each.place), array_agg(changed.id ORDER BY changed.id, each.place)
        INTO types, ids
        FROM changed CROSS JOIN LATERAL unnest(dispute_types(NULL, changed::disputes)) WITH ORDINALITY AS each (type, place);
    ELSE
        SELECT array_agg(each.type ORDER BY changed.id, each.place), array_agg(changed.id ORDER BY changed.id, each.place)
        INTO types, ids
        FROM changed JOIN before ON before.id = changed.id
        CROSS JOIN LATERAL unnest(dispute_types(before::disputes, changed::disputes)) WITH ORDINALITY AS each (type, place);
    END IF;
    IF ids IS NOT NULL THEN
        PERFORM disputes_write_events(types, ids);
    END IF;
    RETURN NULL;
END
$$;

-- Writes events of these types, one for each of these disputes.
CREATE FUNCTION disputes_write_events(types text[], ids uuid[]) RETURNS void LANGUAGE sql AS $$
    SELECT events_write(types, array_agg(text 'dispute' ORDER BY given.place), ids,
        array_agg(dispute.version ORDER BY given.place), array_agg(dispute.payment_id ORDER BY given.place),
        array_agg(shown.body ORDER BY given.place))
    FROM unnest(ids) WITH ORDINALITY AS given (id, place)
    JOIN disputes AS dispute ON dispute.id = given.id
    JOIN dispute_bodies(ARRAY(SELECT DISTINCT each FROM unnest(ids) AS each)) AS shown ON shown.id = given.id
$$;

CREATE TRIGGER disputes_tell_of_new AFTER INSERT ON disputes REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION disputes_tell();
CREATE TRIGGER disputes_tell AFTER UPDATE ON disputes REFERENCING OLD TABLE AS before NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION disputes_tell();


-- A void succeeded: an event of its payment, as that is at the end of the transaction.
CREATE FUNCTION voids_tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM events_write(ARRAY['payment.voided'], ARRAY['payment'], ARRAY[payment.id], ARRAY[payment.version],
        ARRAY[payment.id], ARRAY[payment.body])
    FROM payment_bodies(ARRAY[NEW.payment_id], ARRAY[NEW.payment_id]) AS payment;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER voids_tell AFTER UPDATE ON voids DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.status = 'succeeded' AND OLD.status <> 'succeeded') EXECUTE FUNCTION voids_tell();


-- A session was opened. Customers wait for it, and it is one row at a time: so it is written straight from that row, by one
-- statement and with one key for both rows.
CREATE FUNCTION checkout_sessions_tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    event uuid := uuidv7();
    opened CONSTANT text := 'checkout.session.opened';
BEGIN
    WITH written AS (
        INSERT INTO events (id, type, object_type, object_id, version, lane, body)
        SELECT event, opened, 'checkout_session', NEW.id, payment.version, payment.id,
            session_body(NEW, payment, known.places)::text
        FROM payments AS payment CROSS JOIN LATERAL (SELECT event_places(NEW.currency) OFFSET 0) AS known (places)
        WHERE payment.id = NEW.payment_id
    )
    INSERT INTO unsequenced_events (id, events, types, objects, lanes)
    VALUES (event, ARRAY[event], ARRAY[opened], ARRAY[NEW.id], ARRAY[NEW.payment_id]);
    RETURN NULL;
END
$$;

CREATE TRIGGER checkout_sessions_tell AFTER INSERT ON checkout_sessions FOR EACH ROW
EXECUTE FUNCTION checkout_sessions_tell();


-- Functions that run as the owner find their tables here and nowhere else, and nobody else may hang them on a table.
DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['captures_tell()', 'capture_requests_tell()', 'refunds_tell()', 'disputes_tell()',
        'voids_tell()', 'checkout_sessions_tell()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;
