"""What PayPal's webhooks and answers hold: captures, authorizations, what was taken of them, disputes."""

from __future__ import annotations

from typing import Any

from tests.providers.kits.kit import CURRENCY, PAYMENT_ID

PAYMENT_REF = f"paypal_{PAYMENT_ID.hex}"
ORDER, CAPTURE, REFUND = "5O190127TN364715T", "3C679366HH908993F", "1Y107995YT783435V"
AUTHORIZATION, REAUTHORIZATION = "0VF52814937998046", "8AA831015G517922L"
REVERSAL, DISPUTE = "09E71677NS257044M", "PP-D-27803"
API = "https://api.paypal.com"


def capture(ref: str = CAPTURE, value: str = "240.00", status: str = "COMPLETED", **fields: Any) -> dict[str, Any]:
    """A capture, of an order without authorizations unless ``of`` names one, with fields that we have no use for."""
    of = fields.pop("of", None)
    up = f"/v2/payments/authorizations/{of}" if of else f"/v2/checkout/orders/{ORDER}"
    return {
        "id": ref,
        "status": status,
        "amount": {"currency_code": CURRENCY, "value": value},
        "final_capture": of is None,
        "custom_id": PAYMENT_REF,
        "invoice_id": PAYMENT_REF,
        "seller_protection": {"status": "ELIGIBLE", "dispute_categories": ["ITEM_NOT_RECEIVED"]},
        "supplementary_data": {"related_ids": {"order_id": ORDER} | ({"authorization_id": of} if of else {})},
        "payee": {"email_address": "shop@example.test"},
        "create_time": "2026-11-25T11:59:50Z",
        "update_time": "2026-11-25T11:59:50Z",
        "links": [
            {"rel": "self", "href": f"{API}/v2/payments/captures/{ref}", "method": "GET"},
            {"rel": "up", "href": f"{API}{up}", "method": "GET"},
        ],
    } | fields


def authorization(
    ref: str = AUTHORIZATION, value: str = "240.00", status: str = "CREATED", **fields: Any
) -> dict[str, Any]:
    return {
        "id": ref,
        "status": status,
        "amount": {"currency_code": CURRENCY, "value": value},
        "custom_id": PAYMENT_REF,
        "invoice_id": PAYMENT_REF,
        "expiration_time": "2026-12-24T11:59:50Z",
        "supplementary_data": {"related_ids": {"order_id": ORDER}},
        "create_time": "2026-11-25T11:59:50Z",
        "update_time": "2026-11-25T11:59:50Z",
        "links": [{"rel": "self", "href": f"{API}/v2/payments/authorizations/{ref}", "method": "GET"}],
    } | fields


def taken(ref: str, value: str, of: str = CAPTURE, **fields: Any) -> dict[str, Any]:
    """A refund or a reversal of a capture: one shape, told apart by the kind of its event."""
    return {
        "id": ref,
        "status": "COMPLETED",
        "amount": {"currency_code": CURRENCY, "value": value},
        "custom_id": PAYMENT_REF,
        "invoice_id": PAYMENT_REF,
        "seller_payable_breakdown": {"total_refunded_amount": {"currency_code": CURRENCY, "value": "200.00"}},
        "create_time": "2026-11-25T11:59:55Z",
        "update_time": "2026-11-25T11:59:55Z",
        "links": [
            {"rel": "self", "href": f"{API}/v2/payments/refunds/{ref}", "method": "GET"},
            {"rel": "up", "href": f"{API}/v2/payments/captures/{of}", "method": "GET"},
        ],
    } | fields


def dispute(
    value: str = "40.00", stage: str = "CHARGEBACK", status: str = "WAITING_FOR_SELLER_RESPONSE", **fields: Any
) -> dict[str, Any]:
    return {
        "dispute_id": DISPUTE,
        "create_time": "2026-11-25T11:00:00.000Z",
        "update_time": "2026-11-25T11:30:00.000Z",
        "disputed_transactions": [
            {
                "seller_transaction_id": CAPTURE,
                "custom": PAYMENT_REF,
                "invoice_number": PAYMENT_REF,
                "gross_amount": {"currency_code": CURRENCY, "value": "240.00"},
                "buyer": {"name": "Ada", "email": "ada@example.test"},
                "seller": {"merchant_id": "RD465XN5VS364"},
            }
        ],
        "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
        "status": status,
        "dispute_amount": {"currency_code": CURRENCY, "value": value},
        "dispute_life_cycle_stage": stage,
        "dispute_channel": "INTERNAL",
        "seller_response_due_date": "2026-12-05T11:00:00.000Z",
        "messages": [{"posted_by": "BUYER", "content": "where is it"}],
    } | fields


def resolved(outcome: str, value: str = "40.00", stage: str = "CHARGEBACK", **fields: Any) -> dict[str, Any]:
    ended = {"dispute_outcome": {"outcome_code": outcome}, "update_time": "2026-12-02T08:00:00.000Z"}
    return dispute(value, stage, "RESOLVED", **(ended | fields))
