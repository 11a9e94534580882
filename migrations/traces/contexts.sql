-- Traces: where a row comes from, so that what is done about it later belongs to the same trace. A context is a W3C
-- traceparent of version 00: 55 characters. It is NULL where nothing is traced, and of what was not sampled.

-- Notes the context in which this transaction works, and returns it. Not called with NULL: so a statement of a service that
-- traces nothing does nothing more.
CREATE OR REPLACE FUNCTION traced(context text) RETURNS text LANGUAGE sql STRICT
RETURN set_config('checkout.trace', context, true);

-- The same where a set of webhooks is entered at once: a context for each lane. They are noted in 256 settings, by the last
-- two digits of the lane, as "LANE CONTEXT" after "LANE CONTEXT": to look through all of a set for each of its events took as
-- long as a tenth of the fold.
CREATE OR REPLACE FUNCTION traced_lanes(lanes uuid[], contexts text[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(set_config('checkout.trace_' || each.digits, each.noted, true))
    FROM (
        SELECT right(lane::text, 2) AS digits, string_agg(concat_ws(' ', lane, context), ' ') AS noted
        FROM unnest(lanes, contexts) AS given (lane, context) GROUP BY right(lane::text, 2)
    ) AS each
    WHERE set_config('checkout.trace', 'lanes', true) IS NOT NULL
$$;

-- An event belongs to the trace of what has it written. Whoever is connected may note anything, so nothing else than a context
-- is taken, and nothing is refused for it.
CREATE OR REPLACE FUNCTION events_take_trace() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted text := current_setting('checkout.trace', true);
BEGIN
    IF noted = 'lanes' THEN
        noted := split_part(current_setting('checkout.trace_' || right(NEW.lane::text, 2), true), NEW.lane::text || ' ', 2);
    END IF;
    NEW.trace_context := substring(left(noted, 55) FROM '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$');
    RETURN NEW;
END
$$;

REVOKE EXECUTE ON FUNCTION events_take_trace() FROM PUBLIC;
