-- The log: what happened, as events for the shop. An event is written by the owner's functions in the transaction that moves
-- its object, and gets its number (seq) after the commit (sequencer.sql). No login role may write any of it.

-- Keys are uuidv7, and partitions are days of them: a day is dropped, never deleted row by row. What belongs to no day that was
-- made ready stands in the default partition, so no money waits for housekeeping.
CREATE TABLE events (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT events_pkey PRIMARY KEY,
    type text NOT NULL,
    object_type text NOT NULL,
    object_id uuid NOT NULL,
    version integer NOT NULL,
    -- What is delivered in order: the payment of all that belongs to one; else the object itself.
    lane uuid NOT NULL,
    -- The object as lists show it, at that version, as JSON. Never rendered again; as text, since json is read when it is written.
    body text NOT NULL,
    -- Of the API, in which the body is rendered: the default is that of the functions that render.
    api_version text DEFAULT '1' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL
) PARTITION BY RANGE (id);

CREATE INDEX events_lane ON events (lane);

CREATE TABLE events_of_no_day PARTITION OF events DEFAULT;

-- Events that were committed and have no number, a row for each transaction; a place for each in every array, in the order in
-- which they were written. place follows the order of commits within a lane, since a lane's object is locked to the commit.
CREATE TABLE unsequenced_events (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT unsequenced_events_pkey PRIMARY KEY,
    place bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    events uuid[] NOT NULL,
    types text[] NOT NULL,
    objects uuid[] NOT NULL,
    lanes uuid[] NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX unsequenced_events_place ON unsequenced_events (place);

-- The numbers. day grows with seq: an ordered read is by (day, seq).
CREATE TABLE event_numbers (
    seq bigint NOT NULL,
    day date NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    object_id uuid NOT NULL,
    lane uuid NOT NULL,
    -- What the order is called, where the event's body was written before that was known.
    order_number text,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT event_numbers_pkey PRIMARY KEY (seq, day)
) PARTITION BY RANGE (day);

-- An event by its id, or an object's. Ids grow too, so that rows are put at the index's end.
CREATE INDEX event_numbers_event_id ON event_numbers (event_id);

CREATE TABLE event_numbers_of_no_day PARTITION OF event_numbers DEFAULT;

-- One row, made with the first number: the last number that was given, its day and its event, and the number up to which nothing is
-- kept any more. The event tells this log from another one that has given as many numbers.
CREATE TABLE event_series (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT event_series_pkey PRIMARY KEY,
    last_seq bigint DEFAULT 0 NOT NULL,
    day date DEFAULT '-infinity' NOT NULL,
    last_event_id uuid NOT NULL,
    dropped_seq bigint DEFAULT 0 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX event_series_one ON event_series ((true));

-- The first number of each day on which one was given, and of each type the last one.
CREATE TABLE event_days (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT event_days_pkey PRIMARY KEY,
    day date NOT NULL,
    first_seq bigint NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX event_days_day ON event_days (day);

CREATE TABLE event_types (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT event_types_pkey PRIMARY KEY,
    type text NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX event_types_type ON event_types (type);

-- Events that depend on a date, each once: evidence that is due, authorizations that end, stock that runs out.
CREATE TABLE event_dues (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT event_dues_pkey PRIMARY KEY,
    type text NOT NULL,
    object_id uuid NOT NULL,
    due timestamptz NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX event_dues_type_object_id_due ON event_dues (type, object_id, due);

GRANT SELECT ON events, unsequenced_events, event_numbers, event_series, event_days, event_types, event_dues
TO checkout_web, checkout_worker;
