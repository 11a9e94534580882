-- webhook_deliveries in parts by ranges of id, which are of time, where the owner chose so (flask webhooks partition). Before that
-- nothing here does anything. A part is named by the days from and to which it has ids: webhook_deliveries_20261207_20261214. What
-- was there before is one part, webhook_deliveries_before_20261207, and webhook_deliveries_of_no_day takes what belongs to none.

-- The parts of a time, oldest first, with their edges; before_days is of the one with what was there before.
CREATE FUNCTION webhooks_parts() RETURNS TABLE (name text, from_day date, to_day date, before_days boolean)
LANGUAGE sql STABLE AS $$
    SELECT part.relname::text, to_date(edges[1], 'YYYYMMDD'), to_date(edges[2], 'YYYYMMDD'), edges[1] IS NULL
    FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
    CROSS JOIN LATERAL regexp_match(part.relname, '^webhook_deliveries_(?:before|([0-9]{8}))_([0-9]{8})$') AS edges
    WHERE inhparent = to_regclass('webhook_deliveries') AND edges IS NOT NULL
    ORDER BY 3
$$;

CREATE FUNCTION webhooks_in_parts() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('webhook_deliveries') AND relkind = 'p')
$$;

-- Bounds on ids that are there for a time, of the whole table or of the part of no day, and the day from which they refuse rows.
CREATE FUNCTION webhooks_bounds() RETURNS TABLE (name text, of_table text, from_day date) LANGUAGE sql STABLE AS $$
    SELECT conname::text, relname::text, to_date(substring(conname FROM '[0-9]{8}'), 'YYYYMMDD')
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE (conrelid = to_regclass('webhook_deliveries') AND conname ~ '^webhook_deliveries_before_[0-9]{8}$')
        OR (conrelid = to_regclass('webhook_deliveries_of_no_day')
            AND conname ~ '^webhook_deliveries_not_[0-9]{8}_[0-9]{8}$')
$$;

-- Webhooks that were never tried, the next one due first, locked: of a table in parts. Each part has them in this order by its
-- index. Where the statistics say that there are few, the planner would sort all of them at each claim, and with a backlog there
-- are many.
CREATE FUNCTION webhooks_untried(own uuid, most integer) RETURNS TABLE (id uuid, part oid, place tid)
LANGUAGE plpgsql ROWS 10 SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT webhook.id, webhook.tableoid, webhook.ctid AS place FROM webhook_deliveries AS webhook
    WHERE webhook.state = 'received' AND webhook.attempts = 0 AND webhook.next_attempt_at < now() + interval '1 minute'
        AND webhook.id IS DISTINCT FROM own
    ORDER BY webhook.next_attempt_at LIMIT most
    FOR NO KEY UPDATE SKIP LOCKED;
END
$$;

-- Below which id rows in a final state are deleted one by one. All that were kept for so long; in parts, only those that no part
-- takes along: of before, of no day, and of parts that should have gone two days ago and could not.
CREATE FUNCTION webhooks_prunable_below(keep interval) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN webhooks_in_parts() THEN least(uuidv7(-keep), coalesce((
        SELECT edge FROM (
            SELECT CASE
                WHEN part.before_days OR uuid_of_day(part.to_day) <= uuidv7(-keep - interval '2 days')
                    THEN uuid_of_day(part.to_day)
                WHEN row_number() OVER (ORDER BY part.to_day) = 1 THEN uuid_of_day(part.from_day) END AS edge
            FROM webhooks_parts() AS part
        ) AS edges WHERE edge IS NOT NULL ORDER BY edge DESC LIMIT 1
    ), uuidv7(-keep))) ELSE uuidv7(-keep) END
$$;

-- Makes the next part that is not there until so many days ahead, as long as the last one: one a call, of two calls at once only
-- one. To attach it PostgreSQL reads the part of no day, which nobody may use meanwhile. Where that is small, so be it, and what
-- stands in it of those days moves. Where it is large, a bound says first that it has none of those days ('bound':
-- webhooks_validate_bound reads it then, beside everybody, and the next call makes the part). That bound would refuse webhooks,
-- so it is of days to come alone: days that have begun have no part then, and are counted in left_out. Returns 'made', 'bound', or
-- 'locked' where somebody is about to write there; none where all are there.
CREATE FUNCTION webhooks_make_part(ahead integer, OUT outcome text, OUT part text, OUT left_out integer)
LANGUAGE plpgsql STRICT SECURITY DEFINER SET lock_timeout = '200ms' AS $$
DECLARE
    most CONSTANT integer := 10000;
    most_bytes CONSTANT bigint := 32 * 1024 * 1024;
    until CONSTANT date := (now() AT TIME ZONE 'UTC')::date + least(greatest(ahead, 1), 60);
    near CONSTANT timestamp := now() AT TIME ZONE 'UTC' + interval '1 day';
    days integer;
    day date;
    range text;
    bound text;
    is_small boolean;
    is_bound boolean;
    strays integer;
BEGIN
    left_out := 0;
    IF NOT webhooks_in_parts() THEN
        RETURN;
    END IF;
    LOCK TABLE prune_marks IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT last.to_day, CASE WHEN last.before_days THEN 7 ELSE last.to_day - last.from_day END INTO day, days
    FROM webhooks_parts() AS last ORDER BY last.before_days, last.to_day DESC LIMIT 1;
    day := coalesce(day, (now() AT TIME ZONE 'UTC')::date);
    days := coalesce(days, 7);
    is_small := pg_relation_size('webhook_deliveries_of_no_day') <= most_bytes
        AND (SELECT count(*) FROM (SELECT FROM webhook_deliveries_of_no_day LIMIT most + 1) AS each) <= most;
    WHILE day <= until LOOP
        part := format('webhook_deliveries_%s_%s', to_char(day, 'YYYYMMDD'), to_char(day + days, 'YYYYMMDD'));
        bound := format('webhook_deliveries_not_%s_%s', to_char(day, 'YYYYMMDD'), to_char(day + days, 'YYYYMMDD'));
        range := format('id >= %L AND id < %L', uuid_of_day(day), uuid_of_day(day + days));
        EXECUTE format('SELECT count(*) FROM (SELECT FROM webhook_deliveries_of_no_day WHERE %s LIMIT 1) AS each', range)
            INTO strays;
        EXIT WHEN is_small OR day > near AND strays = 0;
        left_out := left_out + 1;
        day := day + days;
    END LOOP;
    IF day > until THEN
        part := NULL;
        RETURN;
    END IF;
    IF NOT is_small THEN
        SELECT convalidated INTO is_bound FROM pg_constraint
        WHERE conrelid = to_regclass('webhook_deliveries_of_no_day') AND conname = bound;
        IF is_bound IS DISTINCT FROM true THEN
            IF is_bound IS NULL THEN
                EXECUTE format('ALTER TABLE webhook_deliveries_of_no_day ADD CONSTRAINT %I CHECK (NOT (%s)) NOT VALID',
                    bound, range);
            END IF;
            outcome := 'bound';
            RETURN;
        END IF;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE webhook_deliveries INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
        WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05)', part);
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT of_its_days CHECK (%s)', part, range);
    IF strays > 0 THEN
        LOCK TABLE webhook_deliveries_of_no_day IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('WITH moved AS (DELETE FROM webhook_deliveries_of_no_day WHERE %s RETURNING *)
            INSERT INTO %I SELECT * FROM moved', range, part);
    END IF;
    EXECUTE format('ALTER TABLE webhook_deliveries ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        part, uuid_of_day(day), uuid_of_day(day + days));
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT of_its_days', part);
    EXECUTE format('ALTER TABLE webhook_deliveries_of_no_day DROP CONSTRAINT IF EXISTS %I', bound);
    outcome := 'made';
EXCEPTION WHEN lock_not_available OR deadlock_detected OR check_violation OR unique_violation OR duplicate_table
    OR duplicate_object OR undefined_table OR undefined_object THEN
    outcome := 'locked';
END
$$;

-- Reads the part of no day, which may be long, beside everybody who writes there. Returns whether its bounds hold now; the call is
-- a transaction of its own, or the lock that made the bound would go on.
CREATE FUNCTION webhooks_validate_bound() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '200ms' AS $$
DECLARE
    bound text;
BEGIN
    FOR bound IN SELECT conname FROM pg_constraint WHERE conrelid = to_regclass('webhook_deliveries_of_no_day')
        AND conname ~ '^webhook_deliveries_not_[0-9]{8}_[0-9]{8}$' AND NOT convalidated LOOP
        EXECUTE format('ALTER TABLE webhook_deliveries_of_no_day VALIDATE CONSTRAINT %I', bound);
    END LOOP;
    RETURN true;
EXCEPTION WHEN lock_not_available OR check_violation OR undefined_table OR undefined_object THEN
    RETURN false;
END
$$;

-- Detaches and drops the oldest part, if all of its days were kept for so long and it is not the last one. Rows of it that are not
-- final, or rejected and kept by a retention of their own, move to the part of no day; where they are many, the part stays and its
-- rows are pruned one by one. They are found by index: nobody may use the table meanwhile. Returns its name and what moved; none
-- where no part is due, 'locked' where somebody has it, 'kept' where too many rows are not final.
CREATE FUNCTION webhooks_drop_part(keep interval, OUT part text, OUT moved integer)
LANGUAGE plpgsql STRICT SECURITY DEFINER SET lock_timeout = '100ms' SET enable_seqscan = off AS $$
DECLARE
    most CONSTANT integer := 1000;
    unfinished CONSTANT text := 'state IN (''received'', ''parked'') OR state = ''rejected''';
    oldest text;
BEGIN
    moved := 0;
    LOCK TABLE prune_marks IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT due.name INTO oldest FROM webhooks_parts() AS due
    WHERE uuid_of_day(due.to_day) <= uuidv7(-greatest(keep, interval '1 day'))
        AND EXISTS (SELECT FROM webhooks_parts() AS later WHERE NOT later.before_days AND later.to_day > due.to_day)
    ORDER BY due.to_day LIMIT 1;
    IF oldest IS NULL THEN
        RETURN;
    END IF;
    -- Before anybody has to wait.
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %I WHERE %s LIMIT %s) AS each', oldest, unfinished, most + 1) INTO moved;
    IF moved > most THEN
        part := 'kept';
        moved := 0;
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE webhook_deliveries DETACH PARTITION %I', oldest);
    EXECUTE format('INSERT INTO webhook_deliveries SELECT * FROM %I WHERE %s', oldest, unfinished);
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format('DROP TABLE %I', oldest);
    part := oldest;
EXCEPTION WHEN lock_not_available OR deadlock_detected OR undefined_table THEN
    part := 'locked';
    moved := 0;
END
$$;

-- A conversion that was broken off leaves a bound on ids of a day to come, and one that makes a part may: each goes before its day
-- comes, or nothing could be inserted any more. Returns whether one went.
CREATE FUNCTION webhooks_drop_bound() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '100ms' AS $$
DECLARE
    bound record;
    gone boolean := false;
BEGIN
    FOR bound IN SELECT * FROM webhooks_bounds() AS each
        WHERE each.from_day < now() AT TIME ZONE 'UTC' + interval '12 hours' LOOP
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', bound.of_table, bound.name);
        gone := true;
    END LOOP;
    RETURN gone;
EXCEPTION WHEN lock_not_available OR deadlock_detected OR undefined_table OR undefined_object THEN
    RETURN false;
END
$$;

-- What the owner's command does last, in one transaction: the table becomes the first part of a new one with its name, its
-- indexes, bounds and rights. Nothing is read: the bound on its ids was validated before, and each index of the new table takes
-- the old one's for its own. Not by the login roles.
CREATE FUNCTION webhooks_turn_into_parts(days integer, ahead integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    bound text;
    bound_day date;
    each record;
    number integer;
    definitions text[];
BEGIN
    LOCK TABLE webhook_deliveries IN ACCESS EXCLUSIVE MODE;
    IF webhooks_in_parts() THEN
        RETURN NULL;
    END IF;
    SELECT ours.name, ours.from_day INTO bound, bound_day FROM webhooks_bounds() AS ours
    WHERE EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass('webhook_deliveries') AND conname = ours.name
        AND convalidated)
    ORDER BY ours.from_day DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the bound on the ids of webhook_deliveries is gone: run the command again';
    END IF;
    IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f'
            AND to_regclass('webhook_deliveries') IN (conrelid, confrelid))
        OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass('webhook_deliveries'))
        OR EXISTS (SELECT FROM pg_depend WHERE refobjid = to_regclass('webhook_deliveries') AND classid <> 'pg_class'::regclass
            AND classid NOT IN ('pg_constraint'::regclass, 'pg_attrdef'::regclass, 'pg_type'::regclass)) THEN
        RAISE EXCEPTION 'something that is not ours refers to webhook_deliveries: a key, a trigger, a view or a publication';
    END IF;
    -- Of a run that was broken off: it would go along.
    FOR each IN SELECT other.name FROM webhooks_bounds() AS other WHERE other.name <> bound LOOP
        EXECUTE format('ALTER TABLE webhook_deliveries DROP CONSTRAINT %I', each.name);
    END LOOP;
    SELECT array_agg(pg_get_indexdef(indexrelid) ORDER BY indexrelid) INTO definitions
    FROM pg_index WHERE indrelid = to_regclass('webhook_deliveries') AND NOT indisprimary;

    EXECUTE format('ALTER TABLE webhook_deliveries RENAME TO %I', bound);
    FOR each IN SELECT index.relname FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
        WHERE indrelid = bound::regclass LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', each.relname, each.relname || to_char(bound_day, '"_"YYYYMMDD'));
    END LOOP;
    EXECUTE format('CREATE TABLE webhook_deliveries (LIKE %I INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (id)', bound);
    EXECUTE format('ALTER TABLE webhook_deliveries DROP CONSTRAINT %I', bound);
    ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);
    FOR number IN 1 .. cardinality(definitions) LOOP
        EXECUTE definitions[number];
    END LOOP;
    FOR each IN
        WITH held AS (
            SELECT '' AS columns, rights.* FROM pg_class, aclexplode(relacl) AS rights
            WHERE oid = bound::regclass AND rights.grantee <> relowner
            UNION ALL
            SELECT format('(%I)', attname), rights.* FROM pg_attribute, aclexplode(attacl) AS rights
            WHERE attrelid = bound::regclass AND NOT attisdropped
        )
        SELECT format('GRANT %s %s ON webhook_deliveries TO %s%s', privilege_type, columns, role,
                CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END) AS to_new,
            format('REVOKE %s %s ON %I FROM %s CASCADE', privilege_type, columns, bound, role) AS from_old
        FROM held CROSS JOIN LATERAL (SELECT coalesce(
            (SELECT format('%I', rolname) FROM pg_roles WHERE oid = held.grantee), 'PUBLIC') AS role) AS named
    LOOP
        EXECUTE each.to_new;
        EXECUTE each.from_old;
    END LOOP;

    SELECT count(*) INTO number FROM pg_index WHERE indrelid = bound::regclass;
    EXECUTE format('ALTER TABLE webhook_deliveries ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', bound,
        uuid_of_day(bound_day));
    IF number <> (SELECT count(*) FROM pg_index WHERE indrelid = bound::regclass) THEN
        RAISE EXCEPTION 'an index of webhook_deliveries would have to be built anew';
    END IF;
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', bound, bound);
    EXECUTE format('CREATE TABLE %I PARTITION OF webhook_deliveries FOR VALUES FROM (%L) TO (%L)
        WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05)',
        format('webhook_deliveries_%s_%s', to_char(bound_day, 'YYYYMMDD'), to_char(bound_day + days, 'YYYYMMDD')),
        uuid_of_day(bound_day), uuid_of_day(bound_day + days));
    CREATE TABLE webhook_deliveries_of_no_day PARTITION OF webhook_deliveries DEFAULT
        WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
    LOOP
        EXIT WHEN (SELECT outcome FROM webhooks_make_part(ahead)) IS DISTINCT FROM 'made';
    END LOOP;
    RETURN bound;
END
$$;

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['webhooks_make_part(integer)', 'webhooks_validate_bound()', 'webhooks_drop_part(interval)',
        'webhooks_drop_bound()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO checkout_worker', owned);
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION webhooks_turn_into_parts(integer, integer) FROM PUBLIC;
