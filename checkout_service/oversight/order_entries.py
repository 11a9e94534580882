"""What became of a payment's order, as entries of its timeline: read along with the payment, by no statement more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.oversight.entries import Entry, NoOrderMade, OrderCanceled, OrderFulfilled, OrderPlaced

ORDER: Final = """
    (SELECT jsonb_build_object('id', made.id, 'number', made.number_prefix || made.number, 'status', made.status,
            'at', made.created_at,
            'fulfilments', (SELECT jsonb_agg(to_jsonb(done) ORDER BY done.id) FROM (
                SELECT id, created_at AS at, carrier, tracking, requested_by,
                    (SELECT sum((line ->> 'qty')::integer) FROM jsonb_array_elements(lines) AS line) AS pieces
                FROM fulfilments WHERE order_id = made.id) AS done),
            'cancellations', (SELECT jsonb_agg(to_jsonb(done) ORDER BY done.id) FROM (
                SELECT id, created_at AS at, reason, requested_by FROM order_cancellations WHERE order_id = made.id
            ) AS done))
        FROM orders AS made WHERE made.payment_id = payment.id) AS made,
    (SELECT jsonb_build_object('reason', why.reason, 'other', why.other_payment_id, 'at', why.created_at)
        FROM order_reasons AS why WHERE why.payment_id = payment.id) AS not_made
"""
"""Two columns of a row of ``payment``: its order with what was done about it, and why it has none."""


class OrderNow(NamedTuple):
    """The order that a payment pays for; no number for moments after it was made."""

    id: UUID
    number: str | None
    status: str


class WithoutOrder(NamedTuple):
    """Why a payment with money has no order (a ``NoOrder``), and which payment has it in its place, if one does."""

    reason: str
    other: UUID | None


def order_now(made: Mapping[str, Any] | None) -> OrderNow | None:
    """The first column of ``ORDER``."""
    return None if made is None else OrderNow(UUID(made["id"]), made["number"], made["status"])


def without_order(not_made: Mapping[str, Any] | None) -> WithoutOrder | None:
    """The second column of ``ORDER``."""
    return None if not_made is None else WithoutOrder(not_made["reason"], _id(not_made["other"]))


def order_entries(made: Mapping[str, Any] | None, not_made: Mapping[str, Any] | None) -> Iterator[Entry]:
    """What both columns say, as entries."""
    if made is not None:
        yield OrderPlaced(at=_at(made), order_id=UUID(made["id"]), number=made["number"])
        for done in made["fulfilments"] or ():
            yield OrderFulfilled(
                at=_at(done),
                fulfilment_id=UUID(done["id"]),
                pieces=done["pieces"] or 0,
                carrier=done["carrier"],
                tracking=done["tracking"],
                requested_by=UUID(done["requested_by"]),
            )
        for done in made["cancellations"] or ():
            yield OrderCanceled(
                at=_at(done),
                cancellation_id=UUID(done["id"]),
                reason=done["reason"],
                requested_by=UUID(done["requested_by"]),
            )
    if not_made is not None:
        yield NoOrderMade(at=_at(not_made), reason=not_made["reason"], other=_id(not_made["other"]))


def _at(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
