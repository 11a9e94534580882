-- Operator commands: the audit of what operators asked for, how far the worker is with each, and the results.

CREATE TABLE audit (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT audit_pkey PRIMARY KEY,
    -- Made when the form was shown, or the id of the task that Flower sent: what comes twice is one command.
    key uuid NOT NULL,
    door text NOT NULL CONSTRAINT audit_door_known CHECK (door IN ('console', 'cli', 'flower', 'api')),
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

-- An audit that can be changed is none: not even the owner of the tables may.
CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an operator command is never changed nor taken back' USING ERRCODE = 'check_violation';
END
$$;

CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_guard();

-- Nobody names id or time: both are the database's. The worker writes down what comes through Flower.
GRANT SELECT, INSERT (key, door, operator, action, subject, why, details) ON audit TO checkout_web;
GRANT SELECT, INSERT (key, door, operator, action, subject, why) ON audit TO checkout_worker;


-- How far the worker is with the command of the same id, so that another process can go on after a crash.
CREATE TABLE command_runs (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT command_runs_pkey PRIMARY KEY
        CONSTRAINT command_runs_id_fkey REFERENCES audit (id),
    state text DEFAULT 'waiting' NOT NULL CONSTRAINT command_runs_state_known
        CHECK (state IN ('waiting', 'running', 'done', 'stopped', 'refused')),
    leased_until timestamptz DEFAULT now() NOT NULL,
    -- The last webhook that a replay took. Ids are in the order of time, and those up to it are not taken again. No
    -- webhook is taken whose id is above the command's: it came later.
    after_id uuid,
    -- How many webhooks were taken, and whether none is left.
    replayed integer DEFAULT 0 NOT NULL,
    all_taken boolean DEFAULT false NOT NULL,
    message text,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE INDEX command_runs_open ON command_runs (leased_until) WHERE state IN ('waiting', 'running');

-- The web tier begins a run with its command, in one statement; from then on it is the worker's.
GRANT SELECT, INSERT (id) ON command_runs TO checkout_web;
GRANT SELECT, INSERT, UPDATE ON command_runs TO checkout_worker;


-- How many webhooks of a replay ended in which state. Apart from the run, whose row the claims of a replay lock: there
-- those who write results would wait for those who claim.
CREATE TABLE command_results (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT command_results_pkey PRIMARY KEY,
    command_id uuid NOT NULL CONSTRAINT command_results_command_id_fkey REFERENCES command_runs (id),
    state text NOT NULL,
    count integer NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX command_results_command_id_state ON command_results (command_id, state);

GRANT SELECT ON command_results TO checkout_web;
GRANT SELECT, INSERT, UPDATE ON command_results TO checkout_worker;
