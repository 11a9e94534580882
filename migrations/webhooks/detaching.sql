-- A part of webhooks goes in two steps, and nobody who writes a webhook waits for its rows. First it is emptied under a lock of its
-- own, which no INSERT needs: those lock the table and the part of today. Then what is left, which is nothing or little, is taken out
-- of the table under a lock of that, which is had at once or not at all. DETACH PARTITION CONCURRENTLY is not for us: PostgreSQL
-- refuses it where a table has a default part, and ours takes what no part was made for.
-- Whoever is killed between the two leaves an empty part, and the next run begins with the second step. The release before goes on
-- with webhooks_drop_part (parts.sql), which does both in one.

-- Parts whose days were all kept for so long, the oldest first, with the ids that they are of; never the last one.
CREATE FUNCTION webhooks_parts_over(keep interval) RETURNS TABLE (name text, from_id uuid, to_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT over.name, coalesce(uuid_of_day(over.from_day), '00000000-0000-0000-0000-000000000000'::uuid),
        uuid_of_day(over.to_day)
    FROM webhooks_parts() AS over
    WHERE uuid_of_day(over.to_day) <= uuidv7(-greatest(keep, interval '1 day'))
        AND EXISTS (SELECT FROM webhooks_parts() AS later WHERE NOT later.before_days AND later.to_day > over.to_day)
    ORDER BY over.to_day
$$;

-- Empties the oldest part that is over and has final rows. What is not final, or rejected and kept by a retention of its own, is
-- written there anew; of a part with more than 1,000 such rows or 32 MiB of them nothing is done, and its rows are pruned one by one.
-- Workers wait for its lock, a tenth of a second at most, and until it is done. Returns its name and how many rows are left there;
-- none where no part is to be emptied, 'locked' where somebody has it.
CREATE FUNCTION webhooks_empty_part(keep interval, OUT part text, OUT kept integer)
LANGUAGE plpgsql STRICT SECURITY DEFINER SET lock_timeout = '100ms' SET enable_seqscan = off AS $$
DECLARE
    most CONSTANT integer := 1000;
    most_bytes CONSTANT bigint := 32 * 1024 * 1024;
    unfinished CONSTANT text := 'state IN (''received'', ''parked'') OR state = ''rejected''';
    over record;
    has_final boolean;
    has_many boolean;
BEGIN
    kept := 0;
    LOCK TABLE prune_marks IN SHARE UPDATE EXCLUSIVE MODE;
    FOR over IN SELECT * FROM webhooks_parts_over(keep) LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE NOT (%s))', over.name, unfinished) INTO has_final;
        CONTINUE WHEN NOT has_final;
        -- Before anybody has to wait.
        EXECUTE format('SELECT count(*) > %s OR coalesce(sum(octet_length(body)), 0) > %s
            FROM (SELECT body FROM %I WHERE %s LIMIT %s) AS each', most, most_bytes, over.name, unfinished, most + 1)
            INTO has_many;
        CONTINUE WHEN has_many;
        EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', over.name);
        EXECUTE format('CREATE TABLE webhooks_kept AS SELECT * FROM %I WHERE %s', over.name, unfinished);
        EXECUTE format('TRUNCATE TABLE ONLY %I', over.name);
        EXECUTE format('INSERT INTO %I SELECT * FROM webhooks_kept', over.name);
        GET DIAGNOSTICS kept = ROW_COUNT;
        DROP TABLE webhooks_kept;
        part := over.name;
        RETURN;
    END LOOP;
EXCEPTION WHEN lock_not_available OR deadlock_detected OR undefined_table THEN
    part := 'locked';
    kept := 0;
END
$$;

-- Takes the oldest part that is over and has no more than 300 rows that are not final, or 4 MiB of them, out of the table, moves
-- those to the part of no day and drops it. Everybody waits for the table's lock meanwhile, some milliseconds, so it is taken at a
-- moment at which nobody has it, or not at all: nobody queues up behind us. A table that has no such moment is waited for, for
-- 20 ms, if that is_patient and the part has been over for a day. Returns the part's name and what moved; none where no part is
-- over, 'locked' where somebody has it, 'kept' where each has more such rows.
CREATE FUNCTION webhooks_detach_part(keep interval, is_patient boolean, OUT part text, OUT moved integer)
LANGUAGE plpgsql STRICT SECURITY DEFINER SET lock_timeout = '20ms' SET enable_seqscan = off AS $$
DECLARE
    most CONSTANT integer := 300;
    most_bytes CONSTANT bigint := 4 * 1024 * 1024;
    unfinished CONSTANT text := 'state IN (''received'', ''parked'') OR state = ''rejected''';
    over record;
    has_many boolean;
BEGIN
    moved := 0;
    LOCK TABLE prune_marks IN SHARE UPDATE EXCLUSIVE MODE;
    FOR over IN SELECT * FROM webhooks_parts_over(keep) LOOP
        part := 'kept';
        EXECUTE format('SELECT count(*) > %s OR coalesce(sum(octet_length(body)), 0) > %s
            FROM (SELECT body FROM %I WHERE %s LIMIT %s) AS each', most, most_bytes, over.name, unfinished, most + 1)
            INTO has_many;
        CONTINUE WHEN has_many;
        IF is_patient AND over.to_id <= uuidv7(-greatest(keep, interval '1 day') - interval '1 day') THEN
            LOCK TABLE ONLY webhook_deliveries IN ACCESS EXCLUSIVE MODE;
        ELSE
            LOCK TABLE ONLY webhook_deliveries IN ACCESS EXCLUSIVE MODE NOWAIT;
        END IF;
        EXECUTE format('LOCK TABLE ONLY webhook_deliveries_of_no_day, ONLY %I IN ACCESS EXCLUSIVE MODE NOWAIT', over.name);
        EXECUTE format('ALTER TABLE webhook_deliveries DETACH PARTITION %I', over.name);
        EXECUTE format('INSERT INTO webhook_deliveries SELECT * FROM %I WHERE %s', over.name, unfinished);
        GET DIAGNOSTICS moved = ROW_COUNT;
        EXECUTE format('DROP TABLE %I', over.name);
        part := over.name;
        RETURN;
    END LOOP;
EXCEPTION WHEN lock_not_available OR deadlock_detected OR undefined_table THEN
    part := 'locked';
    moved := 0;
END
$$;
