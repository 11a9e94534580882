"""What operators decide about payments: an amount is accepted, or the reasons for a review were seen.

Each is an entry of its own, and what the payment is follows by the fold. The command's id makes a second run the same.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from checkout_service.database.engine import transaction

_lock = text("SELECT review_reason, version FROM payments WHERE id = :id FOR NO KEY UPDATE")

_accept = text("""
    INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
    SELECT :id, CAST(:amount AS numeric), operator, why, id FROM audit WHERE id = :command_id
    ON CONFLICT (command_id) DO NOTHING
""")

_done_before = text("SELECT FROM payment_reviews WHERE payment_id = :id AND command_id = :command_id LIMIT 1")

# With the amounts of now: under the payment's lock they are those that the operator saw, or the version is another.
_note_seen = text("""
    INSERT INTO payment_reviews (payment_id, reason, amounts, command_id)
    SELECT found.payment_id, found.reason, found.amounts, :command_id
    FROM payment_reasons(ARRAY(SELECT summed FROM payment_sums(ARRAY[CAST(:id AS uuid)]) AS summed)) AS found
    ON CONFLICT (payment_id, reason, amounts) DO NOTHING
""")

_fold = text("SELECT FROM payments_fold(ARRAY[CAST(:id AS uuid)])")

MOVED: Final = "the payment moved since: look at it again"


class NotDoneError(Exception):
    """It cannot be done; the message says why, for the operator."""


def accept_amount(payment_id: UUID, *, amount: Decimal, command_id: UUID) -> str:
    """Accept ``amount``, of the payment's currency, in place of its own; what came of it, for the operator.

    Raises NotDoneError, DatabaseLockedError and DatabaseUnavailableError.
    """
    with transaction() as connection:
        _locked(connection, payment_id)
        connection.execute(_accept, {"id": payment_id, "amount": amount, "command_id": command_id})
        connection.execute(_fold, {"id": payment_id})
        reasons, _ = _locked(connection, payment_id)
    return f"{amount} was accepted" + (f"; what is left to look at: {reasons}" if reasons else "")


def note_seen(payment_id: UUID, *, reasons: str, version: int | None, command_id: UUID) -> str:
    """Note that these reasons were seen; what came of it, for the operator.

    Refused where the reasons, or with a ``version`` anything of the payment, are others by now. Raises NotDoneError,
    DatabaseLockedError and DatabaseUnavailableError.
    """
    with transaction() as connection:
        found, now = _locked(connection, payment_id)
        if connection.execute(_done_before, {"id": payment_id, "command_id": command_id}).first() is not None:
            return f"{reasons} was seen"
        if found is None:
            return "no reason is left"
        if found != reasons or version not in {None, now}:
            raise NotDoneError(MOVED)
        connection.execute(_note_seen, {"id": payment_id, "command_id": command_id})
        connection.execute(_fold, {"id": payment_id})
    return f"{reasons} was seen"


def _locked(connection: Connection, payment_id: UUID) -> tuple[str | None, int]:
    """The payment's reasons and version, under its lock."""
    row = connection.execute(_lock, {"id": payment_id}).first()
    if row is None:
        raise NotDoneError("there is no such payment")
    return row.review_reason, row.version
