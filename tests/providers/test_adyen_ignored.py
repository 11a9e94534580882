"""What of Adyen's webhooks says nothing, and why: other kinds, other accounts, other modes; nulls; what is unsigned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from checkout_service.providers.adapters.adyen.events import CODES, SAYS_NOTHING
from checkout_service.providers.base import IgnoredReason, ParsedWebhook, UnreadableError, UnverifiedError
from tests.providers.kits.adyen import KIT, PAYMENT_REF, batch, item, sign, sign_bytes
from tests.providers.kits.kit import SignedWebhook

SECRET = KIT.secrets[0]
ORIGINAL = {"originalReference": "NC6HT9CRT65ZGN82", "pspReference": "NC6HT9CRT65ZGN99"}


def read(body: bytes, *secrets: str, **options: str) -> ParsedWebhook:
    return KIT.provider(*secrets, **options).verify_and_parse(SignedWebhook(body=body).raw("adyen"))


def events_of(*items: dict[str, Any], **options: str) -> Sequence[Any]:
    return read(batch(*[sign(unsigned, SECRET) for unsigned in items]), **options).events


def ignored_of(*items: dict[str, Any], **options: str) -> IgnoredReason:
    """Why nothing comes of these."""
    parsed = read(batch(*[sign(unsigned, SECRET) for unsigned in items]), **options)
    assert (list(parsed.events), parsed.unreadable, parsed.secret) == ([], None, 0)
    return parsed.ignored


UNKNOWN = item("A_WORD_OF_NEXT_YEAR")
ANOTHERS = item(merchantAccountCode="AnotherShopECOM")
SILENT = item("REPORT_AVAILABLE", merchantReference="", pspReference="settlement_detail_report_batch_1.csv")


@pytest.mark.parametrize("code", sorted(SAYS_NOTHING))
@pytest.mark.parametrize("fields", [{}, ORIGINAL, {"merchantReference": ""}, {"pspReference": "8" * 300}])
def test_a_code_that_says_nothing_of_money_is_known_whatever_it_names(code: str, fields: dict[str, str]) -> None:
    """A report's name stands where a payment's does, and must not fail a webhook."""
    assert ignored_of(item(code, **fields)) is IgnoredReason.NOTHING_TO_RECORD


@pytest.mark.parametrize(
    "fields", [{}, ORIGINAL, {"merchantReference": ""}, {"success": "false"}, {"pspReference": "8" * 300}]
)
@pytest.mark.parametrize("success", ["true", ""])
def test_a_code_that_nobody_knows_is_of_an_unknown_type(fields: dict[str, str], success: str) -> None:
    assert ignored_of(UNKNOWN | {"success": success} | fields) is IgnoredReason.UNKNOWN_TYPE


@pytest.mark.parametrize(
    "code", sorted(CODES - {"AUTHORISATION", "CAPTURE", "REFUND", "REFUND_WITH_DATA", "ORDER_CLOSED"})
)
def test_what_was_refused_moves_nothing(code: str) -> None:
    """That of a capture, a refund, an authorisation and an order is news; a void of ours is the only one that waits."""
    assert ignored_of(item(code, "false", **ORIGINAL)) is IgnoredReason.NOTHING_TO_RECORD


def test_of_several_reasons_the_first_is_given() -> None:
    assert ignored_of(SILENT, ANOTHERS, UNKNOWN) is IgnoredReason.UNKNOWN_TYPE
    assert ignored_of(SILENT, ANOTHERS) is IgnoredReason.NOT_OURS
    assert ignored_of(SILENT, SILENT) is IgnoredReason.NOTHING_TO_RECORD
    events = events_of(SILENT, item(), ANOTHERS, UNKNOWN)
    assert [event.provider_ref for event in events] == [PAYMENT_REF]


LIVE_BASE, STAND_IN = "https://a1b2-shop-checkout-live.adyenpayments.com/checkout/v72", "http://127.0.0.1:8420"


@pytest.mark.parametrize(
    ("base", "flag", "counts"),
    [
        (None, "false", True),
        (None, "true", False),
        (LIVE_BASE, "true", True),
        (LIVE_BASE, "false", False),
        (STAND_IN, "true", True),
        (STAND_IN, "false", True),
        (LIVE_BASE, "", True),
        (LIVE_BASE, "FALSE", True),
    ],
)
def test_what_is_of_the_other_mode_is_not_ours(base: str | None, flag: str, counts: bool) -> None:
    """Merchant accounts may have one name in both. What tells no mode of ours is read as it was.

    The mode is not signed, so it keeps no news from a payment that is here.
    """
    refund = item("REFUND", **ORIGINAL)
    options = {"api_base": base} if base else {}
    parsed = read(batch(sign(item(), SECRET), sign(refund, SECRET), live=flag), **options)

    assert [event.foreign for event in parsed.events] == [not counts] * 2
    for unsigned in (SILENT, item(success="", **ORIGINAL)):
        if not counts:
            assert read(batch(sign(unsigned, SECRET), live=flag), **options).ignored is IgnoredReason.NOT_OURS
    with pytest.raises(UnverifiedError):
        read(batch(item(), live=flag))


@pytest.mark.parametrize("flag", [None, True, 7, [], {}])
def test_a_mode_that_is_none_refuses_nothing(flag: object) -> None:
    body = json.loads(batch(sign(item(), SECRET))) | {"live": flag}
    without = {name: value for name, value in body.items() if name != "live"}

    for changed in (body, without):
        assert read(json.dumps(changed).encode()).events


NULLED = [
    "pspReference",
    "originalReference",
    "merchantAccountCode",
    "merchantReference",
    "amount",
    "eventCode",
    "success",
]


@pytest.mark.parametrize("name", NULLED)
def test_a_field_that_is_null_is_signed_as_empty_and_means_what_its_absence_means(name: str) -> None:
    whole = item("CAPTURE", **ORIGINAL)
    absent = {other: value for other, value in whole.items() if other != name}
    signed = sign(absent, SECRET)

    def outcome(body: bytes) -> object:
        try:
            parsed = read(body)
        except UnreadableError as error:
            return str(error)
        return [replace(event, raw={}) for event in parsed.events] or parsed.ignored

    assert outcome(batch(signed | {name: None})) == outcome(batch(signed))
    with pytest.raises(UnverifiedError):
        read(batch(sign(whole, SECRET) | {name: None}))


@pytest.mark.parametrize("name", ["currency", "value"])
def test_an_amount_with_a_null_in_it_is_signed_as_empty(name: str) -> None:
    money = {"currency": "USD", "value": 24000}
    signed = sign(item(amount={other: value for other, value in money.items() if other != name}), SECRET)

    (event,) = read(batch(signed | {"amount": money | {name: None}})).events
    assert event.amount is None
    with pytest.raises(UnverifiedError):
        read(batch(sign(item(), SECRET) | {"amount": money | {name: None}}))


def test_an_original_reference_that_is_null_is_none() -> None:
    """As some of Adyen's libraries write what is not there."""
    (event,) = read(batch(sign(item(), SECRET) | {"originalReference": None})).events

    assert (event.provider_ref, event.names) == (PAYMENT_REF, ("NC6HT9CRT65ZGN82",))


@pytest.mark.parametrize(("value", "amount"), [("24000", "240.00"), ("0", "0"), ("024000", None), ("2e4", None)])
def test_a_number_that_is_written_as_a_text_is_signed_like_it_and_means_the_same(
    value: str, amount: str | None
) -> None:
    """Or who repeats a webhook with quotation marks would have its money forgotten."""
    (event,) = events_of(item(amount={"currency": "USD", "value": value}))

    assert event.amount == (None if amount is None else Decimal(amount))


def test_an_item_without_additional_data_is_not_believed_and_says_why() -> None:
    """As Adyen's example of EXPIRE is written, and as everything is where no HMAC key is set at the endpoint."""
    bare = item("EXPIRE")
    del bare["additionalData"]

    for unsigned in (
        bare,
        bare | {"additionalData": None},
        bare | {"additionalData": {}},
        bare | {"additionalData": []},
    ):
        with pytest.raises(UnverifiedError, match=r"without additionalData\.hmacSignature"):
            read(batch(unsigned))
        with pytest.raises(UnverifiedError):
            read(batch(sign(item(), SECRET), unsigned))


PLATFORM = json.dumps(
    {"type": "balancePlatform.transfer.updated", "environment": "test", "data": {"reference": PAYMENT_REF, "id": "X"}}
).encode()
"""As balance platforms, management and tokens send it: no batch, its signature in a header."""


def test_a_webhook_of_a_balance_platform_is_known_by_any_live_key() -> None:
    provider = KIT.provider(*KIT.secrets)

    for place, secret in enumerate(KIT.secrets):
        parsed = provider.verify_and_parse(sign_bytes(PLATFORM, secret).raw("adyen"))
        assert parsed == ParsedWebhook(secret=place, ignored=IgnoredReason.UNKNOWN_TYPE)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        " ",
        "AAAA",
        "größe",
        "\ud800",
        "x" * 10_000,
        sign_bytes(PLATFORM + b" ", SECRET).headers["hmacsignature"],
    ],
)
def test_one_that_no_live_key_signed_is_unverified(signature: str | None) -> None:
    headers = {} if signature is None else {"hmacsignature": signature}

    for provider in (KIT.provider(), KIT.provider(""), KIT.provider("00" * 32)):
        with pytest.raises(UnverifiedError):
            provider.verify_and_parse(SignedWebhook(body=PLATFORM, headers=headers).raw("adyen"))
    with pytest.raises(UnverifiedError):
        KIT.provider("").verify_and_parse(sign_bytes(PLATFORM, "").raw("adyen"))


def test_a_signature_in_a_header_stands_in_for_none_of_an_item() -> None:
    """Neither kind of signature makes the other kind of webhook."""
    unsigned = batch(item())
    with pytest.raises(UnverifiedError):
        KIT.provider().verify_and_parse(sign_bytes(unsigned, SECRET).raw("adyen"))
    for empty in (b'{"notificationItems": []}', b'{"notificationItems": null}', b'{"notificationItems": {}}'):
        with pytest.raises(UnverifiedError):
            KIT.provider().verify_and_parse(sign_bytes(empty, SECRET).raw("adyen"))
    signed = SignedWebhook(body=batch(sign(item(), SECRET)), headers={"hmacsignature": "of somebody else"})
    assert KIT.provider().verify_and_parse(signed.raw("adyen")).events


def test_the_bytes_that_a_header_signs_are_no_items_fields() -> None:
    """Both are one HMAC under one key: cut at colons, a text in another kind of webhook must not read as an item."""
    hidden = f"NC6HT9CRT65ZGN82::{item()['merchantAccountCode']}:{PAYMENT_REF}:24000:USD:AUTHORISATION:true"
    body = json.dumps({"description": hidden}, separators=(",", ":"))
    signature = sign_bytes(body.encode(), SECRET).headers["hmacsignature"]
    words = body.split(":", 1)
    psp, original, account, reference, value, currency, code, success = words[1].split(":")
    for first in (psp, f"{words[0]}:{psp}"):
        made = item(code, success, pspReference=first, originalReference=original, merchantAccountCode=account)
        made |= {"merchantReference": reference, "amount": {"value": int(value), "currency": currency}}
        holder = made | {"additionalData": {"hmacSignature": signature}}
        with pytest.raises((UnverifiedError, UnreadableError)):
            read(batch(holder))
