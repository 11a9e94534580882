-- What the role of settlements may not do to settled money, though it writes it: change what was said, or take back what it did.

-- A file says what it says. One that is held is entered, superseded or dismissed, once; until then it may be read again, by a reader
-- that knows more. One that was dismissed may be held again.
CREATE FUNCTION settlement_files_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'held' AND (OLD.state, NEW.state) <> ('dismissed', 'held') THEN
        RAISE EXCEPTION 'settlement file % is % and is not changed', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'settlement_files_state_order';
    END IF;
    IF (NEW.id, NEW.provider, NEW.account, NEW.name, NEW.sha256)
            IS DISTINCT FROM (OLD.id, OLD.provider, OLD.account, OLD.name, OLD.sha256)
        OR (OLD.state, NEW.state) <> ('held', 'held') AND (NEW.form, NEW.columns, NEW.rows, NEW.payouts, NEW.sections, NEW.faults)
            IS DISTINCT FROM (OLD.form, OLD.columns, OLD.rows, OLD.payouts, OLD.sections, OLD.faults) THEN
        RAISE EXCEPTION 'settlement file % keeps what it says', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'settlement_files_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER settlement_files_guard BEFORE UPDATE ON settlement_files
FOR EACH ROW EXECUTE FUNCTION settlement_files_guard();


-- The provider's word of a payout only moves on, and it stays the same payout.
CREATE FUNCTION payouts_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status THEN
        RAISE EXCEPTION 'payout % cannot go back from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payouts_status_order';
    END IF;
    IF (NEW.id, NEW.provider, NEW.account, NEW.payout_ref, NEW.currency, greatest(NEW.version, OLD.version))
        IS DISTINCT FROM (OLD.id, OLD.provider, OLD.account, OLD.payout_ref, OLD.currency, NEW.version) THEN
        RAISE EXCEPTION 'payout % keeps its name and currency', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payouts_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER payouts_guard BEFORE UPDATE ON payouts FOR EACH ROW EXECUTE FUNCTION payouts_guard();


-- A movement of money is what it is: its payout becomes known once, and it is withdrawn once. The part of a file that lists it
-- may be another one later.
CREATE FUNCTION balance_entries_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(OLD.payout_id, NEW.payout_id) IS DISTINCT FROM NEW.payout_id
        OR coalesce(nullif(OLD.payout_ref, ''), NEW.payout_ref) <> NEW.payout_ref THEN
        RAISE EXCEPTION 'entry % keeps its payout', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'balance_entries_payout_once';
    END IF;
    IF coalesce(OLD.withdrawn_by, NEW.withdrawn_by) IS DISTINCT FROM NEW.withdrawn_by THEN
        RAISE EXCEPTION 'entry % is withdrawn for good', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'balance_entries_withdrawn_once';
    END IF;
    OLD.payout_id := NEW.payout_id;
    OLD.payout_ref := NEW.payout_ref;
    OLD.section := NEW.section;
    OLD.withdrawn_by := NEW.withdrawn_by;
    OLD.updated_at := NEW.updated_at;
    IF NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'entry % keeps what it says', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'balance_entries_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER balance_entries_guard BEFORE UPDATE ON balance_entries
FOR EACH ROW EXECUTE FUNCTION balance_entries_guard();


-- What came of an entry is settled once, and undone once. Another row takes its place.
CREATE FUNCTION settlement_matches_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.undone_at IS NOT NULL THEN
        RAISE EXCEPTION 'match % is undone and is not changed', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'settlement_matches_undone_once';
    END IF;
    IF OLD.resolved_at IS NOT NULL AND (NEW.resolved_at, NEW.resolved_by, NEW.resolved_why)
        IS DISTINCT FROM (OLD.resolved_at, OLD.resolved_by, OLD.resolved_why) THEN
        RAISE EXCEPTION 'match % is settled and stays so', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'settlement_matches_resolved_once';
    END IF;
    OLD.resolved_at := NEW.resolved_at;
    OLD.resolved_by := NEW.resolved_by;
    OLD.resolved_why := NEW.resolved_why;
    OLD.undone_at := NEW.undone_at;
    OLD.undone_by := NEW.undone_by;
    OLD.undone_why := NEW.undone_why;
    OLD.updated_at := NEW.updated_at;
    IF NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'match % keeps what it says', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'settlement_matches_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER settlement_matches_guard BEFORE UPDATE ON settlement_matches
FOR EACH ROW EXECUTE FUNCTION settlement_matches_guard();


-- What came before the first entry is never missing there: that moment only becomes an earlier one.
CREATE FUNCTION settlement_accounts_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.provider, NEW.account, least(OLD.first_entry_at, NEW.first_entry_at))
        IS DISTINCT FROM (OLD.id, OLD.provider, OLD.account, NEW.first_entry_at) THEN
        RAISE EXCEPTION 'account % keeps its name and its first entry', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'settlement_accounts_fixed_columns';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER settlement_accounts_guard BEFORE UPDATE ON settlement_accounts
FOR EACH ROW EXECUTE FUNCTION settlement_accounts_guard();
