"""What the mock provider's webhooks and answers say, as events; whatever else is in them ends as UnreadableError."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, Reference, UnreadableError
from checkout_service.providers.fields import amount_of, canonical_json, currency_of, moment_of, text
from checkout_service.providers.redaction import kept

NAME = "mock"
PREFIX = "mock_pi_"
REFUND_PREFIX = "mock_re_"

_REFUND = frozenset({"provider_ref", "refund_ref", "refund_id", "amount", "currency", "status"})
"""What is kept of an answer about a refund; of a webhook everything is, as it was signed."""


def payment_event(
    webhook: dict[str, Any], details: dict[str, Any], *, raw: bytes, event_id: str = ""
) -> ProviderEvent | None:
    """The webhook's one event; None when it is of a kind that we do not know.

    ``raw`` is the webhook as canonical JSON.
    """
    reference = text(webhook, "provider_ref")
    try:
        status = PaymentStatus(text(webhook, "status"))
    except ValueError:
        return None
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference,
        event_id=text(details, "event_id") if "event_id" in details else event_id or sha256(raw).hexdigest(),
        status=status,
        amount=amount_of(details["amount"]) if "amount" in details else None,
        currency=currency_of(details["currency"]) if "currency" in details else None,
        occurred_at=moment_of(details["occurred_at"], "occurred_at") if "occurred_at" in details else None,
        payment_id=_payment_id(reference),
        amount_required=False,
        raw=raw,
    )


def refund_event(webhook: dict[str, Any], details: dict[str, Any], *, raw: bytes) -> ProviderRefundEvent | None:
    """The webhook's event about a refund; None when it is about a payment."""
    status = webhook.get("status")
    if "refund_ref" not in details or status not in {each.value for each in RefundStatus}:
        return None
    reference = text(webhook, "provider_ref")
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=reference,
        refund_ref=text(details, "refund_ref"),
        event_id=text(details, "event_id") if "event_id" in details else sha256(raw).hexdigest(),
        status=RefundStatus(status),
        amount=amount_of(details["amount"]) if "amount" in details else None,
        currency=currency_of(details["currency"]) if "currency" in details else None,
        refund_id=_own_id(text(details, "refund_id")) if "refund_id" in details else None,
        payment_id=_payment_id(reference),
        occurred_at=moment_of(details["occurred_at"], "occurred_at") if "occurred_at" in details else None,
        raw=webhook,
    )


def looked_up(held: dict[str, Any], reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    """The events in an answer about one payment; their ids name what was seen, so that seeing it again is no news."""
    seen: dict[str, Any] = {
        name: text(held, name) for name in ("provider_ref", "status", "amount", "currency") if name in held
    }
    if seen.get("provider_ref") != reference.provider_ref:
        raise UnreadableError("the answer is about another payment")
    refunds = held.get("refunds", [])
    if not isinstance(refunds, list) or not all(isinstance(refund, dict) for refund in refunds):
        raise UnreadableError("refunds is not a list of objects")
    made = [refunded(refund, reference) for refund in refunds]
    if seen.get("status") == PaymentStatus.PENDING.value:
        return made
    event_id = f"lookup:{seen.get('provider_ref')}:{seen.get('status')}:{seen.get('amount', '')}"
    event = payment_event(seen, seen, raw=canonical_json(seen), event_id=event_id)
    return [event, *made] if event else made


def refunded(made: dict[str, Any], reference: Reference) -> ProviderRefundEvent:
    """The event in an answer about one refund."""
    refund_ref, status = text(made, "refund_ref"), text(made, "status")
    try:
        proven = RefundStatus(status)
    except ValueError as error:
        raise UnreadableError("the answer is not about a refund") from error
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        refund_ref=refund_ref,
        event_id=f"lookup:{refund_ref}:{status}",
        status=proven,
        amount=amount_of(made.get("amount")),
        currency=currency_of(made.get("currency")),
        refund_id=_own_id(text(made, "refund_id")) if made.get("refund_id") is not None else None,
        payment_id=reference.payment_id,
        raw=kept(made, _REFUND),
    )


def _own_id(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError as error:
        raise UnreadableError("refund_id is not an id of ours") from error


def _payment_id(reference: str) -> UUID | None:
    """Our own id, which the reference of a payment that we opened carries."""
    try:
        return UUID(reference.removeprefix(PREFIX)) if reference.startswith(PREFIX) else None
    except ValueError:
        return None
