"""Everything that is held of a person, row by row, in short statements: an export keeps nobody waiting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute

PAGE: Final = 200
"""Rows of one statement."""

_OF_PAYMENTS: Final = "payment_id IN (SELECT id FROM payments WHERE user_id = :user)"
_OF_ORDERS: Final = "order_id IN (SELECT id FROM orders WHERE user_id = :user)"
_REQUESTED_BY_OR_OF: Final = f"(requested_by = :user OR {_OF_PAYMENTS})"

HELD: Final = {
    "user": ("users", "id = :user"),
    "guest": ("guests", "id = :user"),
    "cart": ("carts", "user_id = :user"),
    "cart_line": ("cart_items", "cart_id IN (SELECT id FROM carts WHERE user_id = :user)"),
    "session": ("checkout_sessions", "user_id = :user"),
    "session_address": ("session_addresses", _OF_PAYMENTS),
    "payment": ("payments", "user_id = :user"),
    "look_up_after_restore": ("look_ups_after_restore", _OF_PAYMENTS),
    "payment_mate": ("payment_mates", _OF_PAYMENTS),
    "attempt": ("payment_attempts", _OF_PAYMENTS),
    "capture": ("captures", _OF_PAYMENTS),
    "dispute": ("disputes", _OF_PAYMENTS),
    "event": ("payment_events", _OF_PAYMENTS),
    "notice": ("payment_notices", _OF_PAYMENTS),
    "review": ("payment_reviews", _OF_PAYMENTS),
    "acceptance": ("payment_acceptances", _OF_PAYMENTS),
    "refund": ("refunds", _REQUESTED_BY_OR_OF),
    "refund_event": (
        "refund_events",
        f"refund_id IN (SELECT id FROM refunds WHERE {_OF_PAYMENTS})",  # noqa: S608 (only our own constants)
    ),
    "capture_request": ("capture_requests", _REQUESTED_BY_OR_OF),
    "void": ("voids", _REQUESTED_BY_OR_OF),
    "cancel_request": ("cancel_requests", _OF_PAYMENTS),
    "order": ("orders", "user_id = :user"),
    "order_line": ("order_lines", _OF_ORDERS),
    "order_reason": ("order_reasons", _OF_PAYMENTS),
    "fulfilment": ("fulfilments", f"(requested_by = :user OR {_OF_ORDERS})"),
    "order_cancellation": ("order_cancellations", f"(requested_by = :user OR {_OF_ORDERS})"),
    "refund_line": (
        "refund_lines",
        f"order_line_id IN (SELECT id FROM order_lines WHERE {_OF_ORDERS})",  # noqa: S608 (only our own constants)
    ),
    "settlement_match": ("settlement_matches", _OF_PAYMENTS),
    "balance_entry": (
        "balance_entries",
        f"id IN (SELECT entry_id FROM settlement_matches WHERE {_OF_PAYMENTS})",  # noqa: S608 (only our own constants)
    ),
    "hold": ("holds", f"(user_id = :user OR {_OF_PAYMENTS})"),
    "log_event": ("events", "lane IN (SELECT id FROM payments WHERE user_id = :user)"),
    "event_attempt": (
        "event_attempts",
        """NOT succeeded AND endpoint_id IN (SELECT id FROM webhook_endpoints) AND event_id IN (
            SELECT event.id FROM payments AS payment JOIN events AS event ON event.lane = payment.id
            WHERE payment.user_id = :user AND NOT event_attempts.succeeded AND event_attempts.answer IS NOT NULL)""",
    ),
    "operator_command": (
        "audit",
        "subject IN (SELECT CAST(:user AS text) UNION ALL SELECT id::text FROM payments WHERE user_id = :user)",
    ),
    "webhook": (
        "webhook_deliveries",
        """id IN (
            SELECT event.delivery_id FROM payments AS payment JOIN payment_events AS event
                ON event.payment_id = payment.id WHERE payment.user_id = :user
            UNION
            SELECT event.delivery_id FROM payments AS payment JOIN refunds AS refund ON refund.payment_id = payment.id
                JOIN refund_events AS event ON event.refund_id = refund.id WHERE payment.user_id = :user
            UNION
            SELECT webhook.id FROM payments AS payment JOIN webhook_deliveries AS webhook
                ON webhook.provider = payment.provider AND webhook.provider_ref = payment.provider_ref
                AND webhook.state IN ('parked', 'duplicate', 'ignored', 'failed') WHERE payment.user_id = :user
            UNION
            SELECT webhook.id FROM payments AS payment JOIN webhook_deliveries AS webhook
                ON webhook.rejected_payment = payment.id AND webhook.state = 'rejected'
            WHERE payment.user_id = :user)""",
    ),
}
"""By kind: the table, and which of its rows are about the person."""

_HIDDEN: Final = {
    "guests": ("token_hash",),
    "audit": ("operator",),
    "payment_acceptances": ("operator",),
    "checkout_sessions": ("payment_token", "request_hash"),
    "refunds": ("request_hash",),
    "capture_requests": ("request_hash",),
    "voids": ("request_hash",),
    "fulfilments": ("request_hash",),
    "order_cancellations": ("request_hash",),
}
"""Another person's name, a secret of the provider's, and what is computed of the rest."""

_statements: Final = {
    kind: text(f"""
        SELECT id, (to_jsonb(row) - CAST(:hidden AS text[]))::text AS row
        FROM (SELECT * FROM {table} WHERE {condition} AND id > :after ORDER BY id LIMIT {PAGE}) AS row
        ORDER BY id
    """)  # noqa: S608 (only our own constants)
    for kind, (table, condition) in HELD.items()
}

_FIRST: Final = UUID(int=0)

_PRICES: Final = ("unit_price", "line_total")


_guests: Final = text("SELECT id FROM guests WHERE customer_id = :user ORDER BY id")


def held_of(user_id: UUID) -> Iterator[dict[str, Any]]:
    """Each row about this person, with its ``kind``, and those of the guests whom they turned out to be. Amounts are
    text, as in the API, and so are bytes that are text.

    Raises DatabaseUnavailableError.
    """
    for owner in (user_id, *(row.id for row in execute(_guests, {"user": user_id}))):
        yield from _held_by(owner)


def _held_by(user_id: UUID) -> Iterator[dict[str, Any]]:
    for kind, (table, _) in HELD.items():
        after = _FIRST
        while rows := execute(
            _statements[kind], {"user": user_id, "after": after, "hidden": list(_HIDDEN.get(table, ()))}
        ):
            for row in rows:
                held = json.loads(row.row, parse_float=str)
                yield {"kind": kind, **{name: _shown(name, value) for name, value in held.items()}}
            after = rows[-1].id


def _shown(name: str, value: Any) -> Any:
    if value is not None and (name.startswith("amount") or name in _PRICES):
        return str(value)
    if name in {"body", "answer"} and isinstance(value, str):
        try:
            return bytes.fromhex(value[2:]).decode()
        except ValueError:
            return value
    return value
