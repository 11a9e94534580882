-- What bounds a login role that somebody has taken over, and that no migration may set. Run it as a superuser, in each database
-- of the service, once this release runs everywhere (the release before takes advisory locks), with the two numbers at
-- the top as they fit. It may run again. Other programs that work in this database lose the same: PUBLIC is everybody; beside
-- another application see docs/database.md. Where DATABASE_ROLE_PREFIX is set: PGOPTIONS='-c checkout.role_prefix=PREFIX' psql …

DO $$
DECLARE
    -- In the whole cluster: roles belong to it, so all hosts and all databases there share these numbers. By the formula
    -- in docs/availability.md; `checkout doctor` compares them with max_connections and with what a host needs. Both together
    -- stay below max_connections without what is reserved, so that the web never keeps the workers out.
    connections_of_web CONSTANT integer := 50;
    connections_of_workers CONSTANT integer := 40;

    prefix text := coalesce(nullif(current_setting('checkout.role_prefix', true), ''), 'checkout');
    place text := current_database();
    open record;
    login text;
BEGIN
    -- No setting bounds the size of temporary tables. The import of the catalogue needs one.
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', place);
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', place, prefix || '_owner');
    -- Large objects have no bound at all. Advisory locks are taken until there is room for no other lock of anybody.
    FOR open IN
        SELECT oid::regprocedure AS function FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace
            AND (proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lowrite')
                OR proname ~ '^pg_(try_)?advisory_(xact_)?lock(_shared)?$')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', open.function);
    END LOOP;
    -- What a sort or a hash writes that does not fit into memory, for each connection.
    FOREACH login IN ARRAY ARRAY[prefix || '_web', prefix || '_worker'] LOOP
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET temp_file_limit = ''1GB''', login, place);
    END LOOP;
    EXECUTE format('ALTER ROLE %I CONNECTION LIMIT %s', prefix || '_web', connections_of_web);
    EXECUTE format('ALTER ROLE %I CONNECTION LIMIT %s', prefix || '_worker', connections_of_workers);
END
$$;
