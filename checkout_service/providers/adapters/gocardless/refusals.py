"""Which refusal an error of GoCardless' is: by the reasons beside it, never by its sentences.

(API 2015-07-06, "Errors": ``error.type``, and ``error.errors`` with a reason or a field each.)
"""

from __future__ import annotations

from typing import Any, Final

from checkout_service.providers.base import Decline, ProviderRefusedError, ProviderUnavailableError

_REASONS: Final = {
    "refund_payment_invalid_state": Decline.NOT_IN_THIS_STATE,
    "refund_is_unreachable": Decline.NOT_IN_THIS_STATE,
    "number_of_refunds_exceeded": Decline.NOT_IN_THIS_STATE,
    "cancellation_failed": Decline.NOT_IN_THIS_STATE,
    "mandate_is_inactive": Decline.EXPIRED_METHOD,
    "bank_account_disabled": Decline.EXPIRED_METHOD,
    "available_refund_amount_insufficient": Decline.INSUFFICIENT_FUNDS,
    # Refunds are switched off until GoCardless is asked for them: our token is good all the same.
    "feature_disabled": Decline.NOT_IN_THIS_STATE,
    "resource_not_found": Decline.UNKNOWN_REFERENCE,
    "link_not_found": Decline.UNKNOWN_REFERENCE,
}

_FIELDS: Final = {"amount": Decline.AMOUNT_REFUSED, "currency": Decline.CURRENCY_REFUSED}


class TotalRefusedError(ProviderUnavailableError):
    """The sum of all refunds that went with one is not what GoCardless reckons: most often, another is at work."""


class ConflictError(ProviderRefusedError):
    """Something was made by this key before; ``resource`` is its id."""

    def __init__(self, resource: object) -> None:
        super().__init__("something was made by this key before", reason=Decline.KEY_REUSED)
        self.resource = resource


def explain(status: int, body: dict[str, Any]) -> Decline | None:
    """The Decline of an error; None for its status's usual one. Raises ConflictError, or TotalRefusedError.

    The latter where refunds of one payment were requested at once: the sum that one told is not true any more.
    """
    error = body.get("error")
    if not isinstance(error, dict):
        return None
    listed = error.get("errors")
    details = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    reasons = [each["reason"] for each in details if isinstance(each.get("reason"), str)]
    if "idempotent_creation_conflict" in reasons:
        links: dict[str, Any] = next((each["links"] for each in details if isinstance(each.get("links"), dict)), {})
        raise ConflictError(links.get("conflicting_resource_id"))
    if "total_amount_confirmation_invalid" in reasons:
        raise TotalRefusedError("another refund of this payment is at work", in_progress=True)
    for reason in reasons:
        if reason in _REASONS:
            return _REASONS[reason]
    for each in details:
        field = each.get("field")
        if isinstance(field, str) and field.rpartition(".")[2] in _FIELDS:
            return _FIELDS[field.rpartition(".")[2]]
    return Decline.NOT_IN_THIS_STATE if error.get("type") == "invalid_state" else None
