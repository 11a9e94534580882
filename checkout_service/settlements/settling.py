"""What persons do about settled money: undo a match, settle an exception, say which payout an entry is part of.

Each is one transaction with its row of the audit, and only one of them happens at a time: of two operators who do the
same, the second is refused with what the first has done.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.commands.models import Action
from checkout_service.settlement_words import EXCEPTIONS, EntryKind, MatchState
from checkout_service.settlements.auditing import audit
from checkout_service.settlements.bank_matching import match_bank_entries
from checkout_service.settlements.booking import begin, lock
from checkout_service.settlements.matching import match_again
from checkout_service.settlements.payouts import recompute


class UnknownMatchError(Exception):
    """No match has this id."""


class UnknownEntryError(Exception):
    """No current entry has this id."""


class UnknownPayoutError(Exception):
    """No payout has this id."""


class UndoneAlreadyError(Exception):
    """A match does not hold any more."""


class ResolvedAlreadyError(Exception):
    """Somebody has settled it already."""


class NoExceptionError(Exception):
    """A match that is no exception needs nobody to settle it."""


class NotMatchedError(Exception):
    """It is no match, so there is nothing to undo: an exception is settled, and what is missing comes or is settled."""


class OtherCurrencyError(Exception):
    """The entry and the payout are of different currencies, or of different providers and accounts."""


class LinkedAlreadyError(Exception):
    """The entry is part of another payout, or brought others with all of it."""


class NoPartError(Exception):
    """The payout's own line is no part of what it is made of, and a payout that nobody can list has no parts."""


_MATCH: Final = """
    SELECT known.state::text, known.entry_id, known.payout_id, known.subject::text, known.subject_id, known.undone_at,
        known.resolved_at, CASE WHEN known.entry_id IS NULL THEN known.payout_id ELSE entry.payout_id END AS of_payout,
        entry.kind::text, known.made_by
    FROM settlement_matches AS known LEFT JOIN balance_entries AS entry ON entry.id = known.entry_id
    WHERE known.id = %(match)s
"""

_UNDO: Final = """
    UPDATE settlement_matches SET undone_at = now(), undone_by = %(operator)s, undone_why = %(why)s, updated_at = now()
    WHERE id = %(match)s
"""

# In its place: a person says that it is not that, so it is not matched with it again by itself.
_OPEN: Final = """
    INSERT INTO settlement_matches (provider, account, entry_id, state, amount, currency, detail, file_id, made_by,
        made_why)
    SELECT provider, account, id, 'unknown_here', gross, currency, 'undone', file_id, %(operator)s, %(why)s
    FROM balance_entries AS entry
    WHERE id = %(entry)s AND NOT EXISTS (
        SELECT FROM settlement_matches AS known WHERE known.entry_id = entry.id AND known.undone_at IS NULL)
"""

_RESOLVE: Final = """
    UPDATE settlement_matches
    SET resolved_at = now(), resolved_by = %(operator)s, resolved_why = %(why)s, updated_at = now()
    WHERE id = %(match)s
"""

# A settled match stays as it is, so another one takes its place, open. What a person had said before stays said, and
# what nobody had, later lines may decide again.
_OPEN_AGAIN: Final = """
    INSERT INTO settlement_matches (provider, account, entry_id, payout_id, subject, subject_id, payment_id, state,
        amount, currency, amount_here, currency_here, differs, detail, file_id, made_by, made_why)
    SELECT provider, account, entry_id, payout_id, subject, subject_id, payment_id, state, amount, currency,
        amount_here, currency_here, differs, detail, file_id, made_by, made_why
    FROM settlement_matches WHERE id = %(match)s
    RETURNING id
"""

_TAKE_BACK: Final = """
    UPDATE settlement_matches SET undone_at = now(), undone_why = 'its settling was taken back', updated_at = now()
    WHERE id = %(match)s
"""

# As `show` lists them: of what a payout is made of, and of what a bank may have brought of it.
_RESOLVE_ALL: Final = """
    UPDATE settlement_matches AS known
    SET resolved_at = now(), resolved_by = %(operator)s, resolved_why = %(why)s, updated_at = now()
    WHERE known.undone_at IS NULL AND known.resolved_at IS NULL AND known.state = %(state)s::settlement_match_state
        AND known.id IN (
            SELECT id FROM settlement_matches WHERE payout_id = %(payout)s
            UNION
            SELECT of_entry.id FROM balance_entries AS part
            JOIN settlement_matches AS of_entry ON of_entry.entry_id = part.id WHERE part.payout_id = %(payout)s)
"""

_OTHERS: Final = """
    SELECT known.payment_id FROM settlement_matches AS known WHERE known.id = %(match)s AND known.payment_id IS NOT NULL
"""

_ENTRY: Final = """
    SELECT provider, account, currency::text, kind::text, payout_id, payout_ref FROM balance_entries
    WHERE id = %(entry)s AND withdrawn_by IS NULL
"""

_PAYOUT: Final = """
    SELECT provider, account, currency::text, payout_ref, itemized FROM payouts WHERE id = %(payout)s
"""

# Of a bank's: what other entries or payouts do not take of both.
_BROUGHT: Final = """
    WITH entry AS (
        SELECT entry.*, entry.net - coalesce(sum(known.amount), 0) AS rest FROM balance_entries AS entry
        LEFT JOIN settlement_matches AS known ON known.entry_id = entry.id AND known.undone_at IS NULL
            AND known.state IN ('matched', 'differs') AND known.payout_id IS NOT NULL
        WHERE entry.id = %(entry)s GROUP BY entry.id
    )
    INSERT INTO settlement_matches (provider, account, entry_id, payout_id, state, amount, currency, amount_here,
        currency_here, file_id, made_by, made_why)
    SELECT entry.provider, entry.account, entry.id, payout.id, 'matched',
        CASE WHEN abs(entry.rest) <= abs(payout.amount) THEN entry.rest ELSE payout.amount END, entry.currency,
        payout.amount, payout.currency, entry.file_id, %(operator)s, %(why)s
    FROM entry, payouts AS payout WHERE payout.id = %(payout)s
"""

_IN_ITS_PLACE: Final = """
    UPDATE settlement_matches SET undone_at = now(), undone_by = NULL, undone_why = 'an operator named its payout',
        updated_at = now()
    WHERE entry_id = %(entry)s AND undone_at IS NULL
        AND (state IN ('proposed', 'not_ours', 'withdrawn') OR payout_id = %(payout)s)
"""

_BROUGHT_ALREADY: Final = """
    SELECT FROM settlement_matches WHERE entry_id = %(entry)s AND payout_id = %(payout)s AND undone_at IS NULL
        AND state = 'matched'
"""

_IS_TAKEN: Final = """
    SELECT FROM balance_entries AS entry
    WHERE entry.id = %(entry)s AND entry.net = (
        SELECT sum(known.amount) FROM settlement_matches AS known
        WHERE known.entry_id = entry.id AND known.undone_at IS NULL AND known.state IN ('matched', 'differs')
            AND known.payout_id <> %(payout)s)
"""

_LINK: Final = """
    UPDATE balance_entries
    SET payout_id = %(payout)s, payout_ref = CASE WHEN payout_ref = '' THEN %(ref)s ELSE payout_ref END,
        updated_at = now()
    WHERE id = %(entry)s
"""


def undo(connection: psycopg.Connection[Any], match_id: UUID, *, operator: str, why: str) -> UUID | None:
    """End a match: its entry is as one that nobody has matched, and is not matched with anything by itself again.

    Of a bank's entry it ends what was matched or proposed with one payout: that one is not proposed again, and others
    may be.

    Of an exception that somebody settled, that is taken back instead: the id of the one that is open in its place. So
    is an undoing, by the exception that it left: its entry is matched as if nobody had ended that.
    Raises UnknownMatchError, UndoneAlreadyError, NotMatchedError and psycopg.Error.
    """
    with connection.transaction(), connection.cursor() as cursor:
        begin(cursor)
        lock(cursor)
        state, entry_id, payout_id, subject, subject_id, of_payout, kind, is_settled, by = _current(cursor, match_id)
        if is_settled:
            return _take_back(cursor, match_id, operator=operator, why=why)
        is_banks = kind == EntryKind.BANK
        undoable = (MatchState.MATCHED, MatchState.DIFFERS, MatchState.PROPOSED)
        # A proposal that names none of several payouts has nothing that could be ended.
        is_undone_before = state is MatchState.UNKNOWN_HERE and by is not None
        if not is_undone_before and (state not in undoable or (is_banks and payout_id is None)):
            raise NotMatchedError(f"match {match_id} is {state}")
        values = {"match": match_id, "entry": entry_id, "operator": operator, "why": why}
        cursor.execute(_UNDO, values)
        if is_banks:
            # That this entry brought this payout is not believed again.
            match_bank_entries(connection, payout_ids=[payout_id])
        else:
            if not is_undone_before:
                cursor.execute(_OPEN, values)
            # What else is about the same adds up to less now, or to more again.
            payments = [row[0] for row in cursor.execute(_OTHERS, values)]
            touched = match_again(cursor, [entry_id] if is_undone_before else (), payments=payments)
            recompute(cursor, touched if of_payout is None else touched | {of_payout})
        audit(
            cursor,
            Action.UNDO_MATCH,
            subject=match_id,
            operator=operator,
            why=why,
            details=_details(state, entry_id, subject, subject_id),
        )
        return None


def _take_back(cursor: psycopg.Cursor[Any], match_id: UUID, *, operator: str, why: str) -> UUID:
    state, entry_id, payout_id, subject, subject_id, of_payout, kind, *_ = _current(cursor, match_id)
    cursor.execute(_TAKE_BACK, {"match": match_id})
    [[again]] = cursor.execute(_OPEN_AGAIN, {"match": match_id}).fetchall()
    recompute(cursor, [each for each in (of_payout,) if each is not None])
    if kind == EntryKind.BANK and payout_id is not None:
        match_bank_entries(cursor.connection, payout_ids=[payout_id])
    details = {**_details(state, entry_id, subject, subject_id), "open_again": str(again)}
    audit(cursor, Action.UNDO_MATCH, subject=match_id, operator=operator, why=why, details=details)
    found: UUID = again
    return found


def resolve(connection: psycopg.Connection[Any], match_id: UUID, *, operator: str, why: str) -> None:
    """Settle an exception: it is listed no more, and keeps no payout from being reconciled. A transaction.

    Raises UnknownMatchError, UndoneAlreadyError, ResolvedAlreadyError, NoExceptionError and psycopg.Error.
    """
    with connection.transaction(), connection.cursor() as cursor:
        begin(cursor)
        lock(cursor)
        state, entry_id, _payout_id, subject, subject_id, of_payout, _kind, is_settled, _by = _current(cursor, match_id)
        if is_settled:
            raise ResolvedAlreadyError(f"match {match_id} was settled before")
        if state not in EXCEPTIONS:
            raise NoExceptionError(f"match {match_id} is {state}")
        cursor.execute(_RESOLVE, {"match": match_id, "operator": operator, "why": why})
        recompute(cursor, [] if of_payout is None else [of_payout])
        audit(
            cursor,
            Action.RESOLVE_MATCH,
            subject=match_id,
            operator=operator,
            why=why,
            details=_details(state, entry_id, subject, subject_id),
        )


def resolve_all(
    connection: psycopg.Connection[Any], payout_id: UUID, state: MatchState, *, operator: str, why: str
) -> int:
    """Settle all exceptions of this kind that a payout has: how many there were. A transaction, and a row of the audit.

    Raises UnknownPayoutError, NoExceptionError and psycopg.Error.
    """
    if state not in EXCEPTIONS:
        raise NoExceptionError(f"{state} is no exception")
    with connection.transaction(), connection.cursor() as cursor:
        begin(cursor)
        lock(cursor)
        values = {"payout": payout_id, "state": state.value, "operator": operator, "why": why}
        if cursor.execute(_PAYOUT, values).fetchone() is None:
            raise UnknownPayoutError(f"no payout {payout_id}")
        number = cursor.execute(_RESOLVE_ALL, values).rowcount
        if number:
            recompute(cursor, [payout_id])
            details = {"state": state.value, "payout": str(payout_id), "matches": number}
            audit(cursor, Action.RESOLVE_MATCH, subject=payout_id, operator=operator, why=why, details=details)
        return number


def link(connection: psycopg.Connection[Any], entry_id: UUID, payout_id: UUID, *, operator: str, why: str) -> None:
    """Say which payout an entry is part of. A transaction. The same once more changes nothing.

    Raises UnknownEntryError, UnknownPayoutError, OtherCurrencyError, LinkedAlreadyError, NoPartError and psycopg.Error.
    """
    with connection.transaction(), connection.cursor() as cursor:
        begin(cursor)
        lock(cursor)
        entry = cursor.execute(_ENTRY, {"entry": entry_id}).fetchone()
        if entry is None:
            raise UnknownEntryError(f"no current entry {entry_id}")
        payout = cursor.execute(_PAYOUT, {"payout": payout_id}).fetchone()
        if payout is None:
            raise UnknownPayoutError(f"no payout {payout_id}")
        provider, account, currency, kind, linked, named = entry
        if currency != payout[2]:
            raise OtherCurrencyError(f"the entry is in {currency}, the payout in {payout[2]}")
        values = {"entry": entry_id, "payout": payout_id, "ref": payout[3], "operator": operator, "why": why}
        if kind == EntryKind.BANK:
            if cursor.execute(_BROUGHT_ALREADY, values).fetchone() is not None:
                return
            if cursor.execute(_IS_TAKEN, values).fetchone() is not None:
                raise LinkedAlreadyError(f"all of entry {entry_id} is of other payouts")
            cursor.execute(_IN_ITS_PLACE, values)
            cursor.execute(_BROUGHT, values)
            match_bank_entries(connection, payout_ids=[payout_id])
        else:
            if linked == payout_id:
                return
            if linked is not None or named not in ("", payout[3]):
                raise LinkedAlreadyError(f"entry {entry_id} is part of another payout")
            if (provider, account) != (payout[0], payout[1]):
                raise OtherCurrencyError("the entry and the payout are of different accounts")
            if kind == EntryKind.PAYOUT or not payout[4]:
                raise NoPartError(f"entry {entry_id} is no part of payout {payout_id}")
            cursor.execute(_LINK, values)
            recompute(cursor, [payout_id])
        audit(
            cursor,
            Action.LINK_PAYOUT,
            subject=payout_id,
            operator=operator,
            why=why,
            details={"entry": str(entry_id)},
        )


def _current(cursor: psycopg.Cursor[Any], match_id: UUID) -> tuple[Any, ...]:
    """A match that holds: state, entry, payout, subject, its id, the payout of its entry (its own where it has none),
    the kind of that, whether a person settled it, and who made it by hand.
    """
    found = cursor.execute(_MATCH, {"match": match_id}).fetchone()
    if found is None:
        raise UnknownMatchError(f"no match {match_id}")
    state, entry_id, payout_id, subject, subject_id, undone_at, resolved_at, of_payout, kind, by = found
    if undone_at is not None:
        raise UndoneAlreadyError(f"match {match_id} was undone at {undone_at:%Y-%m-%d %H:%M} UTC")
    return (MatchState(state), entry_id, payout_id, subject, subject_id, of_payout, kind, resolved_at is not None, by)


def _details(state: MatchState, entry_id: UUID | None, subject: str, subject_id: UUID | None) -> dict[str, Any]:
    return {
        "state": state.value,
        "entry": None if entry_id is None else str(entry_id),
        "subject": subject,
        "subject_id": None if subject_id is None else str(subject_id),
    }
