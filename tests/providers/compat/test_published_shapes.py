"""What we send and understand against what the providers' packages publish; see ``published``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from checkout_service.providers.adapters.adyen import events as adyen_events
from checkout_service.providers.adapters.adyen import provider as adyen
from checkout_service.providers.adapters.mollie import responses
from checkout_service.providers.adapters.paypal import movements, orders
from checkout_service.providers.adapters.paypal import webhooks as paypal_webhooks
from checkout_service.providers.base import Opening
from tests.providers.compat.published import FILE
from tests.providers.kits.adyen import KIT as ADYEN
from tests.providers.kits.adyen import reference_of as link_of
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID
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
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    reference = link_of(PAYMENT_ID, payment_token=made.payment_token, attempt_ref="NC6HT9CRT65ZGN82")
    provider.cancel(reference)
    provider.refund(reference, refund_id=REFUND_ID, amount=AMOUNT, reason="too small")
    provider.capture(reference, request_id=uuid4(), amount=AMOUNT, final=True)
    provider.void(reference, void_id=uuid4())
    ADYEN.provider(answer=bank, capture="manual").open(Opening(payment_id=uuid4(), amount=AMOUNT, currency=CURRENCY))

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
    assert set(events) - ours == adyen_events.SAYS_NOTHING


def test_paypals_requests_have_the_published_fields() -> None:
    shapes, bank = PUBLISHED["paypal"]["requests"], PAYPAL.bank()
    provider = PAYPAL.provider(answer=bank, return_url="https://shop.test/paid", cancel_url="https://shop.test/cart")
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
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
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    reference = order_of(PAYMENT_ID, payment_token=made.payment_token)
    bank.approve(made.provider_ref)
    paid, _ = provider.look_up(reference)
    provider.refund(replace(reference, capture_ref=paid.capture_ref), refund_id=REFUND_ID, amount=AMOUNT, reason=None)
    names = {made.payment_token: "{id}", paid.capture_ref: "{capture_id}"}

    assert len(bank.requests) == 5
    are_published(bank.requests, names)


def test_paypals_calls_about_authorizations_have_the_published_shapes() -> None:
    shapes, bank = PUBLISHED["paypal"]["requests"], PAYPAL.bank()
    provider = PAYPAL.provider(answer=bank, capture="manual", clock=lambda: NOW + timedelta(days=4))
    names = {}
    for payment_id in (PAYMENT_ID, UUID(int=1)):
        made = provider.open(Opening(payment_id=payment_id, amount=AMOUNT, currency=CURRENCY))
        assert body(bank.requests[-1])["intent"] in PUBLISHED["paypal"]["intents"]
        bank.approve(made.provider_ref)
        authorized, _ = provider.look_up(order_of(payment_id, payment_token=made.payment_token))
        (attempt,) = authorized.entries
        names |= {
            made.payment_token: "{id}",
            attempt.ref: "{authorization_id}",
            f"1{attempt.ref[1:]}": "{authorization_id}",
        }
        reference = order_of(payment_id, payment_token=made.payment_token, attempt_ref=attempt.ref)
        if payment_id == PAYMENT_ID:
            provider.capture(reference, request_id=REFUND_ID, amount=AMOUNT, final=True)
            fits(body(bank.requests[-1]), shapes["capture_request"])
            fits(body(bank.requests[-2]), shapes["reauthorize_request"])
        else:
            provider.void(reference, void_id=REFUND_ID)

    made_calls = are_published(bank.requests, names)
    assert {path.split("/")[-1] for path in made_calls} >= {"authorize", "reauthorize", "capture", "void"}


def are_published(requests: Sequence[httpx.Request], names: Mapping[str, str]) -> list[str]:
    """The calls, which have published paths and headers of PayPal's; ``names`` are what stands in the paths."""
    paths = []
    for call in requests:
        paths.append("/".join(names.get(step, step) for step in call.url.path.split("/")))
        published = {name.lower() for name in PUBLISHED["paypal"]["calls"][f"{call.method} {paths[-1]}"]}
        ours = {name for name in call.headers if name.startswith("paypal-") or name == "prefer"}
        assert ours <= published
    return paths


def test_paypals_statuses_are_those_that_are_published() -> None:
    published = PUBLISHED["paypal"]

    assert {*orders.OPEN, "VOIDED", "COMPLETED"} == set(published["order statuses"])
    assert set(movements.CAPTURES) == set(published["capture statuses"])
    assert set(movements.AUTHORIZATIONS) == {*published["authorization statuses"], "AUTHORIZED", "EXPIRED"}
    assert set(paypal_webhooks.REFUNDS) == set(published["refund statuses"])


def test_mollies_requests_have_the_published_fields() -> None:
    shapes, bank = PUBLISHED["mollie"]["requests"], MOLLIE.bank()
    provider = MOLLIE.provider(answer=bank)
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
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
