"""Reads a payment as staff and programs see it: with its entries, lines, order, and the webhooks about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.delivery_states import REFERENCED_RARE, DeliveryState, listed
from checkout_service.payments.queries import payment_of

DELIVERIES: Final = 100
"""Webhooks that one answer shows. Whoever knows a payment's reference can send many that name it."""

EVENTS: Final = 1000
"""Events, of the payment and of its refunds, whose webhooks are looked for. They outlive their webhooks."""

LONGEST_DETAIL: Final = 500
"""Characters."""

# Those of its events, those that name it by its provider's reference, and those that name it and are unverified: each
# along an index, the newest first. Of their bytes nothing.
_around: Final = Statement(f"""
    SELECT
        (SELECT session.lines FROM checkout_sessions AS session WHERE session.payment_id = payment.id) AS lines,
        (SELECT jsonb_build_array(made.id, made.number_prefix || made.number, made.status)
            FROM orders AS made WHERE made.payment_id = payment.id) AS made,
        (SELECT jsonb_build_array(why.reason, why.other_payment_id)
            FROM order_reasons AS why WHERE why.payment_id = payment.id) AS not_made,
        (SELECT jsonb_agg(jsonb_build_array(delivery.id, delivery.state, delivery.attempts, delivery.received_at,
                delivery.processed_at, delivery.next_attempt_at, left(delivery.detail, {LONGEST_DETAIL}))
                ORDER BY delivery.id)
            FROM webhook_deliveries AS delivery WHERE delivery.id IN (
                SELECT found.id FROM (
                    (SELECT event.delivery_id AS id FROM (
                        (SELECT own.delivery_id FROM payment_events AS own
                        WHERE own.payment_id = payment.id AND own.delivery_id IS NOT NULL
                        ORDER BY own.delivery_id DESC LIMIT {EVENTS})
                        UNION
                        (SELECT own.delivery_id FROM refunds AS refund
                        JOIN refund_events AS own ON own.refund_id = refund.id
                        WHERE refund.payment_id = payment.id AND own.delivery_id IS NOT NULL
                        ORDER BY own.delivery_id DESC LIMIT {EVENTS})
                    ) AS event
                    WHERE EXISTS (SELECT FROM webhook_deliveries AS kept WHERE kept.id = event.delivery_id)
                    ORDER BY event.delivery_id DESC LIMIT {DELIVERIES} + 1)
                    UNION
                    (SELECT named.id FROM webhook_deliveries AS named
                    WHERE named.state IN ({listed(REFERENCED_RARE)}) AND named.provider_ref = payment.provider_ref
                        AND named.provider = payment.provider
                    ORDER BY named.id DESC LIMIT {DELIVERIES} + 1)
                    UNION
                    (SELECT unverified.id FROM webhook_deliveries AS unverified
                    WHERE unverified.state = '{DeliveryState.REJECTED}' AND unverified.rejected_payment = payment.id
                    ORDER BY unverified.received_at DESC, unverified.id DESC LIMIT {DELIVERIES} + 1)
                ) AS found ORDER BY found.id DESC LIMIT {DELIVERIES} + 1
            )) AS deliveries
    FROM payments AS payment WHERE payment.id = :payment_id
""")  # noqa: S608 (only our own constants)


class _Around(Protocol):
    """What is read beside the payment; each is None where there is none."""

    lines: list[dict[str, Any]] | None
    made: list[Any] | None
    not_made: list[Any] | None
    deliveries: list[list[Any]] | None


def whole_payment(*, payment_id: UUID, before: str | None = None) -> dict[str, Any] | None:
    """Anybody's payment as the API shows it to staff, or None; ``before`` is as in ``payment_of``.

    Raises BadCursorError and DatabaseUnavailableError.
    """
    shown = payment_of(payment_id=payment_id, user_id=None, before=before)
    if shown is None:
        return None
    rows = execute(_around, {"payment_id": payment_id})
    if not rows:
        return None
    around: _Around = rows[0]
    deliveries = around.deliveries or []
    order = None if around.made is None else dict(zip(("id", "number", "status"), around.made, strict=True))
    not_made = None if around.not_made is None else dict(zip(("reason", "payment_id"), around.not_made, strict=True))
    return shown | {
        "order": order,
        "without_order": not_made,
        "lines": around.lines or [],
        "deliveries": [_show_delivery(values) for values in deliveries[-DELIVERIES:]],
        "more_deliveries": len(deliveries) > DELIVERIES,
    }


def _show_delivery(values: list[Any]) -> dict[str, Any]:
    delivery_id, state, attempts, received_at, processed_at, next_attempt_at, detail = values
    return {
        "id": delivery_id,
        "state": state,
        "attempts": attempts,
        "received_at": _time(received_at),
        "processed_at": _time(processed_at),
        "next_attempt_at": _time(next_attempt_at),
        "detail": detail,
    }


def _time(text: str | None) -> str | None:
    return None if text is None else show_time(datetime.fromisoformat(text))
