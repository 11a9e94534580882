"""Makes entries of a file's lines: new ones, those that are known, and those that another version took the place of.

Nothing is deleted: what a file that was issued again has no more, or has with other values, is withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg

MANY: Final = 10_000
"""New entries after which the table is looked at anew, however many files brought them; fewer change no plan, unless
the planner takes it for empty."""

MANY_PAYOUTS: Final = 1000
"""Payouts of one file after which theirs is."""

# A file of payouts may not know which of them nobody can itemize, and an API does: what was once said stays. An older
# listing, entered later, has an amount that is none any more.
_PAYOUTS: Final = """
    INSERT INTO payouts AS known (provider, account, payout_ref, amount, currency, status, itemized, issued_at,
        arrival_on,
        bank_reference, descriptor, failed_at, failure_code, original_ref)
    SELECT DISTINCT ON (payout.account, payout.payout_ref) file.provider, payout.account, payout.payout_ref,
        payout.amount,
        payout.currency, payout.status, payout.itemized, payout.issued_at, payout.arrival_on,
        payout.bank_reference, payout.descriptor, payout.failed_at, payout.failure_code, payout.original_ref
    FROM settlement_files AS file, jsonb_to_recordset(file.payouts) AS payout (
        account text, payout_ref text, amount numeric, currency char(3), status payout_status, itemized boolean,
        issued_at timestamptz, arrival_on date, bank_reference text, descriptor text, failed_at timestamptz,
        failure_code text, original_ref text)
    WHERE file.id = %(file)s
    ORDER BY payout.account, payout.payout_ref, payout.status DESC
    ON CONFLICT (provider, account, payout_ref) DO UPDATE SET
        amount = CASE WHEN excluded.status >= known.status THEN excluded.amount ELSE known.amount END,
        status = greatest(known.status, excluded.status),
        itemized = known.itemized AND excluded.itemized,
        issued_at = coalesce(excluded.issued_at, known.issued_at),
        arrival_on = coalesce(excluded.arrival_on, known.arrival_on),
        bank_reference = coalesce(nullif(excluded.bank_reference, ''), known.bank_reference),
        descriptor = coalesce(nullif(excluded.descriptor, ''), known.descriptor),
        failed_at = coalesce(excluded.failed_at, known.failed_at),
        failure_code = coalesce(nullif(excluded.failure_code, ''), known.failure_code),
        original_ref = coalesce(nullif(excluded.original_ref, ''), known.original_ref),
        version = known.version + 1, updated_at = now()
    WHERE known.currency = excluded.currency AND (
        known.amount <> excluded.amount AND excluded.status >= known.status
        OR known.itemized AND NOT excluded.itemized
        OR excluded.status > known.status
        OR (known.issued_at, known.arrival_on, known.failed_at) IS DISTINCT FROM (
            coalesce(excluded.issued_at, known.issued_at), coalesce(excluded.arrival_on, known.arrival_on),
            coalesce(excluded.failed_at, known.failed_at))
        OR (known.bank_reference, known.descriptor, known.failure_code, known.original_ref) <> (
            coalesce(nullif(excluded.bank_reference, ''), known.bank_reference),
            coalesce(nullif(excluded.descriptor, ''), known.descriptor),
            coalesce(nullif(excluded.failure_code, ''), known.failure_code),
            coalesce(nullif(excluded.original_ref, ''), known.original_ref)))
    RETURNING id
"""

# What came before its payout was known.
_LINK: Final = """
    UPDATE balance_entries AS entry SET payout_id = payout.id, updated_at = now()
    FROM payouts AS payout
    WHERE payout.id = ANY(%(payouts)s) AND entry.provider = payout.provider AND entry.account = payout.account
        AND entry.payout_ref = payout.payout_ref AND entry.payout_id IS NULL AND entry.payout_ref <> ''
"""

# Money, kind and what it is about say whether it is the same. The words around it may differ between a file and an
# API of one provider, and so does what is not known yet. A payout that comes later is added to what is there; what
# else comes later is another version, which keeps what was known before. A section that has all its lines takes over
# those that came by another one: only so is seen later that one of them went.
_MEET: Final = """
    WITH section AS MATERIALIZED (
        SELECT DISTINCT section.account, section.name FROM settlement_files AS file, jsonb_to_recordset(file.sections)
            AS section (account text, name text, complete boolean)
        WHERE file.id = %(file)s AND section.complete
    ), met AS MATERIALIZED (
        SELECT entry.id, line.line, line.payout_ref, payout.id AS new_payout_id,
            CASE WHEN section.name IS NULL THEN entry.section ELSE line.section END AS section,
            entry.kind, entry.payout_ref AS old_payout_ref, entry.subject_ref, entry.payment_ref,
            CASE WHEN has_other_money THEN NULL ELSE entry.customer_amount END AS customer_amount,
            CASE WHEN has_other_money THEN NULL ELSE entry.customer_currency END AS customer_currency,
            has_other_money OR has_more OR entry.payout_ref <> '' AND line.payout_ref <> ''
                AND entry.payout_ref <> line.payout_ref AS differs
        FROM settlement_lines AS line
        JOIN balance_entries AS entry ON entry.provider = %(provider)s AND entry.account = line.account
            AND entry.entry_ref = line.entry_ref AND entry.withdrawn_by IS NULL
        LEFT JOIN section ON section.account = line.account AND section.name = line.section
        LEFT JOIN payouts AS payout ON payout.provider = %(provider)s AND payout.account = line.account
            AND payout.payout_ref = line.payout_ref AND line.payout_ref <> ''
        CROSS JOIN LATERAL (SELECT
            (entry.gross, entry.fee, entry.net, entry.currency) <> (line.gross, line.fee, line.net, line.currency)
                AS has_other_money,
            entry.kind <> line.kind AND line.kind <> 'unknown' OR entry.subject_ref = '' AND line.subject_ref <> ''
                OR entry.payment_ref = '' AND line.payment_ref <> ''
                OR entry.customer_amount IS NULL AND line.customer_amount IS NOT NULL AS has_more
        ) AS compared
        WHERE line.file_id = %(file)s AND (has_other_money OR has_more
            OR line.payout_ref <> '' AND entry.payout_ref <> line.payout_ref
            OR section.name IS NOT NULL AND entry.section <> line.section)
    ), kept AS (
        UPDATE settlement_lines AS line SET
            kind = CASE WHEN line.kind = 'unknown' THEN met.kind ELSE line.kind END,
            payout_ref = coalesce(nullif(line.payout_ref, ''), met.old_payout_ref),
            subject_ref = coalesce(nullif(line.subject_ref, ''), met.subject_ref),
            payment_ref = coalesce(nullif(line.payment_ref, ''), met.payment_ref),
            customer_amount = coalesce(line.customer_amount, met.customer_amount),
            customer_currency = CASE WHEN line.customer_amount IS NULL THEN met.customer_currency
                ELSE line.customer_currency END,
            section = met.section
        FROM met WHERE line.file_id = %(file)s AND line.line = met.line AND met.differs
    ), withdrawn AS (
        UPDATE balance_entries AS entry SET withdrawn_by = %(file)s, updated_at = now()
        FROM met WHERE entry.id = met.id AND met.differs
        RETURNING entry.payout_id
    ), linked AS (
        UPDATE balance_entries AS entry SET payout_ref = coalesce(nullif(met.payout_ref, ''), entry.payout_ref),
            payout_id = coalesce(met.new_payout_id, entry.payout_id), section = met.section, updated_at = now()
        FROM met WHERE entry.id = met.id AND NOT met.differs
        RETURNING entry.payout_id
    )
    SELECT (SELECT count(*) FROM withdrawn),
        ARRAY(SELECT DISTINCT payout_id FROM (TABLE withdrawn UNION TABLE linked) AS moved WHERE payout_id IS NOT NULL)
"""

_GONE: Final = """
    WITH section AS (
        SELECT DISTINCT section.account, section.name FROM settlement_files AS file, jsonb_to_recordset(file.sections)
            AS section (account text, name text, complete boolean)
        WHERE file.id = %(file)s AND section.complete
    ), withdrawn AS (
        UPDATE balance_entries AS entry SET withdrawn_by = %(file)s, updated_at = now()
        FROM section
        WHERE entry.provider = %(provider)s AND entry.account = section.account AND entry.section = section.name
            AND entry.withdrawn_by IS NULL AND NOT EXISTS (
                SELECT FROM settlement_lines AS line
                WHERE line.file_id = %(file)s AND line.account = entry.account AND line.entry_ref = entry.entry_ref)
        RETURNING entry.payout_id
    )
    SELECT (SELECT count(*) FROM withdrawn),
        ARRAY(SELECT DISTINCT payout_id FROM withdrawn WHERE payout_id IS NOT NULL)
"""

_ENTER: Final = """
    INSERT INTO balance_entries (provider, account, section, entry_ref, kind, provider_type, gross, fee, net, currency,
        customer_amount, customer_currency, rate, occurred_at, occurred_local, available_on, payout_id, payout_ref,
            about,
        subject_ref, payment_ref, merchant_ref, description, file_id, line)
    SELECT %(provider)s, line.account, line.section, line.entry_ref, line.kind, line.provider_type, line.gross,
        line.fee,
        line.net, line.currency, line.customer_amount, line.customer_currency, line.rate, line.occurred_at,
        line.occurred_local, line.available_on, payout.id, line.payout_ref, line.about, line.subject_ref,
        line.payment_ref, line.merchant_ref, line.description, line.file_id, line.line
    FROM settlement_lines AS line
    LEFT JOIN payouts AS payout ON payout.provider = %(provider)s AND payout.account = line.account
        AND payout.payout_ref = line.payout_ref AND line.payout_ref <> ''
    WHERE line.file_id = %(file)s
    ORDER BY line.line
    ON CONFLICT (provider, account, entry_ref) WHERE withdrawn_by IS NULL DO NOTHING
"""

_ACCOUNTS: Final = """
    INSERT INTO settlement_accounts AS known (provider, account, first_entry_at)
    SELECT %(provider)s, account, min(occurred_at) FROM settlement_lines WHERE file_id = %(file)s GROUP BY account
    ON CONFLICT (provider, account) DO UPDATE
        SET first_entry_at = least(known.first_entry_at, excluded.first_entry_at), updated_at = now()
        WHERE known.first_entry_at IS NULL OR excluded.first_entry_at < known.first_entry_at
"""

_CLEAR: Final = "DELETE FROM settlement_lines WHERE file_id = %(file)s"

_OF_FRESH: Final = """
    SELECT DISTINCT payout_id FROM balance_entries
    WHERE id > %(after)s AND file_id = %(file)s AND payout_id IS NOT NULL
"""


# What files before this one brought since. After an import that was rolled back vacuum leaves pages and no rows,
# and then each line would be looked for among all.
_UNSEEN: Final = """
    SELECT (SELECT coalesce(sum(n_mod_since_analyze), 0) FROM pg_stat_user_tables
            WHERE relid = 'balance_entries'::regclass),
        (SELECT reltuples <= 0 FROM pg_class WHERE oid = 'balance_entries'::regclass)
"""


@dataclass(slots=True, kw_only=True)
class Versions:
    """What came of a file's lines, as numbers of entries, and which payouts that touched.

    ``after`` is below the id of each new entry, and above that of each one that was there.
    """

    after: UUID
    new: int
    known: int
    withdrawn: int
    payouts: set[UUID] = field(default_factory=set)


def make_entries(cursor: psycopg.Cursor[Any], file_id: UUID, *, provider: str, rows: int) -> Versions:
    """Enter the lines of a file that is proved or accepted; they leave settlement_lines.

    To be called within a transaction, by one at a time. Raises psycopg.Error.
    """
    values: dict[str, Any] = {"file": file_id, "provider": provider}
    # Ids grow within a connection, so this one parts what is there from what is made now.
    [[after]] = cursor.execute("SELECT uuidv7()").fetchall()
    payouts = set(_ids(cursor.execute(_PAYOUTS, values)))
    if payouts:
        cursor.execute(_LINK, {"payouts": list(payouts)})
    [[changed, touched]] = cursor.execute(_MEET, values).fetchall()
    [[gone, touched_too]] = cursor.execute(_GONE, values).fetchall()
    cursor.execute(_ENTER, values)
    new = max(cursor.rowcount, 0)
    cursor.execute(_ACCOUNTS, values)
    cursor.execute(_CLEAR, values)
    [[before, is_thought_empty]] = cursor.execute(_UNSEEN).fetchall()
    if new + before >= MANY or is_thought_empty:
        cursor.execute("ANALYZE balance_entries")
    payouts.update(touched, touched_too, _ids(cursor.execute(_OF_FRESH, {"file": file_id, "after": after})))
    if len(payouts) >= MANY_PAYOUTS:
        cursor.execute("ANALYZE payouts")
    return Versions(after=after, new=new, known=rows - new, withdrawn=changed + gone, payouts=payouts)


def _ids(rows: Iterable[Any]) -> Iterable[UUID]:
    return (row[0] for row in rows)
