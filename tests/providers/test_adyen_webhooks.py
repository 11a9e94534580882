"""Adyen's batches: every item verified by itself, nothing decided on what is not signed, each event in our words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.adapters.adyen.events import CODES
from checkout_service.providers.base import IgnoredReason, ParsedWebhook, UnreadableError, UnverifiedError
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, NoticeEntry
from tests.providers.kits.adyen import KIT, PAYMENT_REF, REFUND_REF, batch, item, sign
from tests.providers.kits.kit import PAYMENT_ID, REFUND_ID, SignedWebhook

SECRET = KIT.secrets[0]
ORIGINAL = {"originalReference": "NC6HT9CRT65ZGN82", "pspReference": "NC6HT9CRT65ZGN99"}


def read(body: bytes, *secrets: str, **options: str) -> ParsedWebhook:
    return KIT.provider(*secrets, **options).verify_and_parse(SignedWebhook(body=body).raw("adyen"))


def events_of(*items: dict[str, Any], **options: str) -> Sequence[Any]:
    return read(batch(*[sign(unsigned, SECRET) for unsigned in items]), **options).events


def test_an_item_that_adyen_published_with_its_signature_is_verified() -> None:
    """From Adyen's own libraries; it is of another merchant account, so that nothing is said about it."""
    published = {
        "pspReference": "7914073381342284",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "success": "true",
        "additionalData": {"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},
    }

    assert read(batch(published)) == ParsedWebhook(events=[], secret=0, ignored=IgnoredReason.NOT_OURS)
    with pytest.raises(UnverifiedError):
        read(batch(published | {"amount": {"value": 1131, "currency": "EUR"}}))


def test_a_verified_item_is_one_event_without_anything_of_the_card() -> None:
    (event,) = events_of(item())

    assert (event.provider_ref, event.payment_id, event.status) == (PAYMENT_REF, PAYMENT_ID, PaymentStatus.PAID)
    assert (event.amount, event.currency, event.names) == (Decimal("240.00"), "USD", ("NC6HT9CRT65ZGN82",))
    assert event.event_id == "AUTHORISATION:NC6HT9CRT65ZGN82:true"
    assert event.amount_required
    assert event.occurred_at.isoformat() == "2026-11-25T11:59:58+00:00"
    kept = json.dumps(event.raw)
    assert PAYMENT_REF in kept
    assert not [word for word in ("1111", "2030", "033899", "hmacSignature") if word in kept]


def test_a_refund_is_known_by_our_reference_and_one_of_the_dashboard_by_its_payments() -> None:
    ours, elsewhere = events_of(
        item("REFUND", merchantReference=REFUND_REF, **ORIGINAL), item("REFUND", **ORIGINAL | {"pspReference": "X1"})
    )

    assert (ours.provider_ref, ours.refund_id, ours.refund_ref) == (PAYMENT_REF, REFUND_ID, "NC6HT9CRT65ZGN99")
    assert (elsewhere.provider_ref, elsewhere.refund_id, elsewhere.refund_ref) == (PAYMENT_REF, None, "X1")
    assert (ours.amount, ours.currency, ours.payment_id) == (Decimal("240.00"), "USD", PAYMENT_ID)


def test_a_redelivery_has_the_same_event_and_news_another() -> None:
    first, again, other, second = events_of(
        item(), item(), item(success="false"), item(pspReference="NC6HT9CRT65ZGN77")
    )

    assert first.event_id == again.event_id
    assert len({first.event_id, other.event_id, second.event_id}) == 3


def test_every_item_of_a_batch_is_read_and_one_unverified_refuses_the_whole() -> None:
    other = f"adyen_{REFUND_ID.hex}"
    verified = [sign(item(), SECRET), sign(item(merchantReference=other), SECRET)]
    assert [event.provider_ref for event in read(batch(*verified)).events] == [PAYMENT_REF, other]

    unverified = sign(item(), "00" * 32)
    for place in range(3):
        mixed = [*verified[:place], unverified, *verified[place:]]
        with pytest.raises(UnverifiedError, match="signature is not ours"):
            read(batch(*mixed))


ODD = [
    {"eventCode": ""},
    {"eventCode": "AUTHORISATION\n"},
    {"pspReference": "8" * 256},
    {"success": "TRUE"},
    {"success": ""},
]
"""Signed, and nothing that can be understood."""


@pytest.mark.parametrize("fields", ODD)
def test_a_verified_item_that_cannot_be_understood_is_unreadable(fields: dict[str, str]) -> None:
    with pytest.raises(UnreadableError, match="item 1 of 1: "):
        read(batch(sign(item(**fields), SECRET)))


@pytest.mark.parametrize("fields", ODD)
def test_it_takes_no_other_item_with_it_and_one_unverified_refuses_them_all(fields: dict[str, str]) -> None:
    verified, odd = sign(item(), SECRET), sign(item(**fields), SECRET)

    for items in ([verified, odd], [odd, verified]):
        parsed = read(batch(*items))
        assert [event.provider_ref for event in parsed.events] == [PAYMENT_REF]
        assert parsed.unreadable is not None
        assert f"item {items.index(odd) + 1} of 2: " in parsed.unreadable
        with pytest.raises(UnverifiedError):
            read(batch(*items, sign(item(), "00" * 32)))

    assert read(batch(verified, sign(item(merchantAccountCode="Another", **fields), SECRET))).unreadable is None


@pytest.mark.parametrize(
    "field", ["pspReference", "merchantAccountCode", "merchantReference", "eventCode", "success", "originalReference"]
)
def test_each_signed_field_is_what_was_signed(field: str) -> None:
    verified = sign(item("CAPTURE", **ORIGINAL), SECRET)

    for altered in (verified[field] + "x", "", verified[field][:-1], None, 7, ["a"], {}):
        with pytest.raises(UnverifiedError):
            read(batch(verified | {field: altered}))
    with pytest.raises(UnverifiedError):
        read(batch({name: value for name, value in verified.items() if name != field}))


@pytest.mark.parametrize(
    "amount",
    [
        {"currency": "USD", "value": 24001},
        {"currency": "EUR", "value": 24000},
        {"currency": "USD"},
        {"value": 24000},
        {},
        None,
        [],
        {"currency": "USD", "value": True},
        {"currency": "USD", "value": 24000.0},
        {"currency": ["USD"], "value": 24000},
    ],
)
def test_an_amount_is_what_was_signed(amount: Any) -> None:
    with pytest.raises(UnverifiedError):
        read(batch(sign(item(), SECRET) | {"amount": amount}))


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("capture", ["auto", "manual"])
def test_what_is_not_signed_decides_nothing(code: str, capture: str) -> None:
    verified = sign(item(code, **ORIGINAL, additionalData={"capturePspReference": "C1"}), SECRET)
    events = read(batch(verified), capture=capture).events
    altered = verified | {
        "reason": "stolen",
        "eventDate": "yesterday",
        "paymentMethod": "none",
        "operations": ["CANCEL"],
    }
    altered["additionalData"] = verified["additionalData"] | {
        "modification.action": "refund",
        "capturePspReference": "C2",
        "order-1-pspReference": "NC6HT9CRT65ZGN82",
        "disputeStatus": "Won",
        "grossValue": "1",
    }

    again = read(batch(altered), capture=capture).events

    assert [replace(event, occurred_at=None, raw={}) for event in again] == [
        replace(event, occurred_at=None, raw={}) for event in events
    ]
    assert {event.occurred_at for event in again} <= {None}


@pytest.mark.parametrize("odd", ["\0", "\ud83d", "\ud83d\0\udc4d", "\x1b[2J"])
def test_content_that_is_not_used_decides_nothing_and_what_is_used_stays_strict(odd: str) -> None:
    name = {"cardHolderName": f"J{odd}. Smith", odd: odd}
    (plain,) = events_of(item())

    (event,) = events_of(item(additionalData=name, reason=odd, paymentMethod=f"visa{odd}"))

    assert replace(event, raw={}) == replace(plain, raw={})
    for field in ("pspReference", "eventCode"):
        with pytest.raises(UnreadableError):
            events_of(item(**{field: f"X{odd}"}))
    with pytest.raises(UnreadableError):
        events_of(item("CAPTURE", **ORIGINAL | {"originalReference": f"X{odd}"}))
    assert events_of(item(merchantReference=PAYMENT_REF + odd)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"merchantAccountCode": "AnotherShopECOM"},
        {"merchantReference": "order 17 of another service"},
        {"merchantReference": PAYMENT_REF.upper()},
        {"merchantReference": PAYMENT_REF + "_7"},
        {"merchantReference": ""},
    ],
)
def test_what_is_not_ours_makes_no_event(fields: dict[str, str]) -> None:
    assert read(batch(sign(item(**fields), SECRET))).ignored is IgnoredReason.NOT_OURS
    assert events_of(item(**fields)) == []
    assert [event.provider_ref for event in events_of(item(**fields), item())] == [PAYMENT_REF]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"notificationItems": []}',
        b'{"notificationItems": {}}',
        b'{"notificationItems": [7]}',
        b'{"notificationItems": [{}]}',
        b'{"notificationItems": [{"NotificationRequestItem": []}]}',
        batch(item()),
        batch(item() | {"additionalData": {"hmacSignature": 7}}),
        batch(item() | {"additionalData": None}),
        batch({name: value for name, value in item().items() if name != "additionalData"}),
        batch(sign(item(), SECRET) | {"additionalData": {"hmacSignature": "größe"}}),
        batch(sign(item(), SECRET) | {"additionalData": {"hmacSignature": "\ud800"}}),
    ],
)
def test_a_body_without_signatures_is_unverified(body: bytes) -> None:
    with pytest.raises(UnverifiedError):
        read(body)


def test_secrets_are_hexadecimal_in_either_case_and_no_other_matches() -> None:
    body = batch(sign(item(), SECRET))

    assert read(body, "00" * 32, SECRET.lower()).secret == 1
    for useless in ("", "not hexadecimal", SECRET[:-1], SECRET + "01"):
        with pytest.raises(UnverifiedError):
            read(body, useless)
    with pytest.raises(UnverifiedError):
        read(batch(sign(item(), "")), "")


@pytest.mark.parametrize(
    ("currency", "value", "amount"),
    [("JPY", 240, "240.00"), ("ISK", 24000, "240.00"), ("IDR", 240, "240.00"), ("KWD", 240500, "240.50")],
)
def test_amounts_are_in_adyens_own_smallest_units(currency: str, value: int, amount: str) -> None:
    (event,) = events_of(item(amount={"currency": currency, "value": value}))

    assert (event.amount, event.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize("code", ["AUTHORISATION", "CAPTURE", "CAPTURE_FAILED", "CHARGEBACK"])
@pytest.mark.parametrize("value", [10**15, -5])
def test_money_that_we_cannot_hold_flags_its_payment_and_refuses_no_webhook(code: str, value: int) -> None:
    (event,) = events_of(item(code, amount={"currency": "KWD", "value": value}))

    assert event.amount is None
    assert NoticeEntry in map(type, event.entries)
    assert CaptureEntry not in map(type, event.entries)
    assert [entry.presumed for entry in event.entries if isinstance(entry, AttemptEntry)] in ([], [None])
    assert [entry.reason for entry in event.entries if isinstance(entry, NoticeEntry)] == [ReviewReason.MISMATCH]


@pytest.mark.parametrize("code", ["CANCELLATION", "EXPIRE", "PENDING", "OFFER_CLOSED", "REQUEST_FOR_INFORMATION"])
def test_an_amount_that_nobody_needs_may_be_missing(code: str) -> None:
    bare = item(code)
    del bare["amount"]
    (event,) = events_of(bare)

    notices = [entry for entry in event.entries if isinstance(entry, NoticeEntry)]
    assert notices == []
