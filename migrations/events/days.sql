-- Days of the log: partitions that are made ahead, and dropped once they have been kept for long enough. To make one blocks
-- nobody. To drop one takes a lock that everybody waits behind, so it is tried for a tenth of a second, and again later.

-- The first key of a day that uuidv7 makes.
CREATE FUNCTION uuid_of_day(day date) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex((extract(epoch FROM day) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

CREATE FUNCTION event_today() RETURNS date LANGUAGE sql STABLE RETURN (now() AT TIME ZONE 'UTC')::date;

-- Tables by day, where they are there already.
CREATE FUNCTION event_partitioned() RETURNS TABLE (name text, key text) LANGUAGE sql STABLE AS $$
    SELECT each.name, each.key
    FROM (VALUES ('events', 'id'), ('event_numbers', 'day'), ('event_attempts', 'id')) AS each (name, key)
    WHERE to_regclass(each.name) IS NOT NULL
$$;

-- The days that a table has partitions for.
CREATE FUNCTION event_days_made(of_table text) RETURNS SETOF date LANGUAGE sql STABLE AS $$
    SELECT to_date(right(part.relname, 8), 'YYYYMMDD')
    FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
    WHERE inhparent = of_table::regclass AND part.relname ~ '_[0-9]{8}$'
$$;

-- Makes the partitions of today and of so many days ahead. What stands in the default partition of such a day moves, where it
-- is so little that nobody waits for it; else the day stays there. Returns how many were made, and how many could not be.
CREATE FUNCTION events_make_days(ahead integer, OUT made integer, OUT left_out integer)
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '200ms' AS $$
DECLARE
    most CONSTANT integer := 10000;
    base record;
    day date;
    part text;
    edges text[];
    range text;
    strays integer;
BEGIN
    made := 0;
    left_out := 0;
    FOR base IN SELECT * FROM event_partitioned() LOOP
        FOR day IN SELECT each::date FROM generate_series(event_today(), event_today() + ahead, interval '1 day') AS each
            WHERE each::date NOT IN (SELECT event_days_made(base.name)) LOOP
            part := concat(base.name, '_', to_char(day, 'YYYYMMDD'));
            edges := CASE base.key WHEN 'id' THEN ARRAY[uuid_of_day(day)::text, uuid_of_day(day + 1)::text]
                ELSE ARRAY[day::text, (day + 1)::text] END;
            range := format('%1$I >= %2$L AND %1$I < %3$L', base.key, edges[1], edges[2]);
            BEGIN
                EXECUTE format('SELECT count(*) FROM (SELECT FROM %I WHERE %s LIMIT %s) AS each',
                    base.name || '_of_no_day', range, most + 1) INTO strays;
                IF strays > most THEN
                    left_out := left_out + 1;
                    CONTINUE;
                END IF;
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, base.name);
                IF strays > 0 THEN
                    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', base.name || '_of_no_day');
                    EXECUTE format('WITH moved AS (DELETE FROM %I WHERE %s RETURNING *) INSERT INTO %I SELECT * FROM moved',
                        base.name || '_of_no_day', range, part);
                END IF;
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    base.name, part, edges[1], edges[2]);
                made := made + 1;
            EXCEPTION WHEN lock_not_available OR check_violation OR unique_violation OR duplicate_table THEN
                -- Somebody is about to write there, or another run made it.
                left_out := left_out + 1;
            END;
        END LOOP;
    END LOOP;
END
$$;

-- The last number of the days before this one.
CREATE FUNCTION event_last_before(kept date) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT min(first_seq) - 1 FROM event_days WHERE day >= kept),
        (SELECT last_seq FROM event_series WHERE day < kept), 0)
$$;

-- Drops one partition whose days were kept for so long, the oldest first, and after events_outgrow. An event outlives its
-- number by a day and until it has one; an attempt outlives what it was of. Returns its name; NULL where none is left, and
-- 'locked' where somebody has it.
CREATE FUNCTION events_drop_day(keep integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '100ms' AS $$
DECLARE
    first_kept date := event_today() - keep;
    waiting date := (SELECT min(created_at AT TIME ZONE 'UTC')::date FROM unsequenced_events);
    part text;
BEGIN
    SELECT concat(base.name, '_', to_char(made.day, 'YYYYMMDD')) INTO part
    FROM event_partitioned() AS base CROSS JOIN LATERAL event_days_made(base.name) AS made (day)
    WHERE made.day < CASE base.name WHEN 'events' THEN least(first_kept - 1, waiting - 1) ELSE first_kept END
        AND (base.name <> 'event_numbers' OR event_last_before(made.day + 1)
            <= (SELECT coalesce(max(dropped_seq), 0) FROM event_series))
    ORDER BY base.name = 'events', made.day, base.name LIMIT 1;
    IF part IS NOT NULL THEN
        BEGIN
            EXECUTE format('DROP TABLE %I', part);
        EXCEPTION WHEN lock_not_available THEN
            RETURN 'locked';
        END;
    END IF;
    RETURN part;
END
$$;

-- What stands in the default partitions of days that are over, up to most rows of one; and what event_dues says of dates that
-- have long passed. Returns how many went.
CREATE FUNCTION events_sweep_strays(keep integer, most integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    base record;
    before text;
    number integer;
    gone integer := 0;
BEGIN
    FOR base IN SELECT * FROM event_partitioned() LOOP
        before := CASE base.key WHEN 'day' THEN (event_today() - keep)::text ELSE uuid_of_day(event_today() - keep - 1)::text END;
        EXECUTE format('DELETE FROM %1$I WHERE ctid = ANY(ARRAY(SELECT ctid FROM %1$I WHERE %2$I < %3$L LIMIT %4$s))',
            base.name || '_of_no_day', base.key, before, most);
        GET DIAGNOSTICS number = ROW_COUNT;
        gone := gone + number;
    END LOOP;
    DELETE FROM event_dues WHERE id = ANY(ARRAY(
        SELECT id FROM event_dues WHERE due < now() - make_interval(days => keep)
            AND type NOT IN ('stock.low', 'stock.sold_out') LIMIT most));
    GET DIAGNOSTICS number = ROW_COUNT;
    RETURN gone + number;
END
$$;

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['events_make_days(integer)', 'events_drop_day(integer)',
        'events_sweep_strays(integer, integer)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO checkout_worker', owned);
    END LOOP;
END
$$;

SELECT events_make_days(7);
