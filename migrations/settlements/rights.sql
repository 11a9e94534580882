-- One role writes settled money, by commands that end; web and console read it; the worker has nothing to do with it.

GRANT SELECT ON settlement_files, settlement_lines, payouts, balance_entries, settlement_matches, settlement_accounts
TO checkout_web, checkout_settlements;
GRANT INSERT ON settlement_files, settlement_lines, payouts, balance_entries, settlement_matches, settlement_accounts
TO checkout_settlements;
GRANT UPDATE (form, columns, rows, payouts, sections, faults, residues, state, entered_at, accepted_by, accepted_why, dismissed_by,
    dismissed_why, resolved_by, updated_at) ON settlement_files TO checkout_settlements;
GRANT UPDATE (status, state, amount, itemized, issued_at, arrival_on, bank_reference, descriptor, failed_at, failure_code, original_ref,
    entries, gross, fee, net, exceptions, amount_at_bank, reconciled_at, version, updated_at) ON payouts TO checkout_settlements;
GRANT UPDATE (payout_id, payout_ref, section, withdrawn_by, updated_at) ON balance_entries TO checkout_settlements;
GRANT UPDATE (resolved_at, resolved_by, resolved_why, undone_at, undone_by, undone_why, updated_at) ON settlement_matches
TO checkout_settlements;
GRANT UPDATE (cursor, first_entry_at, fetched_at, updated_at) ON settlement_accounts TO checkout_settlements;
-- Equal rows without a name of their own are numbered there, before any is an entry; what was known of an entry goes into its next
-- version; and lines that were read again become those of their file.
GRANT UPDATE (file_id, section, entry_ref, kind, payout_ref, subject_ref, payment_ref, customer_amount, customer_currency), DELETE
ON settlement_lines TO checkout_settlements;
-- Planned by what was put there a moment ago; and whoever changes settled money locks settlement_accounts first, so that
-- one does at a time. An advisory lock may be held by whoever can connect.
GRANT MAINTAIN ON settlement_lines, payouts, balance_entries, settlement_matches, settlement_accounts TO checkout_settlements;

-- What persons do about settled money is written down with it.
GRANT INSERT (key, door, operator, action, subject, why, details) ON audit TO checkout_settlements;

-- What lines are matched with: names, amounts and states. Nothing of a customer.
GRANT SELECT (id, provider, provider_ref, status, amount, currency, created_at) ON payments TO checkout_settlements;
GRANT SELECT (id, payment_id, provider, attempt_ref, status, currency, amount_presumed, reported_at, created_at) ON payment_attempts
TO checkout_settlements;
GRANT SELECT (id, payment_id, provider, capture_ref, attempt_ref, status, amount, currency, created_at, updated_at) ON captures TO checkout_settlements;
GRANT SELECT (id, payment_id, provider, provider_ref, status, amount, currency, created_at, updated_at) ON refunds TO checkout_settlements;
GRANT SELECT (id, payment_id, provider, dispute_ref, status, stage, money_step, money_out, amount, currency, created_at, updated_at) ON disputes
TO checkout_settlements;
GRANT SELECT ON alembic_version TO checkout_settlements;
