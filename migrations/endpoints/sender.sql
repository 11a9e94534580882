-- What the sender may write. How far an endpoint is, it writes itself; that one is suspended or disabled goes through the
-- owner's function, since an event tells of it in the same transaction.
GRANT UPDATE (
    place, lease_token, leased_until, next_due_at, last_success_at, failing_since, failures, pace, probes, updated_at
) ON webhook_endpoints TO checkout_worker;
GRANT INSERT (
    endpoint_id, event_id, seq, type, lane, replay_id, state, attempts, first_attempt_at, next_attempt_at
), UPDATE (state, attempts, first_attempt_at, next_attempt_at, updated_at), DELETE ON pending_deliveries TO checkout_worker;
GRANT INSERT (
    id, endpoint_id, event_id, type, seq, replay_id, attempt, succeeded, status, error, answer, duration_ms
) ON event_attempts TO checkout_worker;
GRANT UPDATE (state, place, sent, failed, updated_at) ON event_replays TO checkout_worker;

-- The heads of lanes are due first; finds the oldest of what waits.
CREATE INDEX pending_deliveries_heads ON pending_deliveries (endpoint_id, seq)
WHERE state = 'waiting' AND next_attempt_at IS NOT NULL AND replay_id IS NULL;

-- Moves an endpoint of which the caller has the lease to another state, and writes the event of that: suspended, disabled.
-- A state that somebody else gave it since (another version) stays. Returns the new version, or NULL if nothing was done.
-- Enabled again, all that waits is due at once.
CREATE FUNCTION endpoint_move(
    endpoint uuid, token uuid, known_version integer, next endpoint_state, reason text
) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    moved integer;
BEGIN
    -- The version is counted by the trigger of the endpoints.
    UPDATE webhook_endpoints AS own SET state = next, state_reason = CASE WHEN next <> 'enabled' THEN reason END,
        state_since = now(), probes = 0, pace = CASE WHEN next = 'enabled' THEN 1 END,
        failures = CASE WHEN next = 'enabled' THEN 0 ELSE own.failures END,
        failing_since = CASE WHEN next <> 'enabled' THEN own.failing_since END,
        next_due_at = now() + CASE WHEN next = 'suspended' THEN interval '1 minute' ELSE interval '0' END, updated_at = now()
    WHERE own.id = endpoint AND own.lease_token = token AND own.version = known_version AND own.state <> next
        AND own.state <> 'disabled' AND own.deleted_at IS NULL
    RETURNING own.version INTO moved;
    IF moved IS NULL THEN
        RETURN NULL;
    END IF;
    IF next = 'enabled' THEN
        UPDATE pending_deliveries SET next_attempt_at = now(), updated_at = now()
        WHERE endpoint_id = endpoint AND state = 'waiting' AND next_attempt_at > now();
    ELSE
        PERFORM events_write(ARRAY['webhook_endpoint.' || next], ARRAY['webhook_endpoint'], ARRAY[endpoint], ARRAY[moved],
            ARRAY[endpoint], ARRAY[webhook_endpoint_body(endpoint)]);
    END IF;
    RETURN moved;
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION endpoint_move(uuid, uuid, integer, endpoint_state, text) SET search_path = %I, pg_temp',
        current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION endpoint_move(uuid, uuid, integer, endpoint_state, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION endpoint_move(uuid, uuid, integer, endpoint_state, text) TO checkout_worker;
