-- Keys of programs. A key itself is nowhere: what is kept is its SHA-256. A password needs a slow hash, since there are so
-- few that people choose; a key is 256 random bits, which nobody finds by trying, however fast each try is.
CREATE TABLE api_keys (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT api_keys_pkey PRIMARY KEY,
    name text DEFAULT '' NOT NULL CONSTRAINT api_keys_name_length CHECK (length(name) <= 200),
    prefix text NOT NULL CONSTRAINT api_keys_prefix_form CHECK (prefix ~ '^csk_[0-9A-Za-z]{8}$'),
    hash bytea NOT NULL CONSTRAINT api_keys_hash_length CHECK (octet_length(hash) = 32),
    scopes text[] NOT NULL CONSTRAINT api_keys_some_scopes CHECK (cardinality(scopes) BETWEEN 1 AND 50),
    created_by text NOT NULL CONSTRAINT api_keys_created_by_length CHECK (length(created_by) BETWEEN 1 AND 200),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
CREATE UNIQUE INDEX api_keys_prefix ON api_keys (prefix);

-- A key is never another one, and one that was revoked stays so, whoever writes.
CREATE FUNCTION api_keys_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.prefix, NEW.hash, NEW.scopes, NEW.created_by, NEW.expires_at, NEW.created_at)
            IS DISTINCT FROM (OLD.id, OLD.prefix, OLD.hash, OLD.scopes, OLD.created_by, OLD.expires_at, OLD.created_at)
            OR OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN
        RAISE EXCEPTION 'API key % keeps what it is, and stays revoked', OLD.prefix
            USING ERRCODE = 'check_violation', CONSTRAINT = 'api_keys_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER api_keys_guard BEFORE UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION api_keys_guard();

-- Only the owner makes keys and revokes them: a web tier that was taken over makes itself none. Workers need none.
GRANT SELECT, UPDATE (last_used_at) ON api_keys TO checkout_web;

ALTER TABLE audit DROP CONSTRAINT audit_action_known, ADD CONSTRAINT audit_action_known CHECK (
    action IN ('process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture', 'erase', 'take_over',
        'create_key', 'revoke_key'));
