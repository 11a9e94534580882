"""Takes the request to cancel a payment: one INSERT. The worker asks the provider, and records what became of it.

The unique index cancel_requests_payment_id makes a second request the same one (migrations/baseline/payments.sql).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple
from uuid import UUID

from checkout_service.api.problems import NotFound, Problem
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.owners import is_for
from checkout_service.payments.queries import payment_of
from checkout_service.payments.status import PaymentStatus
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.tasks import TaskName
from checkout_service.telemetry import logs, tracing

# Entered once, however often it is requested again; a payment that is closed takes no request any more.
_INSERT: Final = """
    WITH payment AS (
        SELECT id, status FROM payments
        WHERE id = :payment_id AND {of_caller}
    ), request AS (
        INSERT INTO cancel_requests (payment_id, requested_by, trace_context)
        SELECT id, :user_id, :trace_context FROM payment WHERE status < 'expired' AND status <> 'authorized'
        ON CONFLICT (payment_id) DO NOTHING
        RETURNING id
    )
    SELECT payment.status::text AS status, EXISTS (SELECT FROM request) AS entered,
        EXISTS (SELECT FROM cancel_requests WHERE payment_id = payment.id) AS entered_before
    FROM payment
"""

_insert = {
    anybodys: Statement(_INSERT.format(of_caller=is_for("payments.user_id", anybodys=anybodys)))
    for anybodys in (True, False)
}


class NoLongerOpen(Problem):
    status = 409
    slug = "no-longer-open"
    title = "The payment is no longer open"
    default_detail = (
        "Only a payment that is still open can be canceled; see its status. Money that came is refunded, money that is "
        "authorized is voided by staff."
    )
    example: ClassVar[Mapping[str, Any]] = {"payment_status": "paid"}


class _Row(NamedTuple):
    """The payment's status, and whether a request was entered now, or before."""

    status: str
    entered: bool
    entered_before: bool


def request_to_cancel(*, payment_id: UUID, user_id: UUID, anybodys: bool) -> dict[str, Any]:
    """Enter the request, and send it to a worker if it is the first. Returns the payment, as the API shows it.

    ``anybodys`` lets this user cancel a payment of another customer.
    A payment that was canceled because somebody requested it is answered like one that is going to be. Raises NotFound,
    NoLongerOpen and DatabaseUnavailableError.
    """
    values = {"payment_id": payment_id, "user_id": user_id}
    rows = execute(_insert[anybodys], values | {"trace_context": tracing.context()})
    if not rows:
        raise NotFound("There is no such payment, or it is not yours.")
    row = _Row._make(rows[0])
    status = PaymentStatus(row.status)
    done = row.entered_before and status is PaymentStatus.CANCELED
    if (not status.open or status is PaymentStatus.AUTHORIZED) and not done:
        raise NoLongerOpen(payment_status=status.value)
    payment = payment_of(payment_id=payment_id, user_id=None if anybodys else user_id)
    if payment is None:
        raise NotFound
    if row.entered:
        background_publisher().send(TaskName.CANCEL_PAYMENT, str(payment_id), logs.request_id())
    return payment
