"""What the events of one GoCardless payment tell of its money: pure, and by the payment's own id.

A payment is collected once, under its own id. What goes again is one dispute of that id, whose movements are counted:
a charge back, or a failure that the bank reported after the money was confirmed, days or weeks later, takes the money;
``chargeback_cancelled``, or a retry that is confirmed after a failure, brings it back. Events may be listed late: a
part of them never has more movements than all, so what was read in parts comes to the same in the end. (API 2015-07-06,
"Event actions", payments.)
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

_COLLECTED: Final = frozenset({"confirmed", "paid_out", "charged_back"})
"""Each tells that money came; the confirmation may not be listed."""

_REASONS: Final = {
    "authorisation_disputed": DisputeReason.UNRECOGNIZED,
    "return_on_odfi_request": DisputeReason.UNRECOGNIZED,
    "mandate_cancelled": DisputeReason.SUBSCRIPTION_CANCELED,
}
"""By the cause of a charge back; all others say no more than that somebody wants the money back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event that moved money: its name, when it was, what the payment became by it, and its entries.

    ``event_id`` has the movement's number in it: by it the same event counts again when it turns out to be a later one.
    """

    event_id: str
    at: datetime
    status: PaymentStatus | None
    entries: Sequence[Entry]


@dataclass(slots=True, kw_only=True)
class History:
    """A payment's events, read in their order. ``whole`` says that its beginning is among them: they are kept for
    18 months. ``collected`` says that money came, ``movements`` how often it went and came back since. ``failed_by`` is
    the cause of the newest failure, which was at ``failed_at``; ``tried_by`` is the event that began the newest try
    after one, and ``is_retried`` says that it began after the newest failure. ``newest`` is of the newest event.
    """

    steps: list[Step] = field(default_factory=list)
    whole: bool = False
    collected: bool = False
    movements: int = 0
    failed_by: str | None = None
    failed_at: datetime | None = None
    tried_by: str = ""
    is_retried: bool = False
    newest: datetime | None = None

    @property
    def is_gone(self) -> bool:
        """Whether what came is gone by now. It cannot go twice."""
        return self.movements % 2 == 1


def history_of(payment_ref: str, events: Sequence[Mapping[str, Any]], *, amount: Decimal, currency: str) -> History:
    """The history of a payment over this amount. Raises UnreadableError for events that are not its own."""
    of_payments = [event for event in events if text(event, "resource_type") == "payments"]
    read = sorted((_Event.of(event, payment_ref) for event in of_payments), key=_Event.place)
    history = History()
    whole: dict[str, Any] = {"ref": payment_ref, "attempt_ref": payment_ref, "capture_ref": payment_ref}
    whole |= {"amount": amount, "currency": currency}
    # A late failure since money was last here: only then a confirmation is one of a retry, and brings it back.
    failed_late = False
    for event in {each.id: each for each in read}.values():
        entries: list[Entry] = []
        status = None
        history.newest = event.at
        if event.action in _COLLECTED and not history.collected:
            history.collected, status = True, PaymentStatus.PAID
            entries.append(collected(payment_ref, amount, currency))
        match event.action:
            case "created":
                history.whole = True
            case "failed":
                history.failed_by, history.failed_at, history.is_retried = event.cause, event.at, False
                failed_late = history.collected
            case "resubmission_requested":
                history.tried_by, history.is_retried = event.id, True
        goes = event.action in {"failed", "charged_back"} and history.collected and not history.is_gone
        comes = event.action == "chargeback_cancelled" or (event.action == "confirmed" and failed_late)
        if goes or (comes and history.is_gone):
            history.movements += 1
            status = PaymentStatus.REVERSED if goes else status
            failed_late = failed_late and goes
            entries.append(_movement(history.movements, event, **whole))
        if entries:
            step = f"{event.id}:{history.movements}" if history.movements else event.id
            history.steps.append(Step(event_id=step, at=event.at, status=status, entries=entries))
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


def _movement(number: int, event: _Event, **common: Any) -> DisputeEntry:
    """Movement ``number`` of a payment's one dispute: the odd ones take its money, the even ones bring it back."""
    out = number % 2 == 1
    reason = DisputeReason.BANK_CANNOT_PROCESS
    if event.action == "charged_back":
        reason = _REASONS.get(event.cause or "", DisputeReason.GENERAL)
    return DisputeEntry(
        stage=DisputeStage.CHARGEBACK,
        status=DisputeStatus.LOST if out else DisputeStatus.WON,
        at=event.at,
        reason=reason if out else None,
        step=number,
        money_out=out,
        **common,
    )
