"""Takes the request to call a payment off: one INSERT. The worker asks the provider, and records what became of it.

The unique index cancel_requests_payment_id makes a second request the same one (migrations/baseline/payments.sql).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from checkout_service.api.problems import NotFound, Problem
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.payments.queries import payment_of
from checkout_service.payments.status import PaymentStatus

# Asked for once, however often it is asked again; of a payment that is closed nothing is asked any more.
_insert = Statement("""
    WITH payment AS (
        SELECT id, status FROM payments WHERE id = :payment_id AND (user_id = :user_id OR CAST(:anybodys AS boolean))
    ), asked AS (
        INSERT INTO cancel_requests (payment_id, requested_by)
        SELECT id, :user_id FROM payment WHERE status < 'expired'
        ON CONFLICT (payment_id) DO NOTHING
        RETURNING id
    )
    SELECT payment.status::text AS status, EXISTS (SELECT FROM asked) AS asked,
        EXISTS (SELECT FROM cancel_requests WHERE payment_id = payment.id) AS asked_before
    FROM payment
""")


class NoLongerOpen(Problem):
    status = 409
    slug = "no-longer-open"
    title = "The payment is no longer open"
    default_detail = "Only a payment that is still open can be canceled; see its status. Money that came is refunded."


def ask_to_cancel(*, payment_id: UUID, user_id: UUID, anybodys: bool) -> tuple[dict[str, Any], bool]:
    """The payment as it stands, and whether this request was the first to call it off.

    One that was canceled because somebody asked for it is answered like one that is going to be. Raises NotFound and
    NoLongerOpen.
    """
    rows = execute(_insert, {"payment_id": payment_id, "user_id": user_id, "anybodys": anybodys})
    if not rows:
        raise NotFound("There is no such payment, or it is not yours.")
    (found,) = rows
    status = PaymentStatus(found.status)
    done = found.asked_before and status is PaymentStatus.CANCELED
    if not status.open and not done:
        raise NoLongerOpen(payment_status=status.value)
    payment = payment_of(payment_id=payment_id, user_id=None if anybodys else user_id)
    if payment is None:
        raise NotFound
    return payment, found.asked
