"""What Adyen's items say, as entries: payments and their attempts, captures, refunds; disputes stand beside.

An attempt is named by the pspReference of its AUTHORISATION, a capture by its own. In automatic capture an
authorisation is money, without a name until a CAPTURE tells one. (Adyen, "Webhook types" and Webhooks v1.)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.adyen.disputes import STEPS, dispute_entries
from checkout_service.providers.adapters.adyen.items import NAME, REFERENCE, Item
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    Entry,
    NoticeEntry,
    RefusedVoidEntry,
)

PENDING_LASTS: Final = timedelta(days=14)
"""A PENDING that nothing followed counts no more then: vouchers and bank transfers take days."""

_AUTHORISATION_LASTS: Final = timedelta(days=28)
_SHORTER: Final = {
    "cartebancaire": timedelta(days=12),
    "afterpaytouch": timedelta(days=13),
    "cashapp": timedelta(days=13),
    "paypal": timedelta(days=3),
}
"""How long an authorisation may be captured; no field tells it (Adyen, "How long is an authorisation valid?")."""

_RECAPTURED: Final = "recaptured"
"""In the reason of a CAPTURE that follows a CAPTURE_FAILED: its signed fields are those of the first one (Adyen,
"CAPTURE_FAILED and REFUND_FAILED reasons").
"""


class Capturing(NamedTuple):
    """How an account captures: ``manual`` one by one, ``several`` that one authorisation may have more than one."""

    manual: bool = False
    several: bool = False


REFUNDS: Final = {
    ("POSTPONED_REFUND", True): RefundStatus.PROCESSING,
    ("REFUND", True): RefundStatus.SUCCEEDED,
    ("REFUND", False): RefundStatus.FAILED,
    ("REFUND_WITH_DATA", True): RefundStatus.SUCCEEDED,
    ("REFUND_WITH_DATA", False): RefundStatus.FAILED,
    ("REFUND_FAILED", True): RefundStatus.FAILED,
    ("REFUNDED_REVERSED", True): RefundStatus.FAILED,
}


def may_be_ours(item: dict[str, Any]) -> bool:
    """Whether a verified item may be about a payment of ours.

    Whoever asks for a capture or a refund may give it a reference of their own; then what it was done to is the name by
    which its payment is found. A dispute's own name is one too: its later events may come without the other. Anything
    else that carries another's reference is another shop's.
    """
    ours = REFERENCE.fullmatch(item.get("merchantReference", "")) is not None
    return ours or bool(item.get("originalReference")) or item.get("eventCode") in STEPS


def event_of(item: Item, capturing: Capturing) -> ProviderEvent | ProviderRefundEvent | None:
    """What an item proves of a payment: None where that is nothing."""
    if (item.code, item.success) in REFUNDS:
        return _refund_event(item)
    entries = entries_of(item, capturing)
    if not entries:
        return None
    recaptured = any(isinstance(entry, NoticeEntry) and entry.reason is ReviewReason.RECAPTURED for entry in entries)
    return ProviderEvent(
        provider=NAME,
        provider_ref=item.payment_ref,
        event_id=f"{item.event_id}:{_RECAPTURED}" if recaptured else item.event_id,
        status=_status(item, capturing),
        amount=item.amount,
        currency=item.currency,
        occurred_at=item.occurred_at,
        payment_id=item.payment_id,
        entries=entries,
        names=item.names,
        raw=item.raw,
    )


def entries_of(item: Item, capturing: Capturing) -> list[Entry]:
    """The entries that an item proves; none where it proves nothing of a payment.

    An amount that we need and cannot hold is a notice beside them: it flags the payment, and refuses no webhook.
    """
    read = _ENTRIES.get((item.code, item.success))
    entries = dispute_entries(item) if read is None else read(item, capturing)
    disputed = any(isinstance(entry, DisputeEntry) and (entry.step or entry.blocks_refund) for entry in entries)
    if item.amount is None and (disputed or (item.code, item.success) in _WITH_MONEY):
        entries.append(
            NoticeEntry(reason=ReviewReason.MISMATCH, ref=item.psp_ref, detail="an amount that we cannot hold")
        )
    return entries


def _authorized(item: Item, capturing: Capturing) -> list[Entry]:
    if not capturing.manual:
        return [
            AttemptEntry(
                ref=item.psp_ref, status=AttemptStatus.AUTHORIZED, presumed=item.amount, currency=item.currency
            )
        ]
    # By our own clock: the time of the event is not signed.
    lasts = _SHORTER.get(item.shown("paymentMethod"), _AUTHORISATION_LASTS)
    return [
        AttemptEntry(
            ref=item.psp_ref,
            status=AttemptStatus.AUTHORIZED,
            authorized=item.amount,
            currency=item.currency,
            expires_at=item.received_at + lasts,
        )
    ]


def _under_way(item: Item, _: Capturing) -> list[Entry]:
    return [
        AttemptEntry(ref=item.psp_ref, status=AttemptStatus.UNDER_WAY, times_out_at=item.received_at + PENDING_LASTS)
    ]


def _failed(item: Item, _: Capturing) -> list[Entry]:
    """Of this attempt: the customer may make another, and the link stays open for another method."""
    return [AttemptEntry(ref=item.psp_ref, status=AttemptStatus.FAILED)]


def _captured(item: Item, capturing: Capturing) -> list[Entry]:
    entries = _capture(item, CaptureStatus.SUCCEEDED)
    if item.original_ref:
        entries.append(
            AttemptEntry(ref=item.original_ref, status=AttemptStatus.AUTHORIZED, rest_released=not capturing.several)
        )
    # The reason is not signed, so it moves nothing: the capture stays undone, and a person is shown that it came again.
    if _RECAPTURED in item.shown("reason").lower():
        entries.append(NoticeEntry(reason=ReviewReason.RECAPTURED, ref=item.psp_ref))
    return entries


def _capture_refused(item: Item, _: Capturing) -> list[Entry]:
    return _capture(item, CaptureStatus.REFUSED)


def _capture_undone(item: Item, _: Capturing) -> list[Entry]:
    return _capture(item, CaptureStatus.UNDONE)


def _capture(item: Item, status: CaptureStatus) -> list[Entry]:
    if item.amount is None or item.currency is None:
        return []
    return [
        CaptureEntry(
            ref=item.psp_ref,
            status=status,
            amount=item.amount,
            currency=item.currency,
            attempt_ref=item.original_ref,
            request_id=str(item.request_id) if item.request_id else None,
        )
    ]


def _canceled(item: Item, _: Capturing) -> list[Entry]:
    """Of one attempt where it is named. A TECHNICAL_CANCEL may be by our reference alone: then of the whole payment."""
    if item.original_ref:
        return [AttemptEntry(ref=item.original_ref, status=AttemptStatus.CANCELED)]
    return [ClosedEntry(status=PaymentStatus.CANCELED)]


def _not_canceled(item: Item, _: Capturing) -> list[Entry]:
    """Only a void of ours waits for that."""
    return [RefusedVoidEntry(void_id=str(item.request_id))] if item.request_id else []


def _expired(item: Item, _: Capturing) -> list[Entry]:
    """Of what is not captured of one attempt, which is named as the original or, as in Adyen's example, by itself."""
    return [AttemptEntry(ref=item.original_ref or item.psp_ref, status=AttemptStatus.EXPIRED)]


def _canceled_or_refunded(item: Item, _: Capturing) -> list[Entry]:
    """Which of the two stands in no signed field. It ends an attempt; the notice counts only where money came of it."""
    notice = NoticeEntry(reason=ReviewReason.UNCLEAR_CANCELLATION, ref=item.original_ref or item.psp_ref)
    if not item.original_ref:
        return [notice]
    return [AttemptEntry(ref=item.original_ref, status=AttemptStatus.CANCELED), notice]


def _order_failed(item: Item, _: Capturing) -> list[Entry]:
    """An order of several payments was canceled or ran out, and Adyen gives back what they brought.

    Which payments those are is not signed: each is told by an event of its own, and until then a person is shown it.
    """
    return [NoticeEntry(reason=ReviewReason.UNCLEAR_CANCELLATION, ref=item.psp_ref)]


def _adjusted(item: Item, _: Capturing) -> list[Entry]:
    """The new total of an authorisation, up or down. Which of two is newer is not signed, so a person is shown it."""
    if not item.original_ref:
        return []
    return [
        AttemptEntry(ref=item.original_ref, authorized=item.amount, currency=item.currency),
        NoticeEntry(reason=ReviewReason.AUTHORIZATION_ADJUSTED, ref=item.psp_ref),
    ]


_ENTRIES: Final[dict[tuple[str, bool], Callable[[Item, Capturing], list[Entry]]]] = {
    ("PENDING", True): _under_way,
    ("AUTHORISATION", True): _authorized,
    ("AUTHORISATION", False): _failed,
    ("OFFER_CLOSED", True): _failed,
    ("CAPTURE", True): _captured,
    ("CAPTURE", False): _capture_refused,
    ("CAPTURE_FAILED", True): _capture_undone,
    ("EXPIRE", True): _expired,
    ("CANCELLATION", True): _canceled,
    ("TECHNICAL_CANCEL", True): _canceled,
    ("CANCELLATION", False): _not_canceled,
    ("CANCEL_OR_REFUND", True): _canceled_or_refunded,
    ("ORDER_CLOSED", False): _order_failed,
    ("AUTHORISATION_ADJUSTMENT", True): _adjusted,
}

_WITH_MONEY: Final = frozenset({("AUTHORISATION", True), ("CAPTURE", True), ("CAPTURE_FAILED", True)})
"""Whose entries need an amount, besides those of disputes that take money or hold it back."""

CODES: Final = frozenset({*(code for code, _ in (*_ENTRIES, *REFUNDS)), *STEPS})
"""The event codes that say something of a payment."""

_NO_MONEY: Final = """
    ORDER_OPENED ISSUER_COMMENTS MANUAL_REVIEW_ACCEPT MANUAL_REVIEW_REJECT REPORT_AVAILABLE RECURRING_CONTRACT
    AUTORESCUE CANCEL_AUTORESCUE PROCESS_RETRY HANDLED_EXTERNALLY DONATION VOID_PENDING_REFUND
    PAYOUT_THIRDPARTY PAYOUT_DECLINE PAYOUT_EXPIRE PAIDOUT_REVERSED
"""
SAYS_NOTHING: Final = frozenset(_NO_MONEY.split())
"""Event codes that we know and that move nothing of a payment: what was paid out, stored or reviewed, reports (whose
``reason`` is an address that is never asked), and voids of refunds at terminals, where no link of ours is paid.
"""

_STATUSES: Final = {
    ("PENDING", True): PaymentStatus.PROCESSING,
    ("AUTHORISATION", True): PaymentStatus.PAID,
    ("AUTHORISATION", False): PaymentStatus.FAILED,
    ("OFFER_CLOSED", True): PaymentStatus.FAILED,
    ("CAPTURE", True): PaymentStatus.PAID,
    ("CAPTURE_FAILED", True): PaymentStatus.REVERSED,
    ("EXPIRE", True): PaymentStatus.EXPIRED,
    ("CANCELLATION", True): PaymentStatus.CANCELED,
    ("TECHNICAL_CANCEL", True): PaymentStatus.CANCELED,
    ("CANCEL_OR_REFUND", True): PaymentStatus.CANCELED,
} | {(code, True): PaymentStatus.REVERSED for code, step in STEPS.items() if step.money_out}


def _status(item: Item, capturing: Capturing) -> PaymentStatus | None:
    """What an item is about, for people: the entries decide."""
    if capturing.manual and (item.code, item.success) == ("AUTHORISATION", True):
        return PaymentStatus.AUTHORIZED
    return _STATUSES.get((item.code, item.success))


def _refund_event(item: Item) -> ProviderRefundEvent:
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=item.payment_ref,
        refund_ref=item.psp_ref,
        event_id=item.event_id,
        status=REFUNDS[item.code, item.success],
        amount=item.amount,
        currency=item.currency,
        refund_id=item.request_id,
        payment_id=item.payment_id,
        occurred_at=item.occurred_at,
        attempt_ref=item.original_ref or None,
        names=item.names,
        raw=item.raw,
    )
