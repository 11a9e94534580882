-- How far each kind of pruning is, so that a run does not look again at what the runs before deleted: while somebody holds an old
-- snapshot, those rows stay where they were. A mark is written once a run, and is a saving alone: whatever stands behind it is
-- found by the run that begins from nothing, once a day.

CREATE TABLE prune_marks (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT prune_marks_pkey PRIMARY KEY,
    kind text NOT NULL,
    after_id uuid NOT NULL,
    began_at timestamptz DEFAULT now() NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);
CREATE UNIQUE INDEX prune_marks_kind ON prune_marks (kind);

GRANT SELECT, INSERT (kind, after_id, began_at), UPDATE (after_id, began_at, updated_at) ON prune_marks TO checkout_worker;
