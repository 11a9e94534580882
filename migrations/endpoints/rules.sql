-- What the owner does for staff who change an endpoint, and who may write what: the web tier what staff ask for, the sender how
-- far each endpoint is. Refused by the names of constraints. Locks: the endpoint, then its rows.

-- An endpoint as the API shows it, and as an event about it has it. Of what waits or failed so many are counted at most.
CREATE FUNCTION webhook_endpoint_body(endpoint uuid) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', known.id, 'url', known.url, 'types', known.types, 'payload', known.payload, 'in_order', known.in_order,
        'signing', known.signing, 'description', known.description, 'state', known.state, 'state_reason', known.state_reason,
        'state_since', event_time(known.state_since), 'place', known.place,
        'waiting', (SELECT count(*) FROM (SELECT FROM pending_deliveries
            WHERE endpoint_id = known.id AND state = 'waiting' LIMIT 10000) AS counted),
        'failed', (SELECT count(*) FROM (SELECT FROM pending_deliveries
            WHERE endpoint_id = known.id AND state = 'failed' LIMIT 10000) AS counted),
        'last_success_at', event_time(known.last_success_at), 'api_version', known.api_version, 'version', known.version,
        'created_at', event_time(known.created_at), 'updated_at', event_time(known.updated_at))
    FROM webhook_endpoints AS known WHERE known.id = endpoint
$$;


-- Before an endpoint is changed. Its version counts what the API shows of its making, not how far it is. One that staff enable
-- (state enabled, state_reason requested) begins anew: all that waits there is due at once. One that is deleted stays so.
CREATE FUNCTION webhook_endpoints_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF OLD.deleted_at IS NOT NULL THEN
        IF NEW.deleted_at IS DISTINCT FROM OLD.deleted_at THEN
            RAISE EXCEPTION 'endpoint % is deleted', OLD.id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'webhook_endpoints_stays_deleted';
        END IF;
        -- A sender that still had it may come late.
        NEW.state := OLD.state;
        NEW.state_reason := OLD.state_reason;
        NEW.version := OLD.version;
        RETURN NEW;
    END IF;
    IF NEW.deleted_at IS NOT NULL THEN
        NEW.state := 'disabled';
        NEW.state_reason := 'deleted';
        UPDATE endpoint_secrets SET ends_at = now(), updated_at = now()
        WHERE endpoint_id = NEW.id AND (ends_at IS NULL OR ends_at > now());
        -- No sender comes to it any more that would end them.
        UPDATE event_replays SET state = 'stopped', stop_requested_at = coalesce(stop_requested_at, now()), updated_at = now()
        WHERE endpoint_id = NEW.id AND state IN ('waiting', 'running');
    ELSIF NEW.state = 'enabled' AND NEW.state_reason = 'requested' THEN
        NEW.state_reason := NULL;
        NEW.failures := 0;
        NEW.failing_since := NULL;
        NEW.probes := 0;
        NEW.pace := NULL;
        NEW.next_due_at := now();
        UPDATE pending_deliveries SET next_attempt_at = now(), updated_at = now()
        WHERE endpoint_id = NEW.id AND state = 'waiting' AND next_attempt_at > now();
    END IF;
    IF NEW.in_order AND NOT OLD.in_order THEN
        -- Of a lane only the first is due from now on.
        UPDATE pending_deliveries AS pending SET next_attempt_at = NULL, updated_at = now()
        WHERE endpoint_id = NEW.id AND state = 'waiting' AND replay_id IS NULL AND next_attempt_at IS NOT NULL
            AND EXISTS (SELECT FROM pending_deliveries AS before
                WHERE before.endpoint_id = pending.endpoint_id AND before.lane = pending.lane AND before.seq < pending.seq
                    AND before.state = 'waiting' AND before.replay_id IS NULL);
    END IF;
    IF NEW.state IS DISTINCT FROM OLD.state THEN
        NEW.state_since := now();
    END IF;
    NEW.version := OLD.version + ((NEW.url, NEW.types, NEW.payload, NEW.in_order, NEW.signing, NEW.description,
            NEW.api_version, NEW.state, NEW.state_reason, NEW.deleted_at)
        IS DISTINCT FROM (OLD.url, OLD.types, OLD.payload, OLD.in_order, OLD.signing, OLD.description,
            OLD.api_version, OLD.state, OLD.state_reason, OLD.deleted_at))::integer;
    RETURN NEW;
END
$$;

CREATE TRIGGER webhook_endpoints_change
BEFORE UPDATE OF url, types, payload, in_order, signing, description, api_version, state, state_reason, deleted_at, version
ON webhook_endpoints FOR EACH ROW EXECUTE FUNCTION webhook_endpoints_change();


-- An event delivery carries a signature for each live secret, so there are few of them.
CREATE FUNCTION endpoint_secrets_admit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF (SELECT count(*) FROM endpoint_secrets
            WHERE endpoint_id = NEW.endpoint_id AND (ends_at IS NULL OR ends_at > now())) >= 10 THEN
        RAISE EXCEPTION 'endpoint % has ten live secrets', NEW.endpoint_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'endpoint_secrets_few';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER endpoint_secrets_admit BEFORE INSERT ON endpoint_secrets
FOR EACH ROW EXECUTE FUNCTION endpoint_secrets_admit();

-- Gives an endpoint a new secret. Those before go on signing for this long. What ended before is deleted: it signs nothing any
-- more. Returns the secret's id, or NULL where there is no such endpoint.
CREATE FUNCTION endpoint_rotate_secret(endpoint uuid, new_scheme text, sealed bytea, old_for interval) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    made uuid;
BEGIN
    IF old_for NOT BETWEEN interval '0' AND interval '7 days' THEN
        RAISE EXCEPTION 'a secret goes on signing for up to 7 days'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'endpoint_secrets_ends_soon';
    END IF;
    UPDATE webhook_endpoints SET signing = new_scheme, updated_at = now() WHERE id = endpoint AND deleted_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    DELETE FROM endpoint_secrets WHERE endpoint_id = endpoint AND ends_at <= now();
    UPDATE endpoint_secrets SET ends_at = least(coalesce(ends_at, 'infinity'), now() + old_for), updated_at = now()
    WHERE endpoint_id = endpoint;
    INSERT INTO endpoint_secrets (endpoint_id, scheme, ciphertext) VALUES (endpoint, new_scheme, sealed) RETURNING id INTO made;
    RETURN made;
END
$$;


-- Sends an endpoint a test event, which has no number and is in nobody's list: it waits in a lane of its own, due at once.
-- Returns the event's id, or NULL where there is no such endpoint.
CREATE FUNCTION endpoint_send_test(endpoint uuid) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    known webhook_endpoints;
    made uuid := uuidv7();
BEGIN
    SELECT * INTO known FROM webhook_endpoints WHERE id = endpoint AND deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF known.state = 'disabled' THEN
        RAISE EXCEPTION 'endpoint % is disabled', endpoint
            USING ERRCODE = 'check_violation', CONSTRAINT = 'webhook_endpoints_not_disabled';
    END IF;
    IF (SELECT count(*) FROM pending_deliveries
            WHERE endpoint_id = endpoint AND state = 'waiting' AND seq IS NULL AND type = 'webhook_endpoint.test') >= 10 THEN
        RAISE EXCEPTION 'ten test events wait for endpoint %', endpoint
            USING ERRCODE = 'check_violation', CONSTRAINT = 'pending_deliveries_few_tests';
    END IF;
    INSERT INTO events (id, type, object_type, object_id, version, lane, body)
    VALUES (made, 'webhook_endpoint.test', 'webhook_endpoint', endpoint, known.version, made, webhook_endpoint_body(endpoint));
    INSERT INTO pending_deliveries (endpoint_id, event_id, type, lane, next_attempt_at)
    VALUES (endpoint, made, 'webhook_endpoint.test', made, now());
    UPDATE webhook_endpoints SET next_due_at = now() WHERE id = endpoint;
    RETURN made;
END
$$;


-- The first number that was given at this moment or later, less a minute: a number's moment is when its transaction began.
-- Numbers have no gap and grow with time, so it is found by halves; those that are not kept any more count as before.
CREATE FUNCTION event_numbers_since(moment timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint;
    high bigint;
    middle bigint;
    given_at timestamptz;
BEGIN
    SELECT series.dropped_seq + 1, series.last_seq + 1 INTO low, high FROM event_series AS series;
    IF NOT FOUND THEN
        RETURN 1;
    END IF;
    WHILE low < high LOOP
        middle := (low + high) / 2;
        SELECT created_at INTO given_at FROM event_numbers WHERE seq = middle;
        IF FOUND AND given_at >= moment - interval '1 minute' THEN
            high := middle;
        ELSE
            low := middle + 1;
        END IF;
    END LOOP;
    RETURN low;
END
$$;

-- What a replay is about, without doing it: from which number to which, of which types, and how many events that is. It ends
-- where the endpoint is: what is behind its place comes by itself. Counting ends after so many rows.
CREATE FUNCTION event_replay_plan(replay event_replays) RETURNS event_replays LANGUAGE plpgsql STABLE AS $$
DECLARE
    known webhook_endpoints;
    event_at timestamptz;
    most CONSTANT integer := 500000;
BEGIN
    SELECT * INTO known FROM webhook_endpoints WHERE id = replay.endpoint_id AND deleted_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no endpoint %', replay.endpoint_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'event_replays_endpoint_id_fkey';
    END IF;
    IF replay.event_id IS NOT NULL THEN
        SELECT created_at INTO event_at FROM events WHERE id = replay.event_id;
        replay.from_seq := event_numbers_since(event_at);
        SELECT seq INTO replay.from_seq FROM event_numbers
        WHERE seq BETWEEN replay.from_seq AND replay.from_seq + most AND seq <= known.place AND event_id = replay.event_id
        ORDER BY day, seq LIMIT 1;
        IF replay.from_seq IS NULL THEN
            RAISE EXCEPTION 'endpoint % did not come by an event %', replay.endpoint_id, replay.event_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'event_replays_event_known';
        END IF;
        replay.until_seq := replay.from_seq;
        replay.place := replay.from_seq - 1;
        replay.types := NULL;
        replay.only_failed := false;
        replay.events := 1;
        RETURN replay;
    END IF;
    replay.types := CASE WHEN replay.types IS NULL THEN known.types WHEN known.types IS NULL THEN replay.types
        ELSE ARRAY(SELECT unnest(replay.types) INTERSECT SELECT unnest(known.types)) END;
    replay.until_seq := known.place;
    replay.from_seq := event_numbers_since(replay.since);
    -- An event's id has the moment at which it was written, to a millisecond.
    SELECT seq INTO replay.from_seq FROM event_numbers
    WHERE seq BETWEEN replay.from_seq AND replay.until_seq
        AND uuid_extract_timestamp(event_id) >= date_trunc('milliseconds', replay.since)
    ORDER BY day, seq LIMIT 1;
    replay.from_seq := coalesce(replay.from_seq, replay.until_seq + 1);
    replay.place := replay.from_seq - 1;
    IF replay.only_failed THEN
        SELECT count(*) FILTER (WHERE replay.types IS NULL OR type = ANY(replay.types)), count(*) = most
        INTO replay.events, replay.more
        FROM (SELECT type FROM pending_deliveries WHERE endpoint_id = known.id AND state = 'failed'
            AND replay_id IS NULL AND seq BETWEEN replay.from_seq AND replay.until_seq LIMIT most) AS failed;
    ELSIF replay.types IS NULL THEN
        replay.events := replay.until_seq - replay.from_seq + 1;
        replay.more := false;
    ELSE
        SELECT count(*) FILTER (WHERE type = ANY(replay.types)), count(*) = most INTO replay.events, replay.more
        FROM (SELECT type FROM event_numbers WHERE seq BETWEEN replay.from_seq AND replay.until_seq
            ORDER BY day, seq LIMIT most) AS numbers;
    END IF;
    RETURN replay;
END
$$;

-- Before a replay is inserted it is planned; who asks says what of, and never from where to where. To plan takes long where
-- there is much, and the endpoint's sender waits for whoever has its row: so it is locked only then.
CREATE FUNCTION event_replays_admit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    known webhook_endpoints;
BEGIN
    NEW := event_replay_plan(NEW);
    SELECT * INTO known FROM webhook_endpoints WHERE id = NEW.endpoint_id FOR NO KEY UPDATE;
    IF known.deleted_at IS NOT NULL THEN
        RAISE EXCEPTION 'there is no endpoint %', NEW.endpoint_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'event_replays_endpoint_id_fkey';
    END IF;
    IF known.state = 'disabled' THEN
        RAISE EXCEPTION 'endpoint % is disabled', NEW.endpoint_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'webhook_endpoints_not_disabled';
    END IF;
    IF (SELECT count(*) FROM event_replays WHERE endpoint_id = NEW.endpoint_id AND state IN ('waiting', 'running')) >= 10 THEN
        RAISE EXCEPTION 'ten replays of endpoint % are under way', NEW.endpoint_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'event_replays_few_open';
    END IF;
    UPDATE webhook_endpoints SET next_due_at = now() WHERE id = NEW.endpoint_id;
    RETURN NEW;
END
$$;

CREATE TRIGGER event_replays_admit BEFORE INSERT ON event_replays
FOR EACH ROW WHEN (NEW.until_seq IS NULL) EXECUTE FUNCTION event_replays_admit();

-- A replay that is to stop is due, so that a sender ends it at once. No sender looks at one of an endpoint that is sent nothing:
-- it ends here. Whoever asks has locked the endpoint before (checkout_service/endpoints/replays.py).
CREATE FUNCTION event_replays_stop() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE webhook_endpoints SET next_due_at = now() WHERE id = NEW.endpoint_id AND state = 'enabled';
    IF NOT FOUND THEN
        DELETE FROM pending_deliveries WHERE endpoint_id = NEW.endpoint_id AND replay_id = NEW.id AND state = 'waiting';
        NEW.state := 'stopped';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER event_replays_stop BEFORE UPDATE OF stop_requested_at ON event_replays
FOR EACH ROW WHEN (NEW.stop_requested_at IS NOT NULL AND NEW.state IN ('waiting', 'running'))
EXECUTE FUNCTION event_replays_stop();


ALTER TABLE audit DROP CONSTRAINT audit_action_known, ADD CONSTRAINT audit_action_known CHECK (
    action IN ('process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture', 'erase', 'take_over',
        'create_key', 'revoke_key', 'create_endpoint', 'change_endpoint', 'delete_endpoint', 'rotate_secret', 'test_endpoint',
        'replay_events', 'stop_replay'));

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['webhook_endpoints_change()', 'endpoint_secrets_admit()', 'event_replays_admit()', 'event_replays_stop()',
        'endpoint_rotate_secret(uuid, text, bytea, interval)', 'endpoint_send_test(uuid)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;

GRANT EXECUTE ON FUNCTION endpoint_rotate_secret(uuid, text, bytea, interval), endpoint_send_test(uuid) TO checkout_web;

GRANT SELECT ON webhook_endpoints, pending_deliveries, event_attempts, event_replays TO checkout_web, checkout_worker;
-- place, lease and counters are the sender's alone. A secret is written by the web tier and read by the sender.
GRANT INSERT (url, types, payload, in_order, signing, description, api_version),
    UPDATE (url, types, payload, in_order, description, api_version, state, state_reason, deleted_at, updated_at)
ON webhook_endpoints TO checkout_web;
GRANT INSERT (endpoint_id, scheme, ciphertext) ON endpoint_secrets TO checkout_web;
GRANT INSERT (endpoint_id, event_id, since, types, only_failed, requested_by), UPDATE (stop_requested_at, updated_at)
ON event_replays TO checkout_web;

GRANT SELECT ON endpoint_secrets TO checkout_worker;
-- What the sender writes: sender.sql.
