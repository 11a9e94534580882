"""What a person accepts of a payout: that its entries do not add up to it, and never will.

A file that does not add up is accepted as a file. This is for what no file is held of: lines that went, lines that were
listed without their payout, a payout that nobody itemizes. A match without an entry says it, and ``undo`` ends that.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.commands.models import Action
from checkout_service.settlement_words import EntryKind, MatchState, PayoutState
from checkout_service.settlements.amounts import show_exactly
from checkout_service.settlements.auditing import audit
from checkout_service.settlements.booking import begin, lock
from checkout_service.settlements.payouts import recompute
from checkout_service.settlements.settling import UnknownPayoutError


class NotOpenError(Exception):
    """A payout is not open, so that there is nothing to accept."""


class ChangedError(Exception):
    """A payout adds up to something else, or has another amount, than the person has seen who accepts it."""


_PAYOUT: Final = """
    SELECT payout_ref, state::text, amount, net, currency::text FROM payouts WHERE id = %(payout)s
"""

# Of another sum, or another amount, than the payout has by now.
_IN_PLACE_OF: Final = """
    UPDATE settlement_matches SET undone_at = now(), undone_why = 'another sum was accepted', updated_at = now()
    WHERE payout_id = %(payout)s AND entry_id IS NULL AND undone_at IS NULL
"""

# Lines of other currencies are in no sum: whether there are any is noted, since one that comes later was not accepted.
_ACCEPT: Final = f"""
    INSERT INTO settlement_matches (provider, account, payout_id, state, amount, currency, amount_here, currency_here,
        differs, detail, made_by, made_why)
    SELECT provider, account, id, '{MatchState.MATCHED}', net, currency, amount, currency,
        CASE WHEN EXISTS (
            SELECT FROM balance_entries AS entry
            WHERE entry.payout_id = payout.id AND entry.withdrawn_by IS NULL AND entry.kind <> '{EntryKind.PAYOUT}'
                AND entry.currency <> payout.currency
        ) THEN '{{currency}}'::text[] ELSE '{{}}' END, 'accepted', %(operator)s, %(why)s
    FROM payouts AS payout WHERE id = %(payout)s
    RETURNING id
"""  # noqa: S608 (only our own constants)


def accept_payout(
    connection: psycopg.Connection[Any],
    payout_id: UUID,
    *,
    operator: str,
    why: str,
    seen: tuple[Decimal, Decimal] | None = None,
) -> UUID:
    """Accept what an open payout's entries make in place of its amount, while both stay as they are.

    ``seen`` are that sum and that amount, in the payout's currency, as they were shown to the person: nobody accepts
    what came a moment later. A transaction, which writes the audit; the id of the match that says it. Raises
    UnknownPayoutError, NotOpenError, ChangedError and psycopg.Error.
    """
    with connection.transaction(), connection.cursor() as cursor:
        begin(cursor)
        lock(cursor)
        values = {"payout": payout_id, "operator": operator, "why": why}
        found = cursor.execute(_PAYOUT, values).fetchone()
        if found is None:
            raise UnknownPayoutError(f"no payout {payout_id}")
        ref, state, amount, net, currency = found
        if state != PayoutState.OPEN:
            raise NotOpenError(f"payout {ref} is {state}")
        if seen is not None and seen != (net, amount):
            raise ChangedError(f"payout {ref} adds up to {net} of {amount} by now")
        cursor.execute(_IN_PLACE_OF, values)
        [[match_id]] = cursor.execute(_ACCEPT, values).fetchall()
        recompute(cursor, [payout_id])
        details = {
            "match": str(match_id),
            "net": show_exactly(net, currency),
            "amount": show_exactly(amount, currency),
            "currency": currency,
        }
        audit(cursor, Action.ACCEPT_PAYOUT, subject=payout_id, operator=operator, why=why, details=details)
        accepted: UUID = match_id
        return accepted
