"""Reads the payment history: everything that is known of one payment, as typed entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.delivery_states import DeliveryState
from checkout_service.oversight.entries import (
    CancelRequested,
    Entry,
    PaymentClosed,
    PaymentEventRecorded,
    RefundEntered,
    RefundEventRecorded,
    SessionOpened,
    WebhookReceived,
)
from checkout_service.oversight.money_entries import money_entries
from checkout_service.oversight.order_entries import (
    ORDER,
    OrderNow,
    WithoutOrder,
    order_entries,
    order_now,
    without_order,
)
from checkout_service.payments.look_up_log import read_log
from checkout_service.payments.mates import mates_of
from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import PaymentStatus, RefundStatus

PAGE: Final = 5000
"""Webhooks that one statement looks through: some tens of milliseconds."""

SEARCHED: Final = 8 * 2**20
"""Bytes of webhooks that one statement searches: some ten milliseconds. Anybody may send webhooks, of up to 256 KiB."""

FOUND: Final = 500
"""Webhooks that one statement finds: somebody who knows a payment's reference can send as many that name it."""

EARLY: Final = timedelta(hours=1)
"""How long before its payment a webhook may have come: a provider can be faster than our own INSERT."""

# The other payments for the same things, where money came for both.
_payment = text(f"""
    SELECT id, user_id, provider, provider_ref, status::text AS status, amount, currency, amount_captured, amount_lost,
        amount_blocked, amount_authorized, amount_accepted, amount_refunded, amount_refunding, under_way, version,
        review_reason, created_at, next_look_up_at, look_ups, look_up_log, closed::text AS closed,
        coalesce((SELECT min(event.received_at) FROM payment_events AS event
            WHERE event.payment_id = payment.id AND event.status = payment.closed), updated_at) AS closed_at,
        (SELECT min(attempt.expires_at) FROM payment_attempts AS attempt
            WHERE payment.amount_authorized > 0 AND attempt.payment_id = payment.id AND attempt.status = 'authorized'
                AND NOT attempt.rest_released AND NOT EXISTS (
                    SELECT FROM payment_attempts AS newer
                    WHERE newer.payment_id = payment.id AND newer.replaces = attempt.attempt_ref)
        ) AS authorization_expires_at,
        (SELECT jsonb_agg(jsonb_build_array(mate.id, mate.status, mate.amount_captured::text,
                (mate.amount_captured - mate.amount_lost - mate.amount_refunded)::text, mate.currency) ORDER BY mate.id)
            FROM {mates_of("payment.id")} AS other JOIN payments AS mate ON mate.id = other.payment_id
            WHERE payment.amount_captured > 0 AND mate.amount_captured > 0
        ) AS duplicates, {ORDER}
    FROM payments AS payment WHERE id = :id
""")  # noqa: S608 (only our own constants)

_session = text("""
    SELECT created_at AS at, cart_id, idempotency_key, amount, currency, jsonb_array_length(lines) AS lines, expires_at
    FROM checkout_sessions WHERE payment_id = :id
""")

_events = text("""
    SELECT received_at AS at, event_id, delivery_id, status::text AS status, amount, currency, outcome, occurred_at,
        entries AS about
    FROM payment_events WHERE payment_id = :id ORDER BY received_at, id
""")

_refunds = text("""
    SELECT created_at AS at, id AS refund_id, provider_ref, amount, currency, status::text AS status, reason, decline,
        requested_by, coalesce(capture_ref, nullif(attempt_ref, '')) AS of, attempts, detail, next_attempt_at
    FROM refunds WHERE payment_id = :id ORDER BY id
""")

_refund_events = text("""
    SELECT event.received_at AS at, event.event_id, event.delivery_id, event.status::text AS status, event.amount,
        event.currency, event.outcome, event.occurred_at, NULL AS about
    FROM refund_events AS event JOIN refunds ON refunds.id = event.refund_id WHERE refunds.payment_id = :id
    ORDER BY event.received_at, event.id
""")

_cancel_requests = text("""
    SELECT created_at AS at, requested_by, attempts, detail, next_attempt_at FROM cancel_requests WHERE payment_id = :id
""")

_WEBHOOK_COLUMNS: Final = "id AS delivery_id, received_at AS at, state, attempts, detail, next_attempt_at, processed_at"

_linked = text(f"SELECT {_WEBHOOK_COLUMNS} FROM webhook_deliveries WHERE id = ANY(CAST(:ids AS uuid[]))")  # noqa: S608 (only our own constants)

# A repeated webhook, a rejected or a failed one is tied to no payment by anything but the bytes in it. Keys are version
# 7 UUIDs, so a walk along the primary key begins where the payment did.
_walk = text(f"""
    WITH following AS (
        SELECT *, provider = :provider AND octet_length(body) <= :largest AS is_searched
        FROM webhook_deliveries WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT {PAGE}
    ), counted AS (
        SELECT *, sum(CASE WHEN is_searched THEN octet_length(body) ELSE 0 END)
            OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
        FROM following
    ), page AS (
        SELECT * FROM counted WHERE coalesce(bytes_before, 0) < {SEARCHED}
    )
    SELECT last.id AS last_id, found.* FROM (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last
    LEFT JOIN (
        SELECT {_WEBHOOK_COLUMNS} FROM page
        WHERE is_searched AND (
            position(convert_to(:reference, 'UTF8') IN body) > 0
            OR position(convert_to(:payment_id, 'UTF8') IN body) > 0
        )
        ORDER BY id LIMIT {FOUND}
    ) AS found ON true
    ORDER BY found.delivery_id
""")  # noqa: S608 (only our own constants)

_first_key = text(
    "SELECT uuidv7(CAST(:created_at AS timestamptz) - clock_timestamp() - CAST(:early AS interval)) AS id"
)


class _EventRow(NamedTuple):
    """A row of ``_events`` or ``_refund_events``."""

    at: datetime
    event_id: str
    delivery_id: UUID | None
    status: str | None
    amount: Decimal | None
    currency: str | None
    outcome: str
    occurred_at: datetime | None
    about: Sequence[Mapping[str, str]] | None


class _WebhookRow(NamedTuple):
    """The values of ``_WEBHOOK_COLUMNS``."""

    delivery_id: UUID
    at: datetime
    state: str
    attempts: int
    detail: str | None
    next_attempt_at: datetime | None
    processed_at: datetime | None


class Duplicate(NamedTuple):
    """Another payment for the same things, the money that came for it, and what is still here of it."""

    id: UUID
    status: PaymentStatus
    amount_captured: Decimal
    amount_left: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentNow:
    """A payment as its row is now. Amounts are in its currency; ``next_look_up_at`` is None when none is ahead.

    ``duplicates`` are payments for the same things where money came for both. With money it has either its
    ``order`` or a reason to be ``without_order``.
    """

    id: UUID
    user_id: UUID
    provider: str
    provider_ref: str
    status: PaymentStatus
    amount: Decimal
    currency: str
    amount_captured: Decimal
    amount_lost: Decimal
    amount_blocked: Decimal
    amount_authorized: Decimal
    amount_accepted: Decimal | None
    amount_refunded: Decimal
    amount_refunding: Decimal
    under_way: bool
    authorization_expires_at: datetime | None
    version: int
    review_reason: str | None
    duplicates: Sequence[Duplicate]
    order: OrderNow | None
    without_order: WithoutOrder | None
    created_at: datetime
    next_look_up_at: datetime | None
    look_ups: int

    @property
    def amount_left(self) -> Decimal:
        """What came and is still here."""
        return self.amount_captured - self.amount_lost - self.amount_refunded

    @property
    def amount_refundable(self) -> Decimal:
        """What may be given back now."""
        gone = self.amount_lost + self.amount_blocked + self.amount_refunded + self.amount_refunding
        return max(self.amount_captured - gone, Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentHistory:
    """A payment and what happened to it, in no order between the tables.

    ``looked_until`` is the last webhook looked at, if the look ended there and more webhooks may follow.
    """

    payment: PaymentNow
    entries: Sequence[Entry]
    looked_until: UUID | None = None


def read_history(
    payment_id: UUID,
    *,
    owner: UUID | None = None,
    pages: int | None = None,
    largest: int = 2**30,
    early: timedelta = EARLY,
    after: UUID | None = None,
) -> PaymentHistory | None:
    """Everything known of this payment, or None. Raises DatabaseUnavailableError.

    Webhooks that no event leads to are looked for in so many ``pages`` of webhooks, from where the payment began or
    behind the webhook ``after``; in all of them without a number. A page ends early where it has searched or found
    enough. Those of more than ``largest`` bytes are not searched. With an ``owner``, another's payment is None at once.
    """
    rows = execute(_payment, {"id": payment_id})
    if not rows:
        return None
    columns = rows[0]._asdict()
    questions = read_log(columns.pop("look_up_log"))
    closed, closed_at = columns.pop("closed"), columns.pop("closed_at")
    duplicates = [
        Duplicate(UUID(id_), PaymentStatus(status), Decimal(came), Decimal(left), currency)
        for id_, status, came, left, currency in columns.pop("duplicates") or ()
    ]
    made, not_made = columns.pop("made"), columns.pop("not_made")
    columns |= {"order": order_now(made), "without_order": without_order(not_made)}
    payment = PaymentNow(**columns | {"status": PaymentStatus(columns["status"]), "duplicates": duplicates})
    if owner is not None and payment.user_id != owner:
        return None
    events = [
        PaymentEventRecorded(**_event(row, PaymentStatus), about=row.about or ())
        for row in map(_EventRow._make, execute(_events, {"id": payment_id}))
    ]
    refund_events = [
        RefundEventRecorded(**_event(row, RefundStatus))
        for row in map(_EventRow._make, execute(_refund_events, {"id": payment_id}))
    ]
    recorded: list[PaymentEventRecorded | RefundEventRecorded] = [*events, *refund_events]
    linked = {event.delivery_id for event in recorded if event.delivery_id}
    linked_rows = map(_WebhookRow._make, execute(_linked, {"ids": list(linked)}))
    webhooks = {row.delivery_id: _webhook(row) for row in linked_rows}
    if after is None:
        ((after,),) = execute(_first_key, {"created_at": payment.created_at, "early": early})
    about, looked_until = _webhooks_about(payment, pages, after, largest)
    webhooks |= about
    entries: list[Entry] = [
        *(SessionOpened(**row._asdict()) for row in execute(_session, {"id": payment_id})),
        *(CancelRequested(**row._asdict()) for row in execute(_cancel_requests, {"id": payment_id})),
        *(webhooks[id_] for id_ in sorted(webhooks)),
        *(
            RefundEntered(**row._asdict() | {"status": RefundStatus(row.status)})
            for row in execute(_refunds, {"id": payment_id})
        ),
        *money_entries(payment_id),
        *order_entries(made, not_made),
        *((PaymentClosed(at=closed_at, status=PaymentStatus(closed)),) if closed else ()),
        *questions,
        *recorded,
    ]
    return PaymentHistory(payment=payment, entries=entries, looked_until=looked_until)


def _event(row: _EventRow, status: type[PaymentStatus | RefundStatus]) -> dict[str, Any]:
    """The columns of an event, with the words of its status and outcome."""
    columns = row._asdict()
    del columns["about"]
    proven = None if row.status is None else status(row.status)
    return columns | {"status": proven, "outcome": EventOutcome(row.outcome)}


def _webhook(row: _WebhookRow) -> WebhookReceived:
    return WebhookReceived(**row._asdict() | {"state": DeliveryState(row.state)})


def _webhooks_about(
    payment: PaymentNow, pages: int | None, after: UUID | None, largest: int
) -> tuple[dict[UUID, WebhookReceived], UUID | None]:
    """Webhooks whose bytes speak of the payment, and where the walk stopped unless it came to the end."""
    search = {
        "provider": payment.provider,
        "reference": payment.provider_ref,
        "payment_id": str(payment.id),
        "largest": largest,
    }
    about: dict[UUID, WebhookReceived] = {}
    while pages != 0:
        page = execute(_walk, {"after": after, **search})
        if not page:
            return about, None
        for last_id, *columns in page:
            after = last_id
            if columns[0] is not None:  # else no webhook of this page speaks of the payment
                row = _WebhookRow._make(columns)
                about[row.delivery_id] = _webhook(row)
        if len(page) == FOUND:
            after = page[-1].delivery_id  # there may be more of them before the page's end
        pages = None if pages is None else pages - 1
    return about, after
