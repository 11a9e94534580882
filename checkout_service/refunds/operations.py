"""Takes the request for a refund by one INSERT, which the database itself holds within what is here.

A refund is of one capture, or of one attempt where nothing names its captures. A request that needs more than one has
is several rows of that INSERT. Its trigger refunds_fill_from_payment (migrations/entries/requests.sql) locks the
payment and judges each row. So what was read before the INSERT may be out of date. It serves to answer a replay, to
choose of what is given back, and to say what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from checkout_service.api.idempotency_key import request_hash
from checkout_service.api.problems import IdempotencyKeyReused, Invalid, NotFound, StillInProgress
from checkout_service.commands.auditing import audit_values, written
from checkout_service.commands.models import Action
from checkout_service.commands.operations import Origin
from checkout_service.database.engine import Conflict, execute
from checkout_service.database.statements import Statement
from checkout_service.money import expressible, show, show_with_currency
from checkout_service.payments.outcomes import WAITS_FOR_LOOK_UP
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.publishing.events_wake_up import notify_of_events
from checkout_service.refunds.problems import (
    NothingLeftToRefund,
    NotRefundable,
    RefundLinesTooLarge,
    RefundTooLarge,
)
from checkout_service.refunds.queries import Refundable, RefundRow, Source, refundable, show_request
from checkout_service.telemetry import tracing

_ROWS: Final = """
    INSERT INTO refunds (payment_id, amount, reason, requested_by, idempotency_key, request_hash, capture_ref,
        attempt_ref, part, trace_context)
    SELECT :payment_id, part.amount, :reason, :requested_by, :idempotency_key, :request_hash, part.capture_ref,
        part.attempt_ref, part.number - 1, traced(:trace_context)
    FROM unnest(CAST(:amounts AS numeric[]), CAST(:captures AS text[]), CAST(:tries AS text[]))
        WITH ORDINALITY AS part (amount, capture_ref, attempt_ref, number)
    ORDER BY part.number
    RETURNING id AS refund_id, payment_id, amount, currency, status::text AS status, reason, decline, detail,
        requested_by, request_hash, capture_ref, created_at, updated_at
"""
"""In the order of the columns of queries.REFUND, but for the lines."""

_WRITTEN: Final = written(Action.REFUND, named="refund", key="refund_id")

_insert: Final = Statement(_ROWS)

_insert_audited: Final = Statement(
    f"WITH made AS ({_ROWS}), {_WRITTEN} SELECT * FROM made ORDER BY refund_id"  # noqa: S608 (only our own constants)
)

# The triggers of refund_lines (migrations/orders/requests.sql) judge them: the whole of it is one statement.
_WITH_LINES: Final = f"""
    WITH made AS ({_ROWS}), lined AS (
        INSERT INTO refund_lines (refund_id, order_line_id, qty, amount)
        SELECT (SELECT refund_id FROM made ORDER BY refund_id LIMIT 1), back.line_id, back.qty, back.amount
        FROM unnest(CAST(:line_ids AS uuid[]), CAST(:quantities AS integer[]), CAST(:prices AS numeric[]))
            WITH ORDINALITY AS back (line_id, qty, amount, place)
        ORDER BY back.place
    )
"""  # noqa: S608 (only our own constants)

_insert_with_lines: Final = Statement(_WITH_LINES + " SELECT * FROM made ORDER BY refund_id")  # noqa: S608 (only our own constants)

_insert_with_lines_audited: Final = Statement(
    _WITH_LINES + f", {_WRITTEN} SELECT * FROM made ORDER BY refund_id"  # noqa: S608 (only our own constants)
)

TRIES: Final = 5
"""What is left may change between reading and inserting: another refund fails, or takes it."""


REQUEST_LOST_DETAIL: Final = (
    "The provider gave money back for a request of ours that the database has lost, and this may be that request once "
    "more: an operator has to review the payment first."
)

OPERATORS: Final = UUID("6b0c7f0e-6f5e-5d0b-9a3c-1f7d6c1b2a90")
"""The namespace in which an operator's name becomes the id of who requested a refund."""

SERVICE: Final = UUID("4a4f9f4e-6a43-5f0d-9d8e-2f6c1d0b7e15")
"""Who requested a cancellation and its refunds where nobody of the staff did: the service itself. Never changes."""


class PiecesBack(NamedTuple):
    """So many pieces of a line of an order."""

    line_id: UUID
    qty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """The caller's request; without an amount, for all that is left.

    ``capture_id`` names the one capture that it is of, or the attempt where nothing names its captures. ``lines``, in
    place of an amount, are pieces of the payment's order: their price is given back.
    """

    payment_id: UUID
    requested_by: UUID
    key: str
    amount: Decimal | None
    reason: str | None
    capture_id: UUID | None = None
    lines: Sequence[PiecesBack] | None = None

    @property
    def request_hash(self) -> bytes:
        amount = None if self.amount is None else show(self.amount, None)
        hashed = {"payment_id": str(self.payment_id), "amount": amount, "reason": self.reason}
        # Left out where they are not named: so hashes of requests from before there were any are still theirs.
        if self.capture_id is not None:
            hashed["capture_id"] = str(self.capture_id)
        if self.lines is not None:
            hashed["lines"] = json.dumps([[str(each.line_id), each.qty] for each in self.lines])
        return request_hash(hashed)


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


def request_refund(request: RefundRequest, *, origin: Origin | None = None) -> RefundAnswer:
    """Store the request, or give the answer of its key again. Raises Problem.

    With an ``origin`` it is an operator's command, which is written into the audit by the same statement.
    """
    for _ in range(TRIES):
        found = refundable(
            payment_id=request.payment_id,
            requested_by=request.requested_by,
            key=request.key,
            lines=[each.line_id for each in request.lines or ()],
        )
        if found is None:
            raise NotFound("There is no such payment.")
        if found.refunds:
            return RefundAnswer(_replayed(found.refunds, request), [row.refund_id for row in found.refunds], True)
        if found.waits:
            raise StillInProgress(WAITS_FOR_LOOK_UP)
        prices = _prices(found, request)
        amount = request.amount if prices is None else sum(prices, Decimal(0))
        parts = _parts(found, request, amount)
        if found.request_lost:
            raise NotRefundable(REQUEST_LOST_DETAIL, payment_status=found.payment_status.value)
        try:
            rows = _insert_refunds(request, parts, prices, origin)
        except Conflict:
            # A concurrent retry with this key was faster, or another refund took the room: what is true now tells
            # which.
            continue
        notify_of_events()
        made = _made(rows, request, prices)
        return RefundAnswer(show_request(made), [row.refund_id for row in made], False)
    raise StillInProgress("Other refunds of this payment are being requested at this moment: send it again.")


def _replayed(found: Sequence[RefundRow], request: RefundRequest) -> dict[str, Any]:
    """The answer as it was first given. GET shows the refund's status of today."""
    if found[0].request_hash != request.request_hash:
        raise IdempotencyKeyReused("This Idempotency-Key belongs to another request: use a new key for a new refund.")
    shown = show_request(found)
    return shown | {
        "status": RefundStatus.REQUESTED.value,
        "decline": None,
        "provider_answer": None,
        "updated_at": shown["created_at"],
    }


def _insert_refunds(
    request: RefundRequest, parts: Sequence[Part], prices: Sequence[Decimal] | None, origin: Origin | None
) -> Sequence[Any]:
    """The request's rows, and with them their lines. Raises Conflict."""
    values: dict[str, Any] = {
        "payment_id": request.payment_id,
        "amounts": [part.amount for part in parts],
        "captures": [part.source.capture_ref for part in parts],
        "tries": [part.source.attempt_ref for part in parts],
        "reason": request.reason,
        "requested_by": request.requested_by,
        "idempotency_key": request.key,
        "trace_context": tracing.context(),
        "request_hash": request.request_hash,
    }
    if origin is not None:
        values |= audit_values(origin, request.payment_id)
    if request.lines is None:
        return execute(_insert if origin is None else _insert_audited, values)
    values["line_ids"] = [each.line_id for each in request.lines]
    values["quantities"] = [each.qty for each in request.lines]
    with_lines = _insert_with_lines if origin is None else _insert_with_lines_audited
    return execute(with_lines, values | {"prices": prices})


def _made(rows: Sequence[Any], request: RefundRequest, prices: Sequence[Decimal] | None) -> list[RefundRow]:
    """The rows that were inserted, the lines on the first."""
    lines = [
        (str(each.line_id), each.qty, str(price)) for each, price in zip(request.lines or (), prices or (), strict=True)
    ]
    return [
        RefundRow(**row._asdict() | {"status": RefundStatus(row.status)}, lines=None if place else lines)
        for place, row in enumerate(rows)
    ]


def _prices(found: Refundable, request: RefundRequest) -> list[Decimal] | None:
    """The price of the pieces of each line; None where none are named. Raises Problem where they are not there."""
    if request.lines is None:
        return None
    known = {line.id: line for line in found.lines}
    if unknown := [
        {"pointer": f"/lines/{place}/line_id", "detail": "The order that this payment paid has no such line."}
        for place, each in enumerate(request.lines)
        if each.line_id not in known
    ]:
        raise Invalid(errors=unknown)
    named = [(known[each.line_id], each.qty) for each in request.lines]
    if too_many := [{"line_id": str(line.id), "qty": qty, "left": line.left} for line, qty in named if qty > line.left]:
        raise RefundLinesTooLarge(lines=too_many)
    return [line.unit_price * qty for line, qty in named]


def _parts(found: Refundable, request: RefundRequest, amount: Decimal | None) -> list[Part]:
    """How much of this amount, or of all that is left, is given back of which source.

    Raises Problem where it cannot be given back.
    """
    if found.payment_status not in {PaymentStatus.PARTIALLY_PAID, PaymentStatus.PAID}:
        raise NotRefundable(payment_status=found.payment_status.value)
    if amount is not None and not expressible(amount, found.currency):
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
    amount = left if amount is None else amount
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
