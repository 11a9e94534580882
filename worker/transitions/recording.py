"""Records events about payments and refunds: the one road to ``payments.status`` and ``refunds.status``.

Webhooks, look-ups, backfill and the answers about refunds all come through ``record``. It takes many events and a fixed
number of statements, in this order:

    lock carts          where money came
    lock payments       once, for all events, with the duplicates that money came for
    insert events       about payments; those that are new come back
    lock refunds        only where there are events about refunds
    read refund events  that were recorded before
    move payments       and their reasons for review
    move refunds
    insert refunds      that were made in the provider's dashboard
    insert events       about refunds

Payments move before refunds: the database refuses a refund of a payment that is not paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection

from checkout_service.payments.outcomes import read_reasons, write_reasons
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Decline, ProviderEvent, ProviderRefundEvent
from worker.transitions import statements
from worker.transitions.locked import LockedPayment, LockedRefund, Payments, Purchase
from worker.transitions.outcomes import Effect, Outcome, ReceivedEvent, Recorded, RefundMove
from worker.transitions.payments import PARKED, EventKey, JudgedEvent, apply, flag_duplicates, judge
from worker.transitions.refunds import RefundEventEntry, RefundEvents, proven


def record(connection: Connection, events: Sequence[ReceivedEvent]) -> Recorded:
    """Record events, about payments and refunds mixed, within the caller's transaction.

    Events about payments that are not here yet are PARKED, events about refunds that cannot be entered yet are WAITING.
    Neither leaves a trace, but for a flag on a payment of which the provider gave back more than there is. Raises
    DatabaseLockedError and DatabaseUnavailableError.
    """
    if not events:
        return Recorded()
    payments = _lock_payments(connection, events)
    effects = [PARKED] * len(events)
    judged = judge(events, payments, effects)
    apply(judged, _insert_events(connection, judged), effects)
    flag_duplicates(payments.values())
    about_refunds = {
        place: received.event
        for place, received in enumerate(events)
        if isinstance(received.event, ProviderRefundEvent)
    }
    refunded: Payments = {}
    entries: Sequence[RefundEventEntry] = ()
    if about_refunds:
        refunded = _of_refunds(payments, about_refunds.values())
        _lock_refunds(connection, refunded)
        entries = _apply_to_refunds(connection, refunded, events, about_refunds, effects)
    _move_payments(connection, [payment for payment in payments.values() if payment.changed])
    _write_refunds(connection, [refund for payment in refunded.values() for refund in payment.refunds])
    _insert_refund_events(connection, entries)
    moves = [
        RefundMove(entry.event.provider, proven(entry.event)) for entry in entries if entry.outcome is Outcome.APPLIED
    ]
    return Recorded(effects=effects, refund_moves=moves)


def record_refusal(connection: Connection, *, refund_id: UUID, provider_ref: str, decline: Decline) -> Recorded:
    """Record that the provider refused a refund of ours, or we in its place; no move if it is past that.

    There is no event about a refusal: nothing was made at the provider. ``provider_ref`` is the payment's.
    """
    payments = _lock_payments_by(connection, [provider_ref], [])
    _lock_refunds(connection, payments)
    for refund in [refund for payment in payments.values() for refund in payment.refunds if refund.id == refund_id]:
        if refund.status is RefundStatus.REQUESTED:
            refund.status, refund.decline, refund.changed = RefundStatus.FAILED, decline, True
            _write_refunds(connection, [refund])
            return Recorded(refund_moves=[RefundMove(refund.payment.provider, refund.status)])
    return Recorded()


def _lock_payments(connection: Connection, events: Iterable[ReceivedEvent]) -> Payments:
    """The payments that the events speak of, and their duplicates that money came for, locked until the transaction
    ends.
    """
    references, money = set(), set()
    for received in events:
        event = received.event
        references.add(event.provider_ref)
        if isinstance(event, ProviderEvent) and event.status.money_came:
            money.add(event.provider_ref)
    return _lock_payments_by(connection, sorted(references), sorted(money))


def _lock_payments_by(connection: Connection, references: Sequence[str], money: Sequence[str]) -> Payments:
    if money:
        statements.LOCK_CARTS.within(connection, {"money": money})
    payments: Payments = {}
    for row in statements.LOCK_PAYMENTS.within(connection, {"references": references, "money": money}):
        payment = statements.PaymentRow._make(row)
        status, reasons = PaymentStatus(payment.status), read_reasons(payment.review_reason)
        payments[payment.provider, payment.provider_ref] = LockedPayment(
            id=payment.id,
            provider=payment.provider,
            amount=payment.amount,
            currency=payment.currency,
            status=status,
            status_before=status,
            reasons=reasons,
            reasons_before=frozenset(reasons),
            capture_ref=payment.capture_ref,
            capture_ref_before=payment.capture_ref,
            purchase=None
            if payment.cart_id is None or payment.lines_key is None
            else Purchase(payment.cart_id, payment.lines_key),
        )
    return payments


def _insert_events(connection: Connection, judged: Mapping[EventKey, JudgedEvent]) -> Mapping[EventKey, str | None]:
    """Insert the events; the keys of those that are new, with None, or were a mismatch until now, with that."""
    if not judged:
        return {}
    chosen = [each for _, each in sorted(judged.items())]  # by key: it is kinder to the index
    events = [each.event for each in chosen]
    rows = statements.INSERT_EVENTS.within(
        connection,
        {
            "deliveries": [each.received.delivery_id for each in chosen],
            "providers": [event.provider for event in events],
            "events": [event.event_id for event in events],
            "payments": [each.payment.id for each in chosen],
            "statuses": [event.status.value for event in events],
            "amounts": [event.amount for event in events],
            "currencies": [event.currency for event in events],
            "outcomes": [each.effect.outcome.value for each in chosen],
            "occurred": [event.occurred_at for event in events],
            "received": [each.received.received_at for each in chosen],
        },
    )
    return {(provider, event_id): before for provider, event_id, before in map(statements.NewEventRow._make, rows)}


def _of_refunds(payments: Payments, events: Iterable[ProviderRefundEvent]) -> Payments:
    """Those of the payments whose refunds the events speak of."""
    keys = {(event.provider, event.provider_ref) for event in events}
    return {key: payments[key] for key in keys & payments.keys()}


def _lock_refunds(connection: Connection, payments: Payments) -> None:
    """Put all refunds of these payments into them, locked until the transaction ends."""
    if not payments:
        return
    by_id = {payment.id: payment for payment in payments.values()}
    for row in map(statements.RefundRow._make, statements.LOCK_REFUNDS.within(connection, {"payments": sorted(by_id)})):
        payment = by_id[row.payment_id]
        payment.refunds.append(
            LockedRefund(
                payment=payment,
                id=row.id,
                provider_ref=row.provider_ref,
                amount=row.amount,
                status=RefundStatus(row.status),
                sent=row.sent,
                ours=row.ours,
            )
        )


def _apply_to_refunds(
    connection: Connection,
    payments: Payments,
    events: Sequence[ReceivedEvent],
    about_refunds: Mapping[int, ProviderRefundEvent],
    effects: list[Effect],
) -> Sequence[RefundEventEntry]:
    """Apply the events about refunds and put their effects in; the events that are to be written."""
    known = _known_refund_events(connection, payments, about_refunds.values())
    applied = RefundEvents(payments, known)
    # First the refunds that are here: one that fails gives room to one that is new.
    for place in sorted(about_refunds, key=lambda place: applied.refund_of(about_refunds[place]) is None):
        effects[place] = applied.apply(events[place], about_refunds[place])
    return applied.entries


def _known_refund_events(
    connection: Connection, payments: Payments, events: Iterable[ProviderRefundEvent]
) -> list[statements.KnownRefundEventRow]:
    refunds = [refund.id for payment in payments.values() for refund in payment.refunds]
    if not refunds:
        return []
    names = sorted({event.event_id for event in events})
    rows = statements.KNOWN_REFUND_EVENTS.within(connection, {"events": names, "refunds": refunds})
    return list(map(statements.KnownRefundEventRow._make, rows))


def _move_payments(connection: Connection, payments: Sequence[LockedPayment]) -> None:
    if not payments:
        return
    statements.MOVE_PAYMENTS.within(
        connection,
        {
            "ids": [payment.id for payment in payments],
            "statuses": [payment.status.value for payment in payments],
            "raws": [payment.raw for payment in payments],
            "reasons": [write_reasons(payment.reasons) for payment in payments],
            "captures": [payment.capture_ref for payment in payments],
        },
    )


def _write_refunds(connection: Connection, refunds: Sequence[LockedRefund]) -> None:
    """Refunds that are here first: one that fails gives its room to those that are inserted after."""
    _move_refunds(connection, [refund for refund in refunds if refund.id is not None and refund.changed])
    _insert_refunds(connection, [refund for refund in refunds if refund.id is None])


def _move_refunds(connection: Connection, refunds: Sequence[LockedRefund]) -> None:
    if not refunds:
        return
    statements.MOVE_REFUNDS.within(
        connection,
        {
            "ids": [refund.id for refund in refunds],
            "statuses": [refund.status.value for refund in refunds],
            "references": [refund.provider_ref for refund in refunds],
            "declines": [refund.decline and refund.decline.value for refund in refunds],
        },
    )


def _insert_refunds(connection: Connection, refunds: Sequence[LockedRefund]) -> None:
    if not refunds:
        return
    rows = statements.INSERT_REFUNDS.within(
        connection,
        {
            "payments": [refund.payment.id for refund in refunds],
            "references": [refund.provider_ref for refund in refunds],
            "amounts": [refund.amount for refund in refunds],
            "statuses": [refund.status.value for refund in refunds],
            "declines": [refund.decline and refund.decline.value for refund in refunds],
        },
    )
    ids = {(row.payment_id, row.provider_ref): row.id for row in map(statements.NewRefundRow._make, rows)}
    for refund in refunds:
        refund.id = ids[refund.payment.id, refund.provider_ref or ""]


def _insert_refund_events(connection: Connection, entries: Sequence[RefundEventEntry]) -> None:
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
