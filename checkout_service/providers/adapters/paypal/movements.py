"""Entries of captures, authorizations and reversals, from a webhook and from an order alike: pure.

An authorization is an attempt by its own id. A capture is of that attempt; one without an authorization is an attempt
of its own. No status of PayPal's is a sum: a capture reads PARTIALLY_REFUNDED while a dispute is open, and only
PAYMENT.CAPTURE.REVERSED and refunds take money.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
)
from checkout_service.providers.adapters.paypal.resources import (
    authorization_of,
    capture_of,
    moment_if_any,
    money_if_any,
    own_part,
    state_of,
)
from checkout_service.providers.base import Decline
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    DisputeEntry,
    Entry,
    NoticeEntry,
    PendingReason,
)
from checkout_service.providers.fields import text

CAPTURES: Final = {
    "COMPLETED": CaptureStatus.SUCCEEDED,
    "PARTIALLY_REFUNDED": CaptureStatus.SUCCEEDED,
    "REFUNDED": CaptureStatus.SUCCEEDED,
    "PENDING": CaptureStatus.PENDING,
    "DECLINED": CaptureStatus.REFUSED,
    "FAILED": CaptureStatus.REFUSED,
}
"""What a capture's status proves of it."""

AUTHORIZATIONS: Final = {
    "CREATED": AttemptStatus.AUTHORIZED,
    "AUTHORIZED": AttemptStatus.AUTHORIZED,
    "PARTIALLY_CAPTURED": AttemptStatus.AUTHORIZED,
    "CAPTURED": AttemptStatus.AUTHORIZED,
    "PENDING": AttemptStatus.UNDER_WAY,
    "DENIED": AttemptStatus.FAILED,
    "VOIDED": AttemptStatus.CANCELED,
    "EXPIRED": AttemptStatus.EXPIRED,
}
"""What an authorization's status proves of the attempt. AUTHORIZED and EXPIRED are words of v1."""

VALID_FOR: Final = timedelta(days=29)
"""An authorization without ``expiration_time`` (PayPal, "Authorization and capture")."""

PENDING: Final = {
    "ECHECK": PendingReason.BANK,
    "TRANSACTION_APPROVED_AWAITING_FUNDING": PendingReason.BANK,
    "PENDING_REVIEW": PendingReason.REVIEW,
    "BUYER_COMPLAINT": PendingReason.REVIEW,
    "CHARGEBACK": PendingReason.REVIEW,
    "INTERNATIONAL_WITHDRAWAL": PendingReason.ACCOUNT,
    "RECEIVING_PREFERENCE_MANDATES_MANUAL_ACTION": PendingReason.ACCOUNT,
    "UNILATERAL": PendingReason.ACCOUNT,
    "VERIFICATION_REQUIRED": PendingReason.ACCOUNT,
}
"""Why a capture or an authorization is pending (``status_details.reason``; paypal-server-sdk 2.4.0,
CaptureIncompleteReason and AuthorizationIncompleteReason); any other word is OTHER."""

_ATTEMPTS: Final = {
    CaptureStatus.PENDING: AttemptStatus.UNDER_WAY,
    CaptureStatus.REFUSED: AttemptStatus.FAILED,
    CaptureStatus.SUCCEEDED: AttemptStatus.AUTHORIZED,
}

_PAYMENTS: Final = {
    AttemptStatus.UNDER_WAY: PaymentStatus.PROCESSING,
    AttemptStatus.FAILED: PaymentStatus.FAILED,
    AttemptStatus.AUTHORIZED: PaymentStatus.AUTHORIZED,
    AttemptStatus.EXPIRED: PaymentStatus.EXPIRED,
    AttemptStatus.CANCELED: PaymentStatus.CANCELED,
}


def captured(
    capture: dict[str, Any], status: CaptureStatus, *, authorization: str | None = None, request_id: UUID | None = None
) -> list[Entry]:
    """A capture, and the attempt that it belongs to.

    ``authorization`` is the one that it is of where we know that better than the resource, ``request_id`` that of our
    request likewise. A capture that is not the last one of its authorization leaves the rest open. An amount that we
    cannot hold flags the payment, and refuses nothing.
    """
    ref = text(capture, "id")
    amount, currency = money_if_any(capture)
    of = authorization or authorization_of(capture)
    succeeded = status is CaptureStatus.SUCCEEDED
    attempt = AttemptEntry(
        ref=of or ref,
        status=_ATTEMPTS[status],
        currency=currency,
        rest_released=succeeded and (of is None or capture.get("final_capture") is True),
        decline=_decline(capture) if status is CaptureStatus.REFUSED else None,
        pending=_pending(capture) if status is CaptureStatus.PENDING else None,
    )
    if amount is None or currency is None:
        return [attempt, _unheld(ref)] if succeeded else [attempt]
    request = request_id or own_part(capture, "invoice_id")
    named = CaptureEntry(
        ref=ref,
        status=status,
        amount=amount,
        currency=currency,
        attempt_ref=attempt.ref,
        request_id=str(request) if request else None,
    )
    return [attempt, named]


def authorized(
    authorization: dict[str, Any], status: AttemptStatus | None = None, *, replaces: str | None = None
) -> AttemptEntry:
    """An authorization. ``status`` is what the kind of an event proves, whatever its resource says.

    A reauthorization has an id of its own and stands in the place of the first one, which ``replaces`` names where the
    resource does not. PayPal sends one event for what was voided and for what ran out: the clock tells them apart.
    """
    ref = text(authorization, "id")
    amount, currency = money_if_any(authorization)
    state = state_of(authorization)
    proven = status or AUTHORIZATIONS.get(state, AttemptStatus.STARTED)
    began = moment_if_any(authorization, "create_time")
    expires_at = moment_if_any(authorization, "expiration_time", "valid_until") or (began and began + VALID_FOR)
    ended = moment_if_any(authorization, "update_time")
    if proven is AttemptStatus.CANCELED and expires_at and ended and ended >= expires_at:
        proven = AttemptStatus.EXPIRED
    parent = authorization_of(authorization) or replaces
    return AttemptEntry(
        ref=ref,
        status=proven,
        authorized=amount,
        currency=currency,
        rest_released=state == "CAPTURED",
        expires_at=expires_at,
        replaces=parent if parent != ref else None,
        decline=_decline(authorization) if proven is AttemptStatus.FAILED else None,
        pending=_pending(authorization) if proven is AttemptStatus.UNDER_WAY else None,
    )


def taken_back(reversal: dict[str, Any]) -> DisputeEntry | NoticeEntry:
    """Money that PayPal took back of a capture, by its own name for that.

    Nothing in it tells whether it is all or a part, so its own amount counts; one without any took all that came. The
    dispute behind it has another name, which no reversal tells, and moves no money.
    """
    ref = text(reversal, "id")
    amount, currency = money_if_any(reversal)
    if amount is None and "amount" in reversal:
        return _unheld(ref)
    return DisputeEntry(
        ref=ref if amount is not None else "",
        stage=DisputeStage.CHARGEBACK,
        status=DisputeStatus.LOST,
        at=moment_if_any(reversal, "create_time"),
        step=1,
        money_out=True,
        money_only=amount is not None,
        amount=amount,
        currency=currency,
        capture_ref=capture_of(reversal) or ref,
    )


def status_of(entries: Sequence[Entry]) -> PaymentStatus | None:
    """What people are to read of these entries: the most that one of them proves. A notice is of money too."""
    if any(
        isinstance(entry, NoticeEntry) or (isinstance(entry, CaptureEntry) and entry.status is CaptureStatus.SUCCEEDED)
        for entry in entries
    ):
        return PaymentStatus.PAID
    proven = {entry.status for entry in entries if isinstance(entry, AttemptEntry)} & _PAYMENTS.keys()
    for open_one in (AttemptStatus.AUTHORIZED, AttemptStatus.UNDER_WAY):
        if open_one in proven:
            return _PAYMENTS[open_one]
    return _PAYMENTS[max(proven)] if proven else None


def _unheld(ref: str) -> NoticeEntry:
    return NoticeEntry(reason=ReviewReason.MISMATCH, ref=ref, detail="an amount that we cannot hold")


def _decline(resource: dict[str, Any]) -> str:
    declined_by_risk = _reason(resource) == "DECLINED_BY_RISK_FRAUD_FILTERS"
    return (Decline.SUSPECTED_FRAUD if declined_by_risk else Decline.DECLINED).value


def _pending(resource: dict[str, Any]) -> PendingReason | None:
    reason = _reason(resource)
    return None if reason is None else PENDING.get(reason, PendingReason.OTHER)


def _reason(resource: dict[str, Any]) -> str | None:
    """Why it is in its status; in the shape of v1 a pending one has it by itself."""
    details = resource.get("status_details")
    reason = details.get("reason") if isinstance(details, dict) else resource.get("reason_code")
    return reason if isinstance(reason, str) else None
