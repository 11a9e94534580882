"""What the commands show of settled money: bounded reads, by the role that writes it.

Amounts are in the major unit of their currency. Months are those of the zone that is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from checkout_service.command_options import kept
from checkout_service.settlement_words import BANK, EXCEPTIONS, EntryKind, FileState, MatchState

Row = Mapping[str, Any]

FEW: Final = 20
"""Rows of a part of a payout that are shown."""

MONTHS: Final = 12


def open_exceptions(
    connection: psycopg.Connection[Any],
    *,
    kinds: Sequence[MatchState] = EXCEPTIONS,
    provider: str | None = None,
    payout_id: UUID | None = None,
    before: UUID | None = None,
    limit: int,
) -> Sequence[Row]:
    """Matches that need a person, the newest first; with ``before`` those that are older than this one.

    ``payout_id`` narrows them to what a payout is made of. Each with its entry, payout and payment, where it has them.
    """
    values: dict[str, Any] = {
        "kinds": [kind.value for kind in kinds],
        "provider": provider,
        "before": before,
        "limit": limit,
    }
    if payout_id is not None:
        return _all(connection, _EXCEPTIONS_OF_PAYOUT, values | {"payout": payout_id})
    return _all(connection, _EXCEPTIONS, values)


def held_files(
    connection: psycopg.Connection[Any], *, provider: str | None = None, before: UUID | None = None, limit: int
) -> Sequence[Row]:
    """Files that do not prove themselves, the newest first, with what they lack or have too much."""
    values = {"state": FileState.HELD.value, "provider": provider, "before": before, "limit": limit}
    return _all(connection, _HELD, values)


def files_called(
    connection: psycopg.Connection[Any], name: str, *, provider: str | None = None, account: str | None = None
) -> Sequence[Row]:
    """The newest files of this name, those that are held before all others; ``account`` is one that they are about."""
    section = None if account is None else Jsonb([{"account": kept(account)}])
    values = {"name": name, "provider": provider, "account": account, "section": section, "limit": FEW}
    return _all(connection, _FILES_CALLED, values)


def file_of(connection: psycopg.Connection[Any], file_id: UUID) -> Row | None:
    """The file, or None."""
    return _one(connection, _FILE, {"file": file_id})


def payouts_called(
    connection: psycopg.Connection[Any], ref: str, *, provider: str | None = None, account: str | None = None
) -> Sequence[Row]:
    """Payouts of which this is the provider's name; several accounts may have one of the same."""
    return _all(connection, _PAYOUTS_CALLED, {"ref": ref, "provider": provider, "account": account, "limit": FEW})


def payout_of(connection: psycopg.Connection[Any], payout_id: UUID) -> Row | None:
    """The payout, or None."""
    return _one(connection, _PAYOUT, {"payout": payout_id})


def entries_naming(connection: psycopg.Connection[Any], ref: str) -> Sequence[Row]:
    """How many entries of which account name a payout that nobody has listed."""
    return _all(connection, _WAITING, {"ref": ref, "limit": FEW})


def parts_of(connection: psycopg.Connection[Any], payout_id: UUID) -> Sequence[Row]:
    """What it is made of: kind, currency, how many entries, and the sums of gross, fee and net."""
    return _all(connection, _PARTS, {"payout": payout_id})


def bank_entries_of(connection: psycopg.Connection[Any], payout_id: UUID) -> Sequence[Row]:
    """The first bank entries that brought it or may have, each with its match."""
    return _all(connection, _AT_BANK, {"payout": payout_id, "bank": BANK, "limit": FEW})


def files_of(connection: psycopg.Connection[Any], payout_id: UUID) -> Sequence[Row]:
    """The newest files that brought its entries or listed it, with what was proved, or accepted, in them."""
    return _all(connection, _FILES_OF, {"payout": payout_id, "limit": FEW})


def accepted_of(connection: psycopg.Connection[Any], payout_id: UUID) -> Row | None:
    """What a person accepted of the payout itself in place of its amount, or None."""
    return _one(connection, _ACCEPTED, {"payout": payout_id})


def fees_by_month(
    connection: psycopg.Connection[Any], *, zone: str, month: date | None = None, provider: str | None = None
) -> Sequence[Row]:
    """What providers took, by month, provider and currency; of one month, or of the last twelve.

    Months are those in which it occurred, in the ``zone`` (IANA). A fee that was given back counts against it.
    """
    values = {
        "zone": zone,
        "month": month,
        "months": MONTHS,
        "provider": provider,
        "bank": BANK,
        "fee": EntryKind.FEE.value,
    }
    return _all(connection, _FEES, values)


def _all(connection: psycopg.Connection[Any], query: str, values: Mapping[str, Any]) -> Sequence[Row]:
    # What somebody typed may be bytes of no text, which no database has.
    values = {name: kept(value) if isinstance(value, str) else value for name, value in values.items()}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def _one(connection: psycopg.Connection[Any], query: str, values: Mapping[str, Any]) -> Row | None:
    return next(iter(_all(connection, query, values)), None)


_LISTED: Final = """
    match.id, match.state::text AS kind, match.provider, match.account, match.amount, match.currency, match.amount_here,
    match.currency_here, match.differs, match.detail, match.subject::text AS subject, match.payment_id,
    match.created_at, entry.id AS entry_id, entry.entry_ref, entry.kind::text AS entry_kind, entry.provider_type,
    entry.occurred_at, entry.subject_ref, coalesce(entry.payment_ref, payment.provider_ref) AS payment_ref,
    entry.merchant_ref, payout.id AS payout_id, payout.payout_ref
"""

# What no line tells of has no entry: its provider knows it by the payment's reference.
_BESIDE: Final = """
LEFT JOIN balance_entries AS entry ON entry.id = match.entry_id
LEFT JOIN payouts AS payout ON payout.id = coalesce(match.payout_id, entry.payout_id)
LEFT JOIN payments AS payment ON payment.id = match.payment_id AND match.entry_id IS NULL
"""

# By each kind on its own, so that the index of what is open gives the newest of each without sorting all.
_EXCEPTIONS: Final = f"""
SELECT {_LISTED}
FROM (
    SELECT found.* FROM unnest(%(kinds)s::settlement_match_state[]) AS of_kind (state)
    CROSS JOIN LATERAL (
        SELECT * FROM settlement_matches AS each
        WHERE each.state = of_kind.state AND each.undone_at IS NULL AND each.resolved_at IS NULL
            AND each.state <> ALL ('{{matched,not_ours}}'::settlement_match_state[])
            AND (%(provider)s::text IS NULL OR each.provider = %(provider)s)
            AND (%(before)s::uuid IS NULL OR each.id < %(before)s)
        ORDER BY each.id DESC LIMIT %(limit)s
    ) AS found
    ORDER BY found.id DESC LIMIT %(limit)s
) AS match
{_BESIDE}
ORDER BY match.id DESC
"""  # noqa: S608 (our own parts)

_EXCEPTIONS_OF_PAYOUT: Final = f"""
SELECT {_LISTED}
FROM (
    SELECT of_payout.* FROM settlement_matches AS of_payout WHERE of_payout.payout_id = %(payout)s
    UNION
    SELECT of_entry.* FROM balance_entries AS part JOIN settlement_matches AS of_entry ON of_entry.entry_id = part.id
    WHERE part.payout_id = %(payout)s
) AS match
{_BESIDE}
WHERE match.undone_at IS NULL AND match.resolved_at IS NULL
    AND match.state = ANY(%(kinds)s::settlement_match_state[])
    AND (%(before)s::uuid IS NULL OR match.id < %(before)s)
ORDER BY match.id DESC LIMIT %(limit)s
"""  # noqa: S608 (our own parts)

_FILE_COLUMNS: Final = """
    id, provider, account, name, form, rows, state::text AS state, residues, faults, created_at, entered_at,
    accepted_by, accepted_why, ARRAY(
        SELECT DISTINCT section ->> 'account' FROM jsonb_array_elements(sections) AS section
        WHERE section ->> 'account' <> '' ORDER BY 1 LIMIT 3
    ) AS accounts
"""

_HELD: Final = f"""
SELECT {_FILE_COLUMNS} FROM settlement_files
WHERE state = %(state)s::settlement_file_state AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    AND (%(before)s::uuid IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""  # noqa: S608 (our own parts)

_FILES_CALLED: Final = f"""
SELECT {_FILE_COLUMNS} FROM settlement_files
WHERE name = %(name)s AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    AND (%(account)s::text IS NULL OR account = %(account)s OR sections @> %(section)s::jsonb)
ORDER BY state = 'held' DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 (our own parts)

_FILE: Final = f"SELECT {_FILE_COLUMNS} FROM settlement_files WHERE id = %(file)s"  # noqa: S608 (our own parts)

_PAYOUT_COLUMNS: Final = """
    id, provider, account, payout_ref, amount, currency, status::text AS status, state::text AS state, itemized,
    issued_at, arrival_on, bank_reference, descriptor, failed_at, failure_code, original_ref, entries, gross, fee, net,
    exceptions, amount_at_bank, reconciled_at
"""

_PAYOUTS_CALLED: Final = f"""
SELECT {_PAYOUT_COLUMNS} FROM payouts
WHERE payout_ref = %(ref)s AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    AND (%(account)s::text IS NULL OR account = %(account)s)
ORDER BY id DESC LIMIT %(limit)s
"""  # noqa: S608 (our own parts)

_PAYOUT: Final = f"SELECT {_PAYOUT_COLUMNS} FROM payouts WHERE id = %(payout)s"  # noqa: S608 (our own parts)

_WAITING: Final = """
SELECT known.provider, known.account, counted.entries
FROM settlement_accounts AS known CROSS JOIN LATERAL (
    SELECT count(*) AS entries FROM balance_entries AS entry
    WHERE entry.provider = known.provider AND entry.account = known.account AND entry.payout_ref = %(ref)s
        AND entry.payout_ref <> '' AND entry.payout_id IS NULL AND entry.withdrawn_by IS NULL
) AS counted
WHERE counted.entries > 0 ORDER BY 1, 2 LIMIT %(limit)s
"""

_PARTS: Final = """
SELECT kind::text AS kind, currency, count(*) AS entries, sum(gross) AS gross, sum(fee) AS fee, sum(net) AS net
FROM balance_entries WHERE payout_id = %(payout)s AND withdrawn_by IS NULL
GROUP BY kind, currency ORDER BY kind, currency
"""

_AT_BANK: Final = """
SELECT match.id, match.state::text AS state, match.amount, match.currency, entry.account, entry.entry_ref,
    entry.occurred_at, entry.occurred_local, entry.description
FROM settlement_matches AS match JOIN balance_entries AS entry ON entry.id = match.entry_id
WHERE match.payout_id = %(payout)s AND entry.provider = %(bank)s AND match.undone_at IS NULL
ORDER BY entry.occurred_at, match.id LIMIT %(limit)s
"""

# Those that only list it are no older than it, so that not all of a provider's are looked into.
_FILES_OF: Final = """
SELECT file.id, file.name, file.form, file.rows, file.accepted_by, file.accepted_why, brought.entries, (
        SELECT array_agg(DISTINCT section ->> 'rule') FROM jsonb_array_elements(file.sections) AS section
        WHERE section ->> 'name' = ANY(brought.sections)
    ) AS rules, (
        SELECT array_agg(residue) FROM jsonb_array_elements(file.residues) AS residue
        WHERE residue ->> 'section' = ANY(brought.sections)
    ) AS residues
FROM (
    SELECT file_id, sum(entries)::bigint AS entries, coalesce(max(sections), '{}') AS sections
    FROM (
        SELECT file_id, count(*) AS entries, array_agg(DISTINCT section) AS sections
        FROM balance_entries WHERE payout_id = %(payout)s AND withdrawn_by IS NULL GROUP BY file_id
        UNION ALL
        SELECT lists.id, 0, NULL
        FROM payouts AS payout JOIN settlement_files AS lists ON lists.provider = payout.provider
            AND lists.state = 'entered' AND lists.entered_at >= payout.created_at
            AND lists.payouts @> jsonb_build_array(
                jsonb_build_object('account', payout.account, 'payout_ref', payout.payout_ref))
        WHERE payout.id = %(payout)s
    ) AS each GROUP BY file_id ORDER BY sum(entries) > 0 DESC, file_id DESC LIMIT %(limit)s
) AS brought JOIN settlement_files AS file ON file.id = brought.file_id
ORDER BY file.id
"""

_ACCEPTED: Final = """
SELECT id, amount, currency, amount_here, made_by, made_why FROM settlement_matches
WHERE payout_id = %(payout)s AND entry_id IS NULL AND undone_at IS NULL
"""

# A line of kind fee is all fee: what it moved, the other way about. Months are bounded by moments, which have an index.
_FEES: Final = """
SELECT to_char(occurred_at AT TIME ZONE %(zone)s, 'YYYY-MM') AS month, provider, currency,
    sum(CASE WHEN kind = %(fee)s::balance_entry_kind THEN -net ELSE fee END) AS fees, count(*) AS entries
FROM (
    SELECT coalesce(%(month)s::date::timestamp, current - make_interval(months => %(months)s - 1)) AS first,
        coalesce(%(month)s::date::timestamp, current) AS last
    FROM date_trunc('month', now() AT TIME ZONE %(zone)s) AS current
) AS months JOIN balance_entries ON occurred_at >= first AT TIME ZONE %(zone)s
    AND occurred_at < (last + interval '1 month') AT TIME ZONE %(zone)s
WHERE withdrawn_by IS NULL AND provider <> %(bank)s AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    AND (fee <> 0 OR kind = %(fee)s::balance_entry_kind)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
