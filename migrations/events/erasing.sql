-- Erasing a person, with what events tell of them: the bodies of events of their payments keep what happened and name nobody.
-- A shop that took an event before has it; what is sent or read later is without.
ALTER FUNCTION person_erase_step(uuid, interval) RENAME TO person_erase_rows;

-- Strikes the person out of up to most events of their payments, of those that changed hands already too, and what endpoints
-- answered to these events. Returns how many events.
CREATE FUNCTION events_erase(person uuid, given_at timestamptz, stand_in uuid, most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[];
BEGIN
    WITH own AS MATERIALIZED (
        SELECT id FROM payments WHERE user_id = person AND created_at <= given_at
        UNION ALL
        SELECT id FROM payments WHERE user_id = stand_in
    ), naming AS MATERIALIZED (
        SELECT event.id, event.object_type, shown.body FROM own JOIN events AS event ON event.lane = own.id
        CROSS JOIN LATERAL (SELECT event.body::jsonb) AS shown (body)
        WHERE shown.body ->> 'customer' = person::text
            OR num_nonnulls(shown.body ->> 'buyer', shown.body ->> 'delivery_address') > 0
            OR event.object_type = 'refund' AND shown.body ->> 'reason' IS NOT NULL
        LIMIT most FOR NO KEY UPDATE OF event SKIP LOCKED
    ), struck AS MATERIALIZED (
        SELECT naming.id, (naming.body || (
            SELECT jsonb_object_agg(name, CASE WHEN name = 'customer' THEN to_jsonb(stand_in) ELSE 'null' END)
            FROM jsonb_object_keys(naming.body) AS name
            WHERE name IN ('customer', 'buyer', 'delivery_address') OR naming.object_type = 'refund' AND name = 'reason'
        ))::text AS body
        FROM naming
    ), erased AS (
        UPDATE events AS event SET body = struck.body FROM struck WHERE event.id = struck.id RETURNING event.id
    )
    SELECT array_agg(id) INTO ids FROM erased;
    IF ids IS NOT NULL AND to_regclass('event_attempts') IS NOT NULL THEN
        -- An attempt comes after its event, and its key is of its time.
        UPDATE event_attempts SET answer = NULL
        WHERE NOT succeeded AND answer IS NOT NULL AND event_id = ANY(ids)
            AND endpoint_id IN (SELECT id FROM webhook_endpoints)
            AND id >= (SELECT min(each::text)::uuid FROM unnest(ids) AS each);
    END IF;
    RETURN coalesce(cardinality(ids), 0);
END
$$;

-- What was sent while the person was erased may have been the body of before, and an answer may quote it: answers to events of
-- these payments, from a minute before that began on. From the first step on a sender keeps none that answers an older body.
CREATE FUNCTION events_erase_answers(stand_in uuid, begun timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('event_attempts') IS NOT NULL THEN
        UPDATE event_attempts SET answer = NULL
        WHERE id >= uuidv7(begun - interval '1 minute' - clock_timestamp()) AND NOT succeeded AND answer IS NOT NULL
            AND event_id IN (SELECT event.id FROM payments JOIN events AS event ON event.lane = payments.id
                WHERE payments.user_id = stand_in);
    END IF;
END
$$;

-- As before (migrations/orders/erasing.sql), but events come first in each step: what is entered while somebody is erased is
-- found by the next one, by whichever of the two subjects.
CREATE FUNCTION person_erase_step(command uuid, keep interval DEFAULT NULL)
RETURNS TABLE (kind text, touched integer, erased integer) LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
    run record;
    number integer := 0;
BEGIN
    SELECT audit.subject::uuid AS person, audit.created_at AS given_at, erasure.subject AS stand_in,
        erasure.created_at AS begun INTO run
    FROM audit JOIN erasures AS erasure ON erasure.id = audit.id
    WHERE audit.id = command AND audit.action = 'erase';
    IF run.stand_in IS NOT NULL THEN
        number := events_erase(run.person, run.given_at, run.stand_in, 500);
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
BEGIN
    EXECUTE format('ALTER FUNCTION person_erase_step(uuid, interval) SET search_path = %I, pg_temp', current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION person_erase_step(uuid, interval) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION person_erase_rows(uuid, interval) FROM checkout_worker;
GRANT EXECUTE ON FUNCTION person_erase_step(uuid, interval) TO checkout_worker;
