"""What the events of one GoCardless payment tell of its money: pure, and by the events' own ids.

A payment is collected once, under its own id. What goes again is a dispute by the id of the event that took it: a
charge back, or a failure that the bank reported after the money was confirmed, days or weeks later. It comes back with
``chargeback_cancelled``, or when a retry of the payment is confirmed. So a second charge back is another dispute, and
what is read twice, or in parts, comes to the same. (API 2015-07-06, "Event actions", payments.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from checkout_service.payments.status import CaptureStatus, DisputeStage, DisputeStatus, PaymentStatus
from checkout_service.providers.adapters.gocardless.names import EVENT, PAYMENT, id_in, link_in
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.entries import CaptureEntry, DisputeEntry, DisputeReason, Entry
from checkout_service.providers.fields import moment_of, text

_IN_ORDER: Final = (
    "created",
    "submitted",
    "confirmed",
    "paid_out",
    "failed",
    "resubmission_requested",
    "charged_back",
    "chargeback_cancelled",
)
"""Of events of one moment, the one that goes before."""

_REASONS: Final = {
    "authorisation_disputed": DisputeReason.UNRECOGNIZED,
    "return_on_odfi_request": DisputeReason.UNRECOGNIZED,
    "mandate_cancelled": DisputeReason.SUBSCRIPTION_CANCELED,
}
"""By the cause of a charge back; all others say no more than that somebody wants the money back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event that moved money: its id, when it was, what the payment became by it, and its entries."""

    event_id: str
    at: datetime
    status: PaymentStatus | None
    entries: Sequence[Entry]


@dataclass(slots=True, kw_only=True)
class History:
    """A payment's events, read in their order. ``whole`` says that its beginning is among them: they are kept for
    18 months. ``collected`` says that money came; ``returned`` or ``charged_back`` is the event by which it is gone
    now. ``failed_by`` is the cause of the newest failure, which was at ``failed_at``; ``tried_by`` is the event that
    began the newest try after one.
    """

    steps: list[Step] = field(default_factory=list)
    whole: bool = False
    collected: bool = False
    returned: str | None = None
    charged_back: str | None = None
    failed_by: str | None = None
    failed_at: datetime | None = None
    tried_by: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether what came is gone by now. It cannot go twice."""
        return self.returned is not None or self.charged_back is not None


def history_of(payment_ref: str, events: Sequence[Mapping[str, Any]], *, amount: Decimal, currency: str) -> History:
    """The history of a payment over this amount. Raises UnreadableError for events that are not its own."""
    of_payments = [event for event in events if text(event, "resource_type") == "payments"]
    read = sorted((_Event.of(event, payment_ref) for event in of_payments), key=_Event.place)
    history = History()
    whole: dict[str, Any] = {"amount": amount, "currency": currency}
    whole |= {"attempt_ref": payment_ref, "capture_ref": payment_ref}
    for event in {each.id: each for each in read}.values():
        entries: list[Entry] = []
        status = None
        if event.action in {"confirmed", "paid_out", "charged_back"} and not history.collected:
            history.collected, status = True, PaymentStatus.PAID
            entries.append(collected(payment_ref, amount, currency))
        match event.action:
            case "created":
                history.whole = True
            case "confirmed" if history.returned is not None:
                entries.append(_dispute(history.returned, event, came_back=True, **whole))
                history.returned = None
            case "failed":
                history.failed_by, history.failed_at = event.cause, event.at
                if history.collected and not history.is_gone:
                    history.returned, status = event.id, PaymentStatus.REVERSED
                    late = DisputeReason.BANK_CANNOT_PROCESS
                    entries.append(_dispute(event.id, event, came_back=False, reason=late, **whole))
            case "resubmission_requested":
                history.tried_by = event.id
            case "charged_back" if not history.is_gone:
                history.charged_back = event.id
                reason = _REASONS.get(event.cause or "", DisputeReason.GENERAL)
                status = PaymentStatus.REVERSED
                entries.append(_dispute(event.id, event, came_back=False, reason=reason, **whole))
            case "chargeback_cancelled" if history.charged_back is not None:
                entries.append(_dispute(history.charged_back, event, came_back=True, **whole))
                history.charged_back = None
        if entries:
            history.steps.append(Step(event_id=event.id, at=event.at, status=status, entries=entries))
    return history


def collected(payment_ref: str, amount: Decimal, currency: str) -> CaptureEntry:
    """The money of a payment, which comes once however often it is retried."""
    return CaptureEntry(
        ref=payment_ref, status=CaptureStatus.SUCCEEDED, amount=amount, currency=currency, attempt_ref=payment_ref
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    id: str
    at: datetime
    action: str
    cause: str | None

    @classmethod
    def of(cls, event: Mapping[str, Any], payment_ref: str) -> _Event:
        if link_in(event, "payment", PAYMENT) != payment_ref:
            raise UnreadableError("an event is not one of its payment")
        details = event.get("details")
        cause = details.get("cause") if isinstance(details, dict) else None
        return cls(
            id=id_in(event, "id", EVENT),
            at=moment_of(event.get("created_at"), "created_at"),
            action=text(event, "action"),
            cause=cause if isinstance(cause, str) else None,
        )

    def place(self) -> tuple[datetime, int, str]:
        """Where it stands in its history."""
        order = _IN_ORDER.index(self.action) if self.action in _IN_ORDER else len(_IN_ORDER)
        return self.at, order, self.id


def _dispute(
    ref: str, event: _Event, *, came_back: bool, reason: DisputeReason | None = None, **common: Any
) -> DisputeEntry:
    return DisputeEntry(
        ref=ref,
        stage=DisputeStage.CHARGEBACK,
        status=DisputeStatus.WON if came_back else DisputeStatus.LOST,
        at=event.at,
        reason=reason,
        step=2 if came_back else 1,
        money_out=not came_back,
        **common,
    )
