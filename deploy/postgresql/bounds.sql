-- What bounds a login role that somebody has taken over, and that no migration may set. Run it as a superuser, in each database
-- of the service, once this release runs everywhere (the release before takes advisory locks), with the two numbers at
-- the end as they fit. It may run again. Other programs that work in this database lose the same: PUBLIC is everybody.

DO $$
DECLARE
    place text := current_database();
    open record;
    login text;
BEGIN
    -- No setting bounds the size of temporary tables. The import of the catalogue needs one.
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', place);
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO checkout_owner', place);
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
    FOREACH login IN ARRAY ARRAY['checkout_web', 'checkout_worker'] LOOP
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET temp_file_limit = ''1GB''', login, place);
    END LOOP;
END
$$;

-- In the whole cluster. A web process has WEB_THREADS + 4 connections at most, each process of a worker 3; while a release is
-- rolled out there are both. What is left below max_connections is for the owner and for you.
ALTER ROLE checkout_web CONNECTION LIMIT 60;
ALTER ROLE checkout_worker CONNECTION LIMIT 30;
