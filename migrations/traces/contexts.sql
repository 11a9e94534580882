-- Traces: where a row comes from, so that what is done about it later belongs to the same trace. A context is a W3C
-- traceparent of version 00: 55 characters. It is NULL where nothing is traced, and of what was not sampled.

-- Notes the context in which this transaction works, and returns it. Not called with NULL: so a statement of a service that
-- traces nothing does nothing more.
CREATE OR REPLACE FUNCTION traced(context text) RETURNS text LANGUAGE sql STRICT
RETURN set_config('checkout.trace', context, true);

-- An event belongs to the trace of what has it written. checkout.trace is one context, or one for each lane, where a set of
-- webhooks is entered at once: "LANE CONTEXT" after "LANE CONTEXT", with a blank between. Whoever is connected may set it, so
-- nothing else than a context is taken, and nothing is refused for it.
CREATE OR REPLACE FUNCTION events_take_trace() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted CONSTANT text := current_setting('checkout.trace', true);
    place integer := 0;
BEGIN
    IF length(noted) > 55 THEN
        place := strpos(noted, NEW.lane::text);
        IF place = 0 THEN
            RETURN NEW;
        END IF;
        place := place + 36;
    END IF;
    NEW.trace_context := substring(substr(noted, place + 1, 55) FROM '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$');
    RETURN NEW;
END
$$;

REVOKE EXECUTE ON FUNCTION events_take_trace() FROM PUBLIC;
