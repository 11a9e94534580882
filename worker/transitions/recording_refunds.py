"""Reads and writes refunds and the events about them, each in one statement for a set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import Connection

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import ProviderRefundEvent
from worker.transitions import statements
from worker.transitions.entering import Entries
from worker.transitions.locked import LockedPayment, LockedRefund
from worker.transitions.matching import Match
from worker.transitions.outcomes import Change, Effect, ObjectKind, Outcome, ReceivedEvent
from worker.transitions.refunds import RefundEventEntry, RefundEvents, refund_of


def apply_refunds(
    connection: Connection,
    events: Sequence[ReceivedEvent],
    matched: Sequence[Match],
    entries: Entries,
    effects: list[Effect],
) -> RefundEvents:
    """Apply the events about refunds of payments that are here, and put their effects in; nothing is written yet."""
    about: dict[int, tuple[ProviderRefundEvent, LockedPayment]] = {}
    for place, (received, match) in enumerate(zip(events, matched, strict=True)):
        if not isinstance(received.event, ProviderRefundEvent) or match.payment is None:
            continue
        if match.others:
            entries.flag_names(match.payment.id, match.others, place)
            effects[place] = Effect(Outcome.MISMATCH)
        else:
            about[place] = (received.event, match.payment)
    payments = list({payment.id: payment for _, payment in about.values()}.values())
    lock_refunds(connection, payments)
    known = _known_refund_events(connection, payments, [event for event, _ in about.values()])

    def flag(payment: LockedPayment, ref: str, detail: str) -> None:
        entries.notice(payment.id, ReviewReason.REFUND_MISMATCH, ref=ref, detail=detail)

    others = _other_requests(connection, payments, [event for event, _ in about.values()])
    applied = RefundEvents(payments, known, flag, other_requests=others)
    # First the refunds that are here: an answer gives one of ours its reference, by which a report knows it.
    for place in sorted(about, key=lambda place: refund_of(*about[place]) is None):
        event, payment = about[place]
        effects[place] = applied.apply(events[place], event, payment)
    return applied


def lock_refunds(connection: Connection, payments: Iterable[LockedPayment]) -> None:
    """Put all refunds of these payments into them, locked until the transaction ends."""
    by_id = {payment.id: payment for payment in payments}
    if not by_id:
        return
    for row in map(statements.RefundRow._make, statements.LOCK_REFUNDS.within(connection, {"payments": sorted(by_id)})):
        payment = by_id[row.payment_id]
        payment.refunds.append(
            LockedRefund(
                payment=payment,
                id=row.id,
                provider_ref=row.provider_ref,
                amount=row.amount,
                status=RefundStatus(row.status),
                capture_ref=row.capture_ref,
                attempt_ref=row.attempt_ref,
                sent=row.sent,
                ours=row.ours,
                named_by_operator=row.named_by_operator,
                in_doubt=row.in_doubt,
                made_for=row.made_for,
            )
        )


def write_refunds(connection: Connection, refunds: Sequence[LockedRefund]) -> list[Change]:
    """Write the refunds that moved and those that are new; their new versions."""
    moved = [refund for refund in refunds if refund.id is not None and refund.changed]
    return [*_move(connection, moved), *_insert(connection, [refund for refund in refunds if refund.id is None])]


def insert_refund_events(connection: Connection, entries: Sequence[RefundEventEntry]) -> None:
    """Insert the events about refunds, which are all here by now."""
    if not entries:
        return
    events = [entry.event for entry in entries]
    statements.INSERT_REFUND_EVENTS.within(
        connection,
        {
            "deliveries": [entry.received.delivery_id for entry in entries],
            "providers": [event.provider for event in events],
            "events": [event.event_id for event in events],
            "refunds": [entry.refund.id for entry in entries],
            "statuses": [event.status.value for event in events],
            "amounts": [event.amount for event in events],
            "currencies": [event.currency for event in events],
            "outcomes": [entry.outcome.value for entry in entries],
            "occurred": [event.occurred_at for event in events],
            "received": [entry.received.received_at for entry in entries],
        },
    )


def _known_refund_events(
    connection: Connection, payments: Iterable[LockedPayment], events: Iterable[ProviderRefundEvent]
) -> list[statements.KnownRefundEventRow]:
    refunds = [refund.id for payment in payments for refund in payment.refunds]
    if not refunds:
        return []
    names = sorted({event.event_id for event in events})
    rows = statements.KNOWN_REFUND_EVENTS.within(connection, {"events": names, "refunds": refunds})
    return list(map(statements.KnownRefundEventRow._make, rows))


def _other_requests(
    connection: Connection, payments: Iterable[LockedPayment], events: Iterable[ProviderRefundEvent]
) -> set[UUID]:
    """Of the ids of ours that these events name and that are no refunds here: those of captures and voids."""
    ours = {refund.id for payment in payments for refund in payment.refunds}
    unknown = sorted({event.refund_id for event in events if event.refund_id is not None} - ours)
    rows = statements.CAPTURES_AND_VOIDS.within(connection, {"ids": unknown}) if unknown else ()
    return {row.id for row in rows}


def _move(connection: Connection, refunds: Sequence[LockedRefund]) -> list[Change]:
    if not refunds:
        return []
    rows = statements.MOVE_REFUNDS.within(
        connection,
        {
            "ids": [refund.id for refund in refunds],
            "statuses": [refund.status.value for refund in refunds],
            "references": [refund.provider_ref for refund in refunds],
            "captures": [refund.capture_ref for refund in refunds],
            "attempts": [refund.attempt_ref for refund in refunds],
            "declines": [refund.decline and refund.decline.value for refund in refunds],
            "details": [refund.detail for refund in refunds],
            "unconfirmed": [refund.named_by_operator for refund in refunds],
            "made_for": [refund.made_for for refund in refunds],
        },
    )
    return list(map(_change, map(statements.MovedRefundRow._make, rows)))


def _insert(connection: Connection, refunds: Sequence[LockedRefund]) -> list[Change]:
    if not refunds:
        return []
    chosen = sorted(refunds, key=lambda refund: (refund.payment.provider, refund.provider_ref or ""))
    rows = statements.INSERT_REFUNDS.within(
        connection,
        {
            "payments": [refund.payment.id for refund in chosen],
            "references": [refund.provider_ref for refund in chosen],
            "amounts": [refund.amount for refund in chosen],
            "statuses": [refund.status.value for refund in chosen],
            "captures": [refund.capture_ref for refund in chosen],
            "attempts": [refund.attempt_ref for refund in chosen],
            "declines": [refund.decline and refund.decline.value for refund in chosen],
            "made_for": [refund.made_for for refund in chosen],
        },
    )
    made = list(map(statements.MovedRefundRow._make, rows))
    ids = {(row.payment_id, row.provider_ref): row.id for row in made}
    for refund in chosen:
        refund.id = ids[refund.payment.id, refund.provider_ref]
    return list(map(_change, made))


def _change(row: statements.MovedRefundRow) -> Change:
    return Change(ObjectKind.REFUND, row.id, row.payment_id, row.version, row.status_before, row.status)
