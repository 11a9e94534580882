"""Takes the request for a refund by one INSERT, which the database itself holds within what is here.

A refund is of one capture, or of one attempt where nothing names its captures. A request that needs more than one has
is several rows of that INSERT. Its trigger refunds_fill_from_payment (migrations/entries/requests.sql) locks the
payment and judges each row. So what was read before the INSERT may be out of date. It serves to answer a replay, to
choose of what is given back, and to say what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from checkout_service.api.idempotency_key import request_hash
from checkout_service.api.problems import IdempotencyKeyReused, Invalid, NotFound, StillInProgress
from checkout_service.database.engine import Conflict, execute
from checkout_service.database.statements import Statement
from checkout_service.money import expressible, show, show_with_currency
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.refunds.problems import NothingLeftToRefund, NotRefundable, RefundTooLarge
from checkout_service.refunds.queries import Refundable, RefundRow, Source, refundable, show_request

# In the order of the columns of queries.REFUND.
_insert: Final = Statement(
    """
    INSERT INTO refunds (payment_id, amount, reason, requested_by, idempotency_key, request_hash, capture_ref,
        attempt_ref, part)
    SELECT :payment_id, part.amount, :reason, :requested_by, :idempotency_key, :request_hash, part.capture_ref,
        part.attempt_ref, part.number - 1
    FROM unnest(CAST(:amounts AS numeric[]), CAST(:captures AS text[]), CAST(:tries AS text[]))
        WITH ORDINALITY AS part (amount, capture_ref, attempt_ref, number)
    ORDER BY part.number
    RETURNING id AS refund_id, payment_id, amount, currency, status::text AS status, reason, decline, requested_by,
        request_hash, capture_ref, created_at, updated_at
    """
)

TRIES: Final = 5
"""What is left may change between reading and inserting: another refund fails, or takes it."""


OPERATORS: Final = UUID("6b0c7f0e-6f5e-5d0b-9a3c-1f7d6c1b2a90")
"""The namespace in which an operator's name becomes the id of who requested a refund."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """The caller's request; without an amount, for all that is left.

    ``capture_id`` names the one capture that it is of, or the attempt where nothing names its captures.
    """

    payment_id: UUID
    requested_by: UUID
    key: str
    amount: Decimal | None
    reason: str | None
    capture_id: UUID | None = None

    @property
    def request_hash(self) -> bytes:
        amount = None if self.amount is None else show(self.amount, None)
        hashed = {"payment_id": str(self.payment_id), "amount": amount, "reason": self.reason}
        # Left out where it is not named: so hashes of requests from before there was one are still theirs.
        return request_hash(hashed | ({} if self.capture_id is None else {"capture_id": str(self.capture_id)}))


class RefundAnswer(NamedTuple):
    """The refund as it was requested, the ids of its rows, and whether it is the replay of an answer given before."""

    refund: dict[str, Any]
    ids: Sequence[UUID]
    replayed: bool


class Part(NamedTuple):
    """How much of the request is of this source."""

    source: Source
    amount: Decimal


def operator_id(name: str) -> UUID:
    """The id under which an operator of this name, at the console or at a terminal, requests refunds."""
    return uuid5(OPERATORS, name)


def request_refund(request: RefundRequest) -> RefundAnswer:
    """Store the request, or give the answer of its key again. Raises Problem."""
    for _ in range(TRIES):
        found = refundable(payment_id=request.payment_id, requested_by=request.requested_by, key=request.key)
        if found is None:
            raise NotFound("There is no such payment.")
        if found.refunds:
            return RefundAnswer(_replayed(found.refunds, request), [row.refund_id for row in found.refunds], True)
        parts = _parts(found, request)
        try:
            rows = execute(
                _insert,
                {
                    "payment_id": request.payment_id,
                    "amounts": [part.amount for part in parts],
                    "captures": [part.source.capture_ref for part in parts],
                    "tries": [part.source.attempt_ref for part in parts],
                    "reason": request.reason,
                    "requested_by": request.requested_by,
                    "idempotency_key": request.key,
                    "request_hash": request.request_hash,
                },
            )
        except Conflict:
            # A concurrent retry with this key was faster, or another refund took the room: what is true now tells
            # which.
            continue
        made = [RefundRow(**row._asdict() | {"status": RefundStatus(row.status)}) for row in rows]
        return RefundAnswer(show_request(made), [row.refund_id for row in made], False)
    raise StillInProgress("Other refunds of this payment are being requested at this moment: send it again.")


def _replayed(found: Sequence[RefundRow], request: RefundRequest) -> dict[str, Any]:
    """The answer as it was first given. GET shows the refund's status of today."""
    if found[0].request_hash != request.request_hash:
        raise IdempotencyKeyReused("This Idempotency-Key belongs to another request: use a new key for a new refund.")
    shown = show_request(found)
    return shown | {"status": RefundStatus.REQUESTED.value, "decline": None, "updated_at": shown["created_at"]}


def _parts(found: Refundable, request: RefundRequest) -> list[Part]:
    """How much is given back of which source. Raises Problem where it cannot be given back."""
    if found.payment_status not in {PaymentStatus.PARTIALLY_PAID, PaymentStatus.PAID}:
        raise NotRefundable(payment_status=found.payment_status.value)
    if request.amount is not None and not expressible(request.amount, found.currency):
        detail = f"{found.currency} has no such small unit."
        raise Invalid(errors=[{"pointer": "/amount", "detail": detail}])
    sources = found.sources
    if request.capture_id is not None:
        sources = [source for source in sources if source.id == request.capture_id]
        if not sources:
            raise Invalid(errors=[{"pointer": "/capture_id", "detail": "No money of this payment came by it."}])
    left = min(found.left, sum((source.room for source in sources), Decimal(0)))
    if left == 0:
        raise NothingLeftToRefund(amount_left=show(left, found.currency), currency=found.currency)
    amount = left if request.amount is None else request.amount
    if amount > left:
        raise RefundTooLarge(
            f"Only {show_with_currency(left, found.currency)} can be given back now: ask for that or less.",
            amount_left=show(left, found.currency),
            currency=found.currency,
        )
    return _chosen(sources, amount)


def _chosen(sources: Sequence[Source], amount: Decimal) -> list[Part]:
    """Of the oldest source that has enough; where none has, of as few as may be."""
    if whole := next((source for source in sources if source.room >= amount), None):
        return [Part(whole, amount)]
    parts: list[Part] = []
    for source in sorted(sources, key=lambda source: source.room, reverse=True):
        part = min(source.room, amount)
        if part > 0:
            parts.append(Part(source, part))
            amount -= part
    return parts
