"""What we send and understand against what the providers' packages publish; see ``published``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx

from checkout_service.providers.adapters.adyen import events as adyen_events
from checkout_service.providers.adapters.adyen import provider as adyen
from checkout_service.providers.adapters.mollie import responses
from checkout_service.providers.adapters.paypal import orders
from checkout_service.providers.adapters.paypal import webhooks as paypal_webhooks
from tests.providers.compat.published import FILE
from tests.providers.kits.adyen import KIT as ADYEN
from tests.providers.kits.adyen import reference_of as link_of
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, REFUND_ID
from tests.providers.kits.mollie import KIT as MOLLIE
from tests.providers.kits.paypal import KIT as PAYPAL
from tests.providers.kits.paypal import reference_of as order_of

PUBLISHED = json.loads(FILE.read_text())


def body(call: httpx.Request) -> dict[str, Any]:
    return json.loads(call.content)


def fits(sent: Mapping[str, Any], shape: Mapping[str, list[str]]) -> None:
    assert sent.keys() <= {*shape["required"], *shape["optional"]}
    assert sent.keys() >= set(shape["required"])


def test_adyens_requests_have_the_published_fields() -> None:
    shapes, bank = PUBLISHED["adyen"]["requests"], ADYEN.bank()
    provider = ADYEN.provider(answer=bank)
    made = provider.open(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)
    reference = link_of(PAYMENT_ID, payment_token=made.payment_token, attempt_ref="NC6HT9CRT65ZGN82")
    provider.cancel(reference)
    provider.refund(reference, refund_id=REFUND_ID, amount=AMOUNT, reason="too small")
    provider.capture(reference, request_id=uuid4(), amount=AMOUNT, final=True)
    provider.void(reference, void_id=uuid4())
    ADYEN.provider(answer=bank, capture="manual").open(payment_id=uuid4(), amount=AMOUNT, currency=CURRENCY)

    opened, canceled, refunded, captured, voided, by_hand = map(body, bank.requests)
    for sent in (opened, by_hand):
        fits(sent, shapes["paymentLinkRequest"])
    fits(canceled, shapes["updatePaymentLinkRequest"])
    fits(refunded, shapes["paymentRefundRequest"])
    fits(captured, shapes["paymentCaptureRequest"])
    fits(voided, shapes["paymentCancelRequest"])
    for sent in (opened, refunded, captured):
        fits(sent["amount"], shapes["amount"])


def test_adyens_statuses_and_events_are_those_that_are_published() -> None:
    statuses, events = PUBLISHED["adyen"]["link statuses"], PUBLISHED["adyen"]["events"]
    ours = adyen_events.CODES

    assert {*adyen._UNDER_WAY, "active", "expired"} == set(statuses)
    assert ours - set(events) == {
        # in Adyen's OpenAPI (Webhooks v1), and not in their package
        *("DISPUTE_OPENED_WITH_CHARGEBACK", "PREARBITRATION_OPEN", "PREARBITRATION_ACCEPTED"),
        *("PREARBITRATION_DECLINED", "PREARBITRATION_ISSUER_WITHDRAWN"),
        *("SCHEME_ARBITRATION", "SCHEME_ARBITRATION_WON", "SCHEME_ARBITRATION_LOST"),
    }
    assert set(events) - ours == {
        # of other products than ours
        *("AUTORESCUE", "CANCEL_AUTORESCUE", "DONATION", "RECURRING_CONTRACT"),
        *("PAIDOUT_REVERSED", "PAYOUT_DECLINE", "PAYOUT_EXPIRE", "PAYOUT_THIRDPARTY"),
        # followed by an event of its own, or none of ours
        *("HANDLED_EXTERNALLY", "MANUAL_REVIEW_ACCEPT", "MANUAL_REVIEW_REJECT", "PROCESS_RETRY", "REPORT_AVAILABLE"),
        *("VOID_PENDING_REFUND", "ORDER_OPENED", "ISSUER_COMMENTS"),
    }


def test_paypals_requests_have_the_published_fields() -> None:
    shapes, bank = PUBLISHED["paypal"]["requests"], PAYPAL.bank()
    provider = PAYPAL.provider(answer=bank, return_url="https://shop.test/paid", cancel_url="https://shop.test/cart")
    made = provider.open(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)
    bank.pay(made.provider_ref)
    reference = order_of(PAYMENT_ID, payment_token=made.payment_token)
    provider.refund(reference, refund_id=REFUND_ID, amount=AMOUNT, reason="too small")

    opened, refunded = body(bank.requests[1]), body(bank.requests[-1])
    fits(opened, shapes["order_request"])
    (unit,) = opened["purchase_units"]
    fits(unit, shapes["purchase_unit_request"])
    fits(unit["amount"], shapes["amount_with_breakdown"])
    fits(opened["payment_source"], shapes["payment_source"])
    fits(opened["payment_source"]["paypal"], shapes["paypal_wallet"])
    context = opened["payment_source"]["paypal"]["experience_context"]
    fits(context, shapes["paypal_wallet_experience_context"])
    assert context["user_action"] in PUBLISHED["paypal"]["user actions"]
    fits(refunded, shapes["refund_request"])
    fits(refunded["amount"], shapes["money"])


def test_paypals_calls_have_the_published_paths_and_headers() -> None:
    bank = PAYPAL.bank()
    provider = PAYPAL.provider(answer=bank)
    made = provider.open(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)
    reference = order_of(PAYMENT_ID, payment_token=made.payment_token)
    bank.approve(made.provider_ref)
    (paid,) = provider.look_up(reference)
    provider.refund(replace(reference, capture_ref=paid.capture_ref), refund_id=REFUND_ID, amount=AMOUNT, reason=None)
    names = {made.payment_token: "{id}", paid.capture_ref: "{capture_id}"}

    for call in bank.requests:
        path = "/".join(names.get(step, step) for step in call.url.path.split("/"))
        published = {name.lower() for name in PUBLISHED["paypal"]["calls"][f"{call.method} {path}"]}
        ours = {name for name in call.headers if name.startswith("paypal-") or name == "prefer"}
        assert ours <= published
    assert len(bank.requests) == 5


def test_paypals_statuses_are_those_that_are_published() -> None:
    published = PUBLISHED["paypal"]

    assert {*orders.OPEN, "VOIDED", "COMPLETED"} == set(published["order statuses"])
    assert set(paypal_webhooks.CAPTURES) == set(published["capture statuses"])
    assert set(paypal_webhooks.REFUNDS) == set(published["refund statuses"])


def test_mollies_requests_have_the_published_fields() -> None:
    shapes, bank = PUBLISHED["mollie"]["requests"], MOLLIE.bank()
    provider = MOLLIE.provider(answer=bank)
    made = provider.open(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)
    reference = replace(MOLLIE.reference(), provider_ref=made.provider_ref)
    provider.refund(reference, refund_id=REFUND_ID, amount=AMOUNT, reason="too small")
    provider.look_up(reference)

    opened, refunded = (body(call) for call in bank.requests if call.method == "POST")
    assert opened.keys() <= set(shapes["payment"])
    assert refunded.keys() <= set(shapes["refund"])
    assert set(bank.requests[-1].url.params["embed"].split(",")) <= set(PUBLISHED["mollie"]["embeds"])


def test_mollies_statuses_are_those_that_are_published() -> None:
    assert {*responses._PAYMENTS, "open"} == set(PUBLISHED["mollie"]["payment statuses"])
    assert set(responses._REFUNDS) == set(PUBLISHED["mollie"]["refund statuses"])
