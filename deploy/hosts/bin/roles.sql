-- Run by postgresql-roles, which gives it the passwords. No standby is there to wait for yet.
\getenv web CHECKOUT_WEB
\getenv worker CHECKOUT_WORKER
\getenv release CHECKOUT_RELEASE
\getenv replication CHECKOUT_REPLICATION
SET synchronous_commit = local;

CREATE ROLE checkout_replication LOGIN REPLICATION PASSWORD :'replication';
-- What pg_rewind reads.
GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
    pg_read_binary_file(text, bigint, bigint, boolean) TO checkout_replication;

-- It runs migrations, which make checkout_owner and give all other rights. How many connections each may have is set by
-- deploy/postgresql/bounds.sql.
CREATE ROLE checkout_release LOGIN CREATEROLE PASSWORD :'release';
CREATE ROLE checkout_web LOGIN PASSWORD :'web';
CREATE ROLE checkout_worker LOGIN PASSWORD :'worker';
CREATE DATABASE checkout OWNER checkout_release;

-- What HAProxy's check and the commands beside this file ask, in the database postgres: what the server is, and its
-- timeline, which grows with each promotion. It logs in without a password, so it may do nothing else, and not for long.
CREATE ROLE checkout_probe LOGIN CONNECTION LIMIT 60;
ALTER ROLE checkout_probe SET statement_timeout = '2s';
ALTER ROLE checkout_probe SET idle_session_timeout = '5s';
REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
CREATE FUNCTION checkout_probe() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
RETURN CASE
    WHEN pg_is_in_recovery() THEN 'standby'
    WHEN current_setting('default_transaction_read_only')::boolean THEN 'read-only'
    -- Nobody confirms where synchronous_standby_names is empty, either.
    WHEN EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum'))
        THEN 'primary-confirmed'
    ELSE 'primary-unconfirmed'
END || ' ' || CASE
    WHEN pg_is_in_recovery() THEN greatest(
        (SELECT timeline_id FROM pg_control_checkpoint()),
        (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
        (SELECT max(received_tli) FROM pg_stat_wal_receiver))
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer
END;
REVOKE ALL ON FUNCTION checkout_probe() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION checkout_probe() TO checkout_probe;
