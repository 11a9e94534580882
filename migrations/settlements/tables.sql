-- Settled money: what providers and banks report, what it is made of, and what of ours it is matched with. Written by the role
-- checkout_settlements alone, for commands that end. Amounts are in the major unit, exact, signed as they move the balance.

CREATE TYPE settlement_file_state AS ENUM ('held', 'entered', 'superseded', 'dismissed');
CREATE TYPE payout_status AS ENUM ('pending', 'in_transit', 'paid', 'canceled', 'failed');
CREATE TYPE payout_state AS ENUM ('open', 'unmatched', 'reconciled', 'by_balance', 'not_paid');
CREATE TYPE balance_entry_kind AS ENUM (
    'capture', 'release', 'refund', 'refund_failure', 'dispute', 'dispute_reversal', 'fee', 'reserve', 'conversion', 'transfer',
    'adjustment', 'rounding', 'payout', 'payout_reversal', 'bank', 'unknown');
CREATE TYPE settlement_subject AS ENUM ('none', 'capture', 'refund', 'dispute');
CREATE TYPE settlement_match_state AS ENUM (
    'matched', 'differs', 'unknown_here', 'missing_there', 'unowned_fee', 'withdrawn', 'proposed', 'not_ours');

-- A file, or what was fetched in its place. What it says never changes; a held one is entered, superseded or dismissed later.
CREATE TABLE settlement_files (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT settlement_files_pkey PRIMARY KEY,
    provider text NOT NULL,
    account text DEFAULT '' NOT NULL,
    name text NOT NULL,
    sha256 bytea NOT NULL CONSTRAINT settlement_files_sha256_length CHECK (length(sha256) = 32),
    form text NOT NULL,
    columns text[] DEFAULT '{}' NOT NULL,
    rows integer NOT NULL CONSTRAINT settlement_files_rows_not_negative CHECK (rows >= 0),
    payouts jsonb DEFAULT '[]' NOT NULL,
    sections jsonb DEFAULT '[]' NOT NULL,
    faults text[] DEFAULT '{}' NOT NULL,
    residues jsonb DEFAULT '[]' NOT NULL,
    state settlement_file_state NOT NULL,
    entered_at timestamptz,
    accepted_by text,
    accepted_why text,
    dismissed_by text,
    dismissed_why text,
    resolved_by uuid CONSTRAINT settlement_files_resolved_by_fkey REFERENCES settlement_files (id),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT settlement_files_entered CHECK ((state = 'entered') = (entered_at IS NOT NULL)),
    CONSTRAINT settlement_files_accepted CHECK (num_nulls(accepted_by, accepted_why) IN (0, 2)),
    CONSTRAINT settlement_files_dismissed CHECK ((state = 'dismissed') = (dismissed_by IS NOT NULL)),
    CONSTRAINT settlement_files_dismissed_with_why CHECK (num_nulls(dismissed_by, dismissed_why) IN (0, 2))
);
CREATE UNIQUE INDEX settlement_files_provider_account_sha256 ON settlement_files (provider, account, sha256);
CREATE INDEX settlement_files_provider_name ON settlement_files (provider, name);
CREATE INDEX settlement_files_held ON settlement_files (created_at) WHERE state = 'held';

-- Lines of files that are not entered: those of this moment, and those of files that are held or were dismissed. They leave when
-- they are entered.
CREATE TABLE settlement_lines (
    -- No foreign key: the row of the file is written after its lines, once they say what it is, in the same transaction.
    file_id uuid NOT NULL,
    line integer NOT NULL,
    account text NOT NULL,
    section text NOT NULL,
    entry_ref text NOT NULL,
    is_made boolean NOT NULL,
    kind balance_entry_kind NOT NULL,
    provider_type text NOT NULL,
    gross numeric NOT NULL,
    fee numeric NOT NULL,
    net numeric NOT NULL,
    currency char(3) NOT NULL,
    customer_amount numeric,
    customer_currency char(3),
    rate numeric,
    occurred_at timestamptz NOT NULL,
    occurred_local text NOT NULL,
    available_on date,
    payout_ref text NOT NULL,
    about settlement_subject NOT NULL,
    subject_ref text NOT NULL,
    payment_ref text NOT NULL,
    merchant_ref text NOT NULL,
    description text NOT NULL,
    CONSTRAINT settlement_lines_pkey PRIMARY KEY (file_id, line)
);

-- A payout, by the provider's name for it. status is the provider's word and only moves on; state is how far we are.
CREATE TABLE payouts (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT payouts_pkey PRIMARY KEY,
    provider text NOT NULL,
    account text DEFAULT '' NOT NULL,
    payout_ref text NOT NULL CONSTRAINT payouts_ref_not_empty CHECK (payout_ref <> ''),
    amount numeric NOT NULL CONSTRAINT payouts_amount_finite CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    currency char(3) NOT NULL,
    status payout_status NOT NULL,
    state payout_state DEFAULT 'open' NOT NULL,
    itemized boolean NOT NULL,
    issued_at timestamptz,
    arrival_on date,
    bank_reference text DEFAULT '' NOT NULL,
    descriptor text DEFAULT '' NOT NULL,
    failed_at timestamptz,
    failure_code text DEFAULT '' NOT NULL,
    original_ref text DEFAULT '' NOT NULL,
    entries integer DEFAULT 0 NOT NULL,
    gross numeric DEFAULT 0 NOT NULL,
    fee numeric DEFAULT 0 NOT NULL,
    net numeric DEFAULT 0 NOT NULL,
    exceptions integer DEFAULT 0 NOT NULL,
    amount_at_bank numeric,
    reconciled_at timestamptz,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);
CREATE UNIQUE INDEX payouts_provider_account_payout_ref ON payouts (provider, account, payout_ref);
CREATE INDEX payouts_arrival_on ON payouts (arrival_on, id);
CREATE INDEX payouts_state ON payouts (state, id) WHERE state IN ('open', 'unmatched');
CREATE INDEX payouts_amount_currency ON payouts (amount, currency);
-- By the first word, which a bank shows of it, and so by all of it as well.
CREATE INDEX payouts_bank_reference ON payouts (split_part(bank_reference, ' ', 1), id) WHERE bank_reference <> '';

-- One movement of money. Never changed but that its payout becomes known, and that a file which was issued again has it no more.
CREATE TABLE balance_entries (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT balance_entries_pkey PRIMARY KEY,
    provider text NOT NULL,
    account text NOT NULL,
    section text NOT NULL,
    entry_ref text NOT NULL CONSTRAINT balance_entries_ref_not_empty CHECK (entry_ref <> ''),
    kind balance_entry_kind NOT NULL,
    provider_type text NOT NULL,
    gross numeric NOT NULL,
    fee numeric NOT NULL,
    net numeric NOT NULL CONSTRAINT balance_entries_net CHECK (net = gross - fee),
    currency char(3) NOT NULL,
    customer_amount numeric,
    customer_currency char(3),
    rate numeric,
    occurred_at timestamptz NOT NULL,
    occurred_local text NOT NULL,
    available_on date,
    payout_id uuid CONSTRAINT balance_entries_payout_id_fkey REFERENCES payouts (id),
    payout_ref text NOT NULL,
    about settlement_subject NOT NULL,
    subject_ref text NOT NULL,
    payment_ref text NOT NULL,
    merchant_ref text NOT NULL,
    description text NOT NULL,
    file_id uuid NOT NULL CONSTRAINT balance_entries_file_id_fkey REFERENCES settlement_files (id),
    line integer NOT NULL,
    withdrawn_by uuid CONSTRAINT balance_entries_withdrawn_by_fkey REFERENCES settlement_files (id),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);
CREATE UNIQUE INDEX balance_entries_provider_account_entry_ref ON balance_entries (provider, account, entry_ref)
    WHERE withdrawn_by IS NULL;
CREATE INDEX balance_entries_payout_id ON balance_entries (payout_id, id) WHERE payout_id IS NOT NULL;
CREATE INDEX balance_entries_waits_for_payout ON balance_entries (provider, account, payout_ref)
    WHERE payout_id IS NULL AND payout_ref <> '';
CREATE INDEX balance_entries_section ON balance_entries (provider, account, section);
CREATE INDEX balance_entries_subject_ref ON balance_entries (provider, subject_ref) WHERE subject_ref <> '';
CREATE INDEX balance_entries_payment_ref ON balance_entries (provider, payment_ref) WHERE payment_ref <> '';
CREATE INDEX balance_entries_occurred_at ON balance_entries (occurred_at, id);
CREATE INDEX balance_entries_withdrawn_by ON balance_entries (withdrawn_by) WHERE withdrawn_by IS NOT NULL;

-- What came of an entry, or of something of ours that no entry tells of. One that is undone stays; another one may take its place.
-- What it points at in other rooms has no foreign key: its check would lock, and so write, a row of a customer's payment each time.
CREATE TABLE settlement_matches (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT settlement_matches_pkey PRIMARY KEY,
    provider text NOT NULL,
    account text NOT NULL,
    entry_id uuid CONSTRAINT settlement_matches_entry_id_fkey REFERENCES balance_entries (id),
    payout_id uuid CONSTRAINT settlement_matches_payout_id_fkey REFERENCES payouts (id),
    subject settlement_subject DEFAULT 'none' NOT NULL,
    subject_id uuid,
    payment_id uuid,
    state settlement_match_state NOT NULL,
    amount numeric,
    currency char(3),
    amount_here numeric,
    currency_here char(3),
    differs text[] DEFAULT '{}' NOT NULL,
    detail text DEFAULT '' NOT NULL,
    file_id uuid CONSTRAINT settlement_matches_file_id_fkey REFERENCES settlement_files (id),
    made_by text,
    made_why text,
    resolved_at timestamptz,
    resolved_by text,
    resolved_why text,
    undone_at timestamptz,
    undone_by text,
    undone_why text,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT settlement_matches_about_something CHECK (entry_id IS NOT NULL OR subject_id IS NOT NULL OR payout_id IS NOT NULL),
    CONSTRAINT settlement_matches_resolved CHECK (num_nulls(resolved_at, resolved_by, resolved_why) IN (0, 3)),
    CONSTRAINT settlement_matches_undone CHECK (num_nulls(undone_at, undone_why) IN (0, 2))
);
CREATE UNIQUE INDEX settlement_matches_entry_id_payout_id ON settlement_matches (entry_id, payout_id) NULLS NOT DISTINCT
    WHERE undone_at IS NULL AND entry_id IS NOT NULL;
CREATE UNIQUE INDEX settlement_matches_missing ON settlement_matches (subject, subject_id, payout_id) NULLS NOT DISTINCT
    WHERE undone_at IS NULL AND entry_id IS NULL;
-- All that was ever said of an entry, also what was undone.
CREATE INDEX settlement_matches_entry_id ON settlement_matches (entry_id) WHERE entry_id IS NOT NULL;
CREATE INDEX settlement_matches_subject_id ON settlement_matches (subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX settlement_matches_payout_id ON settlement_matches (payout_id) WHERE payout_id IS NOT NULL;
CREATE INDEX settlement_matches_payment_id ON settlement_matches (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX settlement_matches_open ON settlement_matches (state, id)
    WHERE undone_at IS NULL AND resolved_at IS NULL AND state <> ALL ('{matched,not_ours}'::settlement_match_state[]);

-- An account at a provider, or at a bank, of which something was entered: how far it was fetched, and since when we look at it.
CREATE TABLE settlement_accounts (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT settlement_accounts_pkey PRIMARY KEY,
    provider text NOT NULL,
    account text NOT NULL,
    first_entry_at timestamptz,
    cursor text,
    fetched_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);
CREATE UNIQUE INDEX settlement_accounts_provider_account ON settlement_accounts (provider, account);
