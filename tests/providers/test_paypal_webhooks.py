"""PayPal's webhooks: signed by its certificate for our webhook, about when they came; each event in our words."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import ThinEvent, UnreadableError, UnverifiedError
from checkout_service.providers.entries import NoticeEntry
from tests.providers.kits.kit import NOW, PAYMENT_ID, REFUND_ID, SignedWebhook
from tests.providers.kits.paypal import CAPTURE, KIT, PAYMENT_REF, REFUND, approved, certificates, event_body, sign

WEBHOOK = KIT.secrets[0]
RESOURCE = {
    "id": CAPTURE,
    "status": "COMPLETED",
    "amount": {"currency_code": "USD", "value": "240.00"},
    "custom_id": PAYMENT_REF,
    "payer": {"email_address": "customer@example.test"},
    "payment_source": {"card": {"last_digits": "1111", "number": "4111111111111111"}},
}


def read(webhook: SignedWebhook, *webhooks: str, **options: Any) -> list[Any]:
    return list(KIT.provider(*webhooks, **options).verify_and_parse(webhook.raw("paypal")).events)


def events_of(kind: str, resource: dict[str, Any], **options: Any) -> list[Any]:
    return read(sign(event_body(kind, resource), WEBHOOK), **options)


def test_a_verified_capture_is_one_event_without_the_payer_and_the_card() -> None:
    (event,) = events_of("PAYMENT.CAPTURE.COMPLETED", RESOURCE)

    assert (event.provider_ref, event.payment_id, event.status) == (PAYMENT_REF, PAYMENT_ID, PaymentStatus.PAID)
    assert (event.amount, event.currency, event.capture_ref) == (Decimal("240.00"), "USD", CAPTURE)
    assert event.event_id.startswith("WH-")
    assert event.amount_required
    kept = json.dumps(event.raw)
    assert CAPTURE in kept
    assert not [word for word in ("customer@", "1111", "4111") if word in kept]


EVENTS = {
    "PAYMENT.CAPTURE.COMPLETED": PaymentStatus.PAID,
    "PAYMENT.CAPTURE.PENDING": PaymentStatus.PROCESSING,
    "PAYMENT.CAPTURE.DENIED": PaymentStatus.FAILED,
    "PAYMENT.CAPTURE.DECLINED": PaymentStatus.FAILED,
    "PAYMENT.CAPTURE.REVERSED": PaymentStatus.REVERSED,
    "CHECKOUT.PAYMENT-APPROVAL.REVERSED": PaymentStatus.CANCELED,
    "CHECKOUT.ORDER.COMPLETED": None,
    "PAYMENT.AUTHORIZATION.CREATED": PaymentStatus.AUTHORIZED,
    "PAYMENT.AUTHORIZATION.VOIDED": PaymentStatus.CANCELED,
    "PAYMENT.SALE.COMPLETED": None,
    "PAYMENT.SALE.REFUNDED": None,
    "A.WORD.OF.NEXT.YEAR": None,
}


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_proves_its_status_or_nothing(kind: str) -> None:
    status = EVENTS[kind]
    assert [event.status for event in events_of(kind, RESOURCE)] == ([status] if status else [])


@pytest.mark.parametrize(
    ("kind", "held", "status"),
    [
        ("PAYMENT.CAPTURE.REFUNDED", "COMPLETED", RefundStatus.SUCCEEDED),
        ("PAYMENT.CAPTURE.REFUNDED", None, RefundStatus.SUCCEEDED),
        ("PAYMENT.CAPTURE.REFUNDED", "PENDING", RefundStatus.PROCESSING),
        ("PAYMENT.CAPTURE.REFUNDED", ["COMPLETED"], RefundStatus.SUCCEEDED),
        ("PAYMENT.REFUND.PENDING", "PENDING", RefundStatus.PROCESSING),
        ("PAYMENT.REFUND.FAILED", "FAILED", RefundStatus.FAILED),
        ("PAYMENT.REFUND.FAILED", "CANCELLED", RefundStatus.FAILED),
    ],
)
def test_a_refund_has_the_status_that_it_holds(kind: str, held: Any, status: RefundStatus) -> None:
    (event,) = events_of(kind, RESOURCE | {"id": REFUND, "status": held})

    assert (event.status, event.refund_ref, event.refund_id) == (status, REFUND, None)
    assert (event.provider_ref, event.amount, event.currency) == (PAYMENT_REF, Decimal("240.00"), "USD")


def test_a_refund_of_ours_is_known_by_our_reference() -> None:
    custom_id = f"{PAYMENT_REF}_{REFUND_ID.hex}"
    (event,) = events_of("PAYMENT.CAPTURE.REFUNDED", RESOURCE | {"id": REFUND, "custom_id": custom_id})
    assert (event.provider_ref, event.refund_id, event.payment_id) == (PAYMENT_REF, REFUND_ID, PAYMENT_ID)


DASHBOARD = {
    "id": REFUND,
    "status": "COMPLETED",
    "amount": {"currency_code": "USD", "value": "40.00"},
    "links": [
        {"rel": "self", "href": f"https://api.paypal.com/v2/payments/refunds/{REFUND}"},
        {"rel": "up", "href": f"https://api.paypal.com/v2/payments/captures/{CAPTURE}"},
    ],
}


@pytest.mark.parametrize("theirs", [{}, {"custom_id": "RMA-77"}, {"invoice_id": 7}])
def test_a_refund_without_our_reference_is_found_by_its_capture_and_nobody_is_called(theirs: dict[str, Any]) -> None:
    (event,) = events_of("PAYMENT.CAPTURE.REFUNDED", DASHBOARD | theirs)

    assert (event.provider_ref, event.payment_id, event.refund_id) == ("", None, None)
    assert (event.refund_ref, event.capture_ref, event.amount) == (REFUND, CAPTURE, Decimal("40.00"))
    assert list(event.names) == [REFUND, CAPTURE]


def test_a_reversal_without_our_reference_is_found_by_its_capture_too_and_is_no_stranger() -> None:
    (event,) = events_of("PAYMENT.CAPTURE.REVERSED", DASHBOARD)
    assert (event.provider_ref, list(event.names), event.foreign) == ("", [REFUND, CAPTURE], False)


@pytest.mark.parametrize(
    ("links", "names"),
    [
        ([{"rel": "up", "href": "https://evil.test/v2/payments/captures/../../x?y"}], [REFUND]),
        ([{"rel": "up", "href": 7}, 7], [REFUND]),
        ("up", [REFUND]),
        ([{"rel": "up", "href": "https://evil.test/v2/payments/captures/ABC"}], [REFUND, "ABC"]),
        ([{"rel": "up", "href": "https://api.paypal.com/v2/payments/authorizations/ABC"}], [REFUND, "ABC"]),
    ],
)
def test_of_a_link_the_last_step_alone_is_used(links: Any, names: list[str]) -> None:
    (event,) = events_of("PAYMENT.CAPTURE.REFUNDED", DASHBOARD | {"links": links})
    assert list(event.names) == names
    assert event.capture_ref == ("ABC" if "captures" in str(links) and "ABC" in names else None)


def test_an_approval_is_a_verified_thin_event() -> None:
    assert read(approved(PAYMENT_REF, WEBHOOK)) == [
        ThinEvent(provider="paypal", provider_ref=PAYMENT_REF, verified=True, payment_id=PAYMENT_ID)
    ]
    assert read(approved("of another service", WEBHOOK)) == []


@pytest.mark.parametrize("seconds", [-299, 0, 301, 3_600, 72 * 3600 - 1])
def test_a_webhook_delivered_again_within_three_days_is_read(seconds: int) -> None:
    webhook = KIT.webhook(PaymentStatus.PAID, signed_at=NOW - timedelta(seconds=seconds))
    assert read(webhook)


@pytest.mark.parametrize("seconds", [-301, -86_400, 72 * 3600 + 1, 86_400 * 300])
def test_an_older_one_and_one_of_the_future_are_refused(seconds: int) -> None:
    requests: list[str] = []
    webhook = KIT.webhook(PaymentStatus.PAID, signed_at=NOW - timedelta(seconds=seconds))

    with pytest.raises(UnverifiedError, match="too long before or after"):
        read(webhook, certificates_=certificates(transport=_noting(requests)))
    assert requests == [], "nothing is fetched for it"


def test_a_webhook_for_another_webhook_is_refused_and_several_may_be_live() -> None:
    webhook = sign(event_body("PAYMENT.CAPTURE.COMPLETED", RESOURCE), KIT.secrets[1])

    with pytest.raises(UnverifiedError, match="not PayPal's"):
        read(webhook)
    assert KIT.provider(*KIT.secrets).verify_and_parse(webhook.raw("paypal")).secret == 1
    with pytest.raises(UnverifiedError):
        read(sign(event_body("PAYMENT.CAPTURE.COMPLETED", RESOURCE), ""), "")


def test_the_signature_covers_each_byte() -> None:
    webhook = KIT.webhook(PaymentStatus.PAID)

    for place in range(0, len(webhook.body), 7):
        body = bytearray(webhook.body)
        body[place] ^= 1
        with pytest.raises(UnverifiedError):
            read(replace(webhook, body=bytes(body)))


HEADERS = {
    "paypal-transmission-id": ["another", "", "größe", "a\nb"],
    "paypal-transmission-time": ["2026-11-25T11:59:00Z", "2026-11-25T12:00:00", "now", "1795608000", ""],
    "paypal-transmission-sig": ["", "AAAA", "größe", "not base64!", base64.b64encode(b"x" * 256).decode()],
    "paypal-cert-url": ["", "https://evil.test/v1/notifications/certs/CERT-1", "größe"],
    "paypal-auth-algo": ["", "SHA1withRSA", "none", "sha256withrsa"],
}


@pytest.mark.parametrize("header", HEADERS)
def test_each_header_is_what_was_signed(header: str) -> None:
    webhook = KIT.webhook(PaymentStatus.PAID)

    for value in HEADERS[header]:
        with pytest.raises(UnverifiedError):
            read(replace(webhook, headers=webhook.headers | {header: value}))
    with pytest.raises(UnverifiedError, match="missing"):
        read(replace(webhook, headers={name: value for name, value in webhook.headers.items() if name != header}))


def test_a_checksum_alone_lets_nothing_in() -> None:
    """Two bodies of one checksum are easily made.

    Without the time and place of a verified webhook they are of no use.
    """
    webhook = KIT.webhook(PaymentStatus.PAID)
    target = zlib.crc32(webhook.body)
    other = webhook.body.replace(b'"PAYMENT.CAPTURE.COMPLETED"', b'"PAYMENT.CAPTURE.REVERSED"')
    assert zlib.crc32(other) != target

    with pytest.raises(UnverifiedError):
        read(replace(webhook, body=other))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        event_body("", RESOURCE),
        event_body("PAYMENT.CAPTURE.COMPLETED", RESOURCE).replace(b'"WH-', b'"\\u0000WH-'),
        event_body("PAYMENT.CAPTURE.COMPLETED", RESOURCE | {"id": None}),
        event_body("PAYMENT.CAPTURE.COMPLETED", RESOURCE).replace(b"2026-11-25T11:59:58.123Z", b"yesterday"),
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_signed_body_that_makes_no_sense_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(sign(body, WEBHOOK))


@pytest.mark.parametrize("resource", [{}, {"custom_id": "order 7"}, {"purchase_units": [7, {}]}, 7, []])
def test_a_resource_without_a_name_and_without_our_reference_says_nothing(resource: Any) -> None:
    assert events_of("PAYMENT.CAPTURE.COMPLETED", resource) == []


@pytest.mark.parametrize("kind", ["PAYMENT.CAPTURE.COMPLETED", "PAYMENT.AUTHORIZATION.CREATED"])
@pytest.mark.parametrize(
    "theirs", [{}, {"custom_id": 7}, {"custom_id": "order 7"}, {"custom_id": "paypal_" + "0" * 31}]
)
def test_a_resource_of_another_service_counts_only_where_its_payment_is_known_by_its_names(
    kind: str, theirs: dict[str, Any]
) -> None:
    (event,) = events_of(kind, {"id": CAPTURE, "amount": RESOURCE["amount"]} | theirs)
    assert (event.provider_ref, event.payment_id, event.foreign) == ("", None, True)
    assert list(event.names) == [CAPTURE]


@pytest.mark.parametrize(
    "amount", [{}, 7, {"value": "1.005", "currency_code": "USD"}, {"value": 1, "currency_code": 7}]
)
def test_money_that_we_cannot_hold_flags_its_payment_and_refuses_no_webhook(amount: Any) -> None:
    (event,) = events_of("PAYMENT.CAPTURE.COMPLETED", RESOURCE | {"amount": amount})
    assert (event.status, event.amount) == (PaymentStatus.PAID, None)
    _, notice = event.entries
    assert notice == NoticeEntry(reason=ReviewReason.MISMATCH, ref=CAPTURE, detail="an amount that we cannot hold")

    (event,) = events_of("PAYMENT.CAPTURE.REVERSED", RESOURCE | {"amount": amount})
    assert [type(entry) for entry in event.entries] == [NoticeEntry], "nothing is taken that nobody can count"


def _noting(requests: list[str]) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(str(request.url))
        return httpx.Response(404)

    return httpx.MockTransport(answer)
