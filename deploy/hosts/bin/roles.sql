-- Once on the first primary, as the user postgres, with psql --set=web=… --set=worker=… --set=release=… --set=replication=…,
-- the passwords that stand in /etc/checkout. No standby is there to wait for yet.
SET synchronous_commit = local;

CREATE ROLE checkout_replication LOGIN REPLICATION PASSWORD :'replication';
-- What pg_rewind reads.
GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
    pg_read_binary_file(text, bigint, bigint, boolean) TO checkout_replication;

-- It runs migrations, which make checkout_owner and give all other rights.
CREATE ROLE checkout_release LOGIN CREATEROLE PASSWORD :'release';
CREATE ROLE checkout_web LOGIN PASSWORD :'web' CONNECTION LIMIT 80;
CREATE ROLE checkout_worker LOGIN PASSWORD :'worker' CONNECTION LIMIT 80;
CREATE DATABASE checkout OWNER checkout_release;

-- What HAProxy's check asks, in the database postgres.
CREATE ROLE checkout_probe LOGIN CONNECTION LIMIT 40;
CREATE FUNCTION checkout_probe() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
RETURN CASE
    WHEN pg_is_in_recovery() THEN 'standby'
    WHEN current_setting('default_transaction_read_only')::boolean THEN 'read-only'
    WHEN current_setting('synchronous_standby_names') = '' THEN 'primary-confirmed'
    WHEN EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum'))
        THEN 'primary-confirmed'
    ELSE 'primary-unconfirmed'
END;
REVOKE ALL ON FUNCTION checkout_probe() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION checkout_probe() TO checkout_probe;
