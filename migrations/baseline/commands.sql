-- Operator commands: the audit of what operators asked for, and how far the worker is with each command.

CREATE TABLE audit (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT audit_pkey PRIMARY KEY,
    -- Made when the form was shown, so that a form that is sent twice is one command.
    key uuid NOT NULL,
    operator text NOT NULL CONSTRAINT audit_operator_length CHECK (operator <> '' AND length(operator) <= 200),
    action text NOT NULL CONSTRAINT audit_action_known
        CHECK (action IN ('process', 'process_all', 'stop', 'look_up', 'review')),
    subject text NOT NULL,
    why text NOT NULL CONSTRAINT audit_why_length CHECK (length(why) <= 2000),
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX audit_key ON audit (key);
CREATE INDEX audit_subject ON audit (subject, id);
-- The commands that the worker carries out.
CREATE INDEX audit_worker_actions ON audit (id) WHERE action IN ('process_all', 'look_up', 'review');

-- An audit that can be changed is none: not even the owner of the tables may.
CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was asked for is never changed nor taken back' USING ERRCODE = 'check_violation';
END
$$;

CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_guard();

-- The web tier names neither id nor time: both are the database's.
GRANT SELECT, INSERT (key, operator, action, subject, why, details) ON audit TO checkout_web;
GRANT SELECT ON audit TO checkout_worker;


-- How far the worker is with the command of the same id, so that another process can go on after a crash.
CREATE TABLE command_runs (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT command_runs_pkey PRIMARY KEY
        CONSTRAINT command_runs_id_fkey REFERENCES audit (id),
    state text DEFAULT 'running' NOT NULL CONSTRAINT command_runs_state_known
        CHECK (state IN ('running', 'done', 'stopped', 'stalled', 'refused')),
    leased_until timestamptz DEFAULT now() NOT NULL,
    -- Only webhooks that were received before the command was given are replayed.
    until_at timestamptz NOT NULL,
    -- The last webhook that was taken, by received_at and id.
    after_at timestamptz,
    after_id uuid,
    -- How many webhooks were handed to the worker again, and the states in which they ended.
    replayed integer DEFAULT 0 NOT NULL,
    results jsonb DEFAULT '{}'::jsonb NOT NULL,
    message text,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE INDEX command_runs_running ON command_runs (leased_until) WHERE state = 'running';

GRANT SELECT ON command_runs TO checkout_web;
GRANT SELECT, INSERT, UPDATE ON command_runs TO checkout_worker;
