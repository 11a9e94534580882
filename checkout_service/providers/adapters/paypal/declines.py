"""PayPal's words for a refusal, in ours (PayPal, "Orders v2 errors" and "Payments v2 errors")."""

from __future__ import annotations

from typing import Any, Final

from checkout_service.providers.base import Decline, ProviderUnavailableError

DECLINED: Final = frozenset(
    {
        Decline.DECLINED,
        Decline.INSUFFICIENT_FUNDS,
        Decline.EXPIRED_METHOD,
        Decline.AUTHENTICATION_FAILED,
        Decline.SUSPECTED_FRAUD,
    }
)
"""Of a capture: the customer may approve again with another method."""

IN_PROGRESS: Final = "PREVIOUS_REQUEST_IN_PROGRESS"

_ISSUES: Final = {
    "INSTRUMENT_DECLINED": Decline.DECLINED,
    "PAYER_CANNOT_PAY": Decline.DECLINED,
    "PAYER_ACCOUNT_RESTRICTED": Decline.DECLINED,
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED": Decline.DECLINED,
    "CARD_EXPIRED": Decline.EXPIRED_METHOD,
    "TRANSACTION_REFUSED": Decline.SUSPECTED_FRAUD,
    "COMPLIANCE_VIOLATION": Decline.SUSPECTED_FRAUD,
    "PAYER_ACTION_REQUIRED": Decline.AUTHENTICATION_FAILED,
    "REFUND_FAILED_INSUFFICIENT_FUNDS": Decline.INSUFFICIENT_FUNDS,
    "CURRENCY_NOT_SUPPORTED": Decline.CURRENCY_REFUSED,
    "INVALID_CURRENCY_CODE": Decline.CURRENCY_REFUSED,
    "REFUND_CAPTURE_CURRENCY_MISMATCH": Decline.CURRENCY_REFUSED,
    "DECIMAL_PRECISION": Decline.AMOUNT_REFUSED,
    "CANNOT_BE_ZERO_OR_NEGATIVE": Decline.AMOUNT_REFUSED,
    "MAX_VALUE_EXCEEDED": Decline.AMOUNT_REFUSED,
    "REFUND_AMOUNT_EXCEEDED": Decline.AMOUNT_REFUSED,
    "MAX_CAPTURE_AMOUNT_EXCEEDED": Decline.AMOUNT_REFUSED,
    "AUTH_CAPTURE_CURRENCY_MISMATCH": Decline.CURRENCY_REFUSED,
    "AUTHORIZATION_DENIED": Decline.DECLINED,
    "AUTHORIZATION_ALREADY_CAPTURED": Decline.NOT_IN_THIS_STATE,
    "AUTHORIZATION_EXPIRED": Decline.NOT_IN_THIS_STATE,
    "AUTHORIZATION_VOIDED": Decline.NOT_IN_THIS_STATE,
    "CANNOT_BE_VOIDED": Decline.NOT_IN_THIS_STATE,
    "MAX_CAPTURE_COUNT_EXCEEDED": Decline.NOT_IN_THIS_STATE,
    "PREVIOUSLY_CAPTURED": Decline.NOT_IN_THIS_STATE,
    "PREVIOUSLY_VOIDED": Decline.NOT_IN_THIS_STATE,
    "ORDER_ALREADY_AUTHORIZED": Decline.NOT_IN_THIS_STATE,
    "ORDER_ALREADY_CAPTURED": Decline.NOT_IN_THIS_STATE,
    "ORDER_NOT_APPROVED": Decline.NOT_IN_THIS_STATE,
    "CAPTURE_FULLY_REFUNDED": Decline.NOT_IN_THIS_STATE,
    "REFUND_TIME_LIMIT_EXCEEDED": Decline.NOT_IN_THIS_STATE,
    "INVALID_RESOURCE_ID": Decline.UNKNOWN_REFERENCE,
    "DUPLICATE_INVOICE_ID": Decline.KEY_REUSED,
    "PERMISSION_DENIED": Decline.CREDENTIALS,
}


def explain(status: int, error: dict[str, Any]) -> Decline | None:
    """Which refusal an error is; raises ProviderUnavailableError where a concurrent retry is at work."""
    details = error.get("details")
    named = [item.get("issue") for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    if IN_PROGRESS in named:
        raise ProviderUnavailableError("another call with this key is at work", in_progress=True)
    return next((_ISSUES[issue] for issue in named if isinstance(issue, str) and issue in _ISSUES), None)
