"""Cancels orders by one INSERT, which the database itself admits and carries out.

The trigger order_cancellations_admit (migrations/orders/requests.sql) locks the payment and then its order, gives the
pieces back, and asks for the refunds and the void. So what was read before the INSERT may be out of date. It serves to
answer a replay, and to say what is wrong. What a refund that fails leaves is a review reason of the payment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.api.idempotency_key import request_hash
from checkout_service.api.problems import IdempotencyKeyReused, NotFound, StillInProgress
from checkout_service.api.responses import show_time
from checkout_service.database.engine import Conflict, execute
from checkout_service.database.statements import Statement
from checkout_service.orders.problems import CaptureOutstanding, OrderCanceled, OrderFulfilled
from checkout_service.payments.outcomes import WAITS_FOR_LOOK_UP
from checkout_service.publishing.events_wake_up import notify_of_events

_CANCELLATION: Final = """
    done.id, done.order_id, done.payment_id, done.reason, done.refund_ids, done.void_id, done.request_hash,
    done.created_at
"""
"""The values of ``_CancellationRow``."""

_cancelable: Final = Statement(
    f"""
    SELECT made.status::text AS status,
        EXISTS (SELECT FROM capture_requests AS request
            WHERE request.payment_id = made.payment_id AND request.status <= 'processing') AS capturing,
        EXISTS (SELECT FROM look_ups_after_restore AS waiting WHERE waiting.payment_id = made.payment_id) AS waits,
        (SELECT jsonb_agg(jsonb_build_array(line.id, line.qty_fulfilled) ORDER BY line.place)
        FROM order_lines AS line WHERE line.order_id = made.id AND line.qty_fulfilled > 0) AS fulfilled,
        {_CANCELLATION}
    FROM orders AS made
    LEFT JOIN order_cancellations AS done
        ON done.requested_by = :requested_by AND done.idempotency_key = :idempotency_key
    WHERE made.id = :order_id
    """,  # noqa: S608 (only our own constants)
    named=False,
)

_insert: Final = Statement(
    f"""
    INSERT INTO order_cancellations AS done (order_id, reason, requested_by, idempotency_key, request_hash)
    VALUES (:order_id, :reason, :requested_by, :idempotency_key, :request_hash)
    RETURNING {_CANCELLATION}
    """,  # noqa: S608 (only our own constants)
    named=False,
)

TRIES: Final = 3
"""The order may move between reading and inserting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationRequest:
    """The caller's request. The reason goes to the provider with each refund."""

    order_id: UUID
    requested_by: UUID
    key: str
    reason: str | None = None

    @property
    def request_hash(self) -> bytes:
        return request_hash({"order_id": str(self.order_id), "reason": self.reason})


class CancellationAnswer(NamedTuple):
    """The cancellation as the API shows it, what was asked for with it, and whether it is an earlier answer again."""

    cancellation: dict[str, Any]
    refund_ids: list[UUID]
    void_id: UUID | None
    replayed: bool


class _CancellationRow(NamedTuple):
    id: UUID
    order_id: UUID
    payment_id: UUID
    reason: str | None
    refund_ids: list[UUID]
    void_id: UUID | None
    request_hash: bytes
    created_at: datetime


def cancel(request: CancellationRequest) -> CancellationAnswer:
    """Cancel the order, or give the answer of its key again. Raises Problem."""
    for _ in range(TRIES):
        rows = execute(
            _cancelable,
            {"order_id": request.order_id, "requested_by": request.requested_by, "idempotency_key": request.key},
        )
        if not rows:
            raise NotFound("There is no such order.")
        status, capturing, waits, fulfilled, *found = rows[0]
        if found[0] is not None:
            done = _CancellationRow._make(found)
            if done.request_hash != request.request_hash:
                raise IdempotencyKeyReused(
                    "This Idempotency-Key belongs to another request: use a new key for a new cancellation."
                )
            return _answer(done, replayed=True)
        if status == "canceled":
            raise OrderCanceled
        if fulfilled:
            raise OrderFulfilled(lines=[{"line_id": line_id, "qty_fulfilled": qty} for line_id, qty in fulfilled])
        if capturing:
            raise CaptureOutstanding
        if waits:
            raise StillInProgress(WAITS_FOR_LOOK_UP)
        try:
            (row,) = execute(
                _insert,
                {
                    "order_id": request.order_id,
                    "reason": request.reason,
                    "requested_by": request.requested_by,
                    "idempotency_key": request.key,
                    "request_hash": request.request_hash,
                },
            )
        except Conflict:
            # A concurrent retry with this key was faster, or somebody fulfilled something: what is true now tells.
            continue
        notify_of_events()
        return _answer(_CancellationRow._make(row), replayed=False)
    raise StillInProgress("Others change this order at this moment: send it again.")


def _answer(row: _CancellationRow, *, replayed: bool) -> CancellationAnswer:
    shown = {
        "id": str(row.id),
        "order_id": str(row.order_id),
        "order_status": "canceled",
        "payment_id": str(row.payment_id),
        "reason": row.reason,
        "refunds": [str(refund_id) for refund_id in row.refund_ids],
        "void": None if row.void_id is None else str(row.void_id),
        "created_at": show_time(row.created_at),
    }
    return CancellationAnswer(shown, row.refund_ids, row.void_id, replayed)
