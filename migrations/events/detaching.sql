-- As events_drop_day (days.sql), and nobody queues up behind it: the table is locked at a moment at which nobody has it, or not at
-- all. A table that has no such moment is waited for, for 20 ms, if that is_patient and the day should have gone a day ago. Events
-- wait for events_outgrow, as their numbers do: an endpoint that was not told would be passed over what is no longer there. The
-- release before goes on with events_drop_day.
CREATE FUNCTION events_detach_day(keep integer, is_patient boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '20ms' AS $$
DECLARE
    first_kept date := event_today() - keep;
    waiting date := (SELECT min(created_at AT TIME ZONE 'UTC')::date FROM unsequenced_events);
    base text;
    part text;
    is_late boolean;
BEGIN
    SELECT over.name, concat(over.name, '_', to_char(over.day, 'YYYYMMDD')), over.day < over.edge - 1 INTO base, part, is_late
    FROM (
        SELECT base.name, made.day,
            CASE base.name WHEN 'events' THEN least(first_kept - 1, waiting - 1) ELSE first_kept END AS edge
        FROM event_partitioned() AS base CROSS JOIN LATERAL event_days_made(base.name) AS made (day)
    ) AS over
    WHERE over.day < over.edge AND (over.name = 'event_attempts'
        OR event_last_before(over.day + CASE over.name WHEN 'events' THEN 2 ELSE 1 END)
            <= (SELECT coalesce(max(dropped_seq), 0) FROM event_series))
    ORDER BY over.name = 'events', over.day, over.name LIMIT 1;
    IF part IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE %s', base,
        CASE WHEN is_patient AND is_late THEN '' ELSE 'NOWAIT' END);
    EXECUTE format('LOCK TABLE ONLY %I, ONLY %I IN ACCESS EXCLUSIVE MODE NOWAIT', base || '_of_no_day', part);
    EXECUTE format('DROP TABLE %I', part);
    RETURN part;
EXCEPTION WHEN lock_not_available OR deadlock_detected OR undefined_table THEN
    RETURN 'locked';
END
$$;
