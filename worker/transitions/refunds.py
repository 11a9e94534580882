"""The refunds' transitions: the only writer of ``refunds.status``.

Like the payments' it takes many events and a fixed number of statements. Payments are locked first, by id, then their
refunds; nobody can enter another refund of a locked payment, so what is left of it is computed here and stays true.
The database lets no status move back (trigger refunds_guard), and holds the sum within what was paid in any case
(refunds_fill_from_payment, refunds_update_sums): migrations/baseline/refunds.sql. That only refunds move the sums
is held by payments_guard_refund_sums in migrations/baseline/payments.sql.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Decline
from checkout_service.telemetry.metrics import refunds_total
from worker.transitions import refund_statements
from worker.transitions.outcomes import Outcome
from worker.transitions.payments import Report, record
from worker.transitions.rules import Entered, Entry, HeldPayment, HeldRefund, RefundReport, proven

Payments = dict[tuple[str, str], HeldPayment]
"""By provider and provider_ref."""


def record_all(
    connection: Connection, reports: Sequence[Report], refunds: Sequence[RefundReport]
) -> tuple[list[Outcome], list[Entered]]:
    """Enter events about payments and about refunds in the caller's transaction; what each did, in order."""
    if not reports and not refunds:
        return [], []
    outcomes = record(connection, reports, besides=[report.event.provider_ref for report in refunds])
    return outcomes, record_refunds(connection, refunds) if refunds else []


def record_refunds(connection: Connection, reports: Sequence[RefundReport]) -> list[Entered]:
    """Enter events about refunds, whose payments the caller's transaction has locked by ``record``.

    Events about payments that are not here yet are PARKED; those that cannot be entered yet are WAITING. Neither leaves
    a trace, but for a flag on a payment of which the provider gave back more than there is.
    """
    entry = Entry(_lock(connection, {report.event.provider_ref for report in reports}))
    entry.remember(_known_events(connection, reports, entry.payments))
    # First what may give room back, then what needs room.
    order = sorted(range(len(reports)), key=lambda index: entry.refund_of(reports[index].event) is None)
    entered = {index: entry.enter(reports[index]) for index in order}
    _write(connection, entry)
    return [entered[index] for index in range(len(reports))]


def refuse(connection: Connection, *, refund_id: UUID, provider_ref: str, decline: Decline) -> bool:
    """Record that the provider refused a refund of ours, or we in its place; whether that was news."""
    payments = _lock(connection, {provider_ref})
    for refund in [refund for payment in payments.values() for refund in payment.refunds if refund.id == refund_id]:
        if refund.status is RefundStatus.REQUESTED:
            refund.status, refund.decline, refund.changed = RefundStatus.FAILED, decline, True
            _move(connection, [refund])
            return True
    return False


def count_refunds(reports: Sequence[RefundReport], entered: Sequence[Entered]) -> None:
    """Count refunds that moved; after the commit."""
    for report, entry in zip(reports, entered, strict=True):
        if entry.outcome is Outcome.APPLIED:
            refunds_total.labels(report.event.provider, proven(report.event).value).inc()


def _lock(connection: Connection, references: set[str]) -> Payments:
    """The payments with their refunds, locked until the transaction ends."""
    payments: Payments = {}
    for row in connection.execute(refund_statements.LOCK_PAYMENTS, {"references": sorted(references)}):
        payments[row.provider, row.provider_ref] = HeldPayment(
            id=row.id,
            status=PaymentStatus(row.status),
            currency=row.currency,
            left=row.amount - row.taken,
            reasons=set(row.review_reason.split(", ")) if row.review_reason else set(),
        )
    by_id = {payment.id: payment for payment in payments.values()}
    for row in connection.execute(refund_statements.LOCK_REFUNDS, {"payments": list(by_id)}) if by_id else ():
        payment = by_id[row.payment_id]
        payment.refunds.append(
            HeldRefund(
                payment=payment,
                id=row.id,
                reference=row.provider_ref,
                amount=row.amount,
                status=RefundStatus(row.status),
                asked=row.asked,
                ours=row.ours,
            )
        )
    return payments


def _known_events(connection: Connection, reports: Sequence[RefundReport], payments: Payments) -> Sequence[Any]:
    refunds = [refund.id for payment in payments.values() for refund in payment.refunds]
    if not refunds:
        return ()
    events = sorted({report.event.event_id for report in reports})
    return connection.execute(refund_statements.KNOWN_EVENTS, {"events": events, "refunds": refunds}).all()


def _write(connection: Connection, entry: Entry) -> None:
    """Refunds that are here first: what fails gives its room to those that are inserted after."""
    held = [refund for payment in entry.payments.values() for refund in payment.refunds]
    _move(connection, [refund for refund in held if refund.id is not None and refund.changed])
    _insert(connection, [refund for refund in held if refund.id is None])
    if entry.events:
        _insert_events(connection, list(entry.events.values()))
    flagged = [payment for payment in entry.payments.values() if payment.flagged]
    if flagged:
        reasons = [", ".join(sorted(payment.reasons)) for payment in flagged]
        connection.execute(
            refund_statements.FLAG_PAYMENTS, {"ids": [payment.id for payment in flagged], "reasons": reasons}
        )


def _move(connection: Connection, refunds: Sequence[HeldRefund]) -> None:
    if refunds:
        connection.execute(
            refund_statements.MOVE_REFUNDS,
            {
                "ids": [refund.id for refund in refunds],
                "statuses": [refund.status.value for refund in refunds],
                "references": [refund.reference for refund in refunds],
                "declines": [refund.decline for refund in refunds],
            },
        )


def _insert(connection: Connection, refunds: Sequence[HeldRefund]) -> None:
    if not refunds:
        return
    rows = connection.execute(
        refund_statements.INSERT_REFUNDS,
        {
            "payments": [refund.payment.id for refund in refunds],
            "references": [refund.reference for refund in refunds],
            "amounts": [refund.amount for refund in refunds],
            "statuses": [refund.status.value for refund in refunds],
            "declines": [refund.decline for refund in refunds],
        },
    )
    ids = {(row.payment_id, row.provider_ref): row.id for row in rows}
    for refund in refunds:
        refund.id = ids[refund.payment.id, refund.reference]


def _insert_events(connection: Connection, events: Sequence[tuple[RefundReport, HeldRefund, Outcome]]) -> None:
    provider_events = [report.event for report, _, _ in events]
    connection.execute(
        refund_statements.INSERT_EVENTS,
        {
            "deliveries": [report.delivery_id for report, _, _ in events],
            "providers": [provider_event.provider for provider_event in provider_events],
            "events": [provider_event.event_id for provider_event in provider_events],
            "refunds": [refund.id for _, refund, _ in events],
            "statuses": [provider_event.status.value for provider_event in provider_events],
            "amounts": [provider_event.amount for provider_event in provider_events],
            "currencies": [provider_event.currency for provider_event in provider_events],
            "outcomes": [outcome.value for _, _, outcome in events],
            "occurred": [provider_event.occurred_at for provider_event in provider_events],
            "received": [report.received_at for report, _, _ in events],
        },
    )
