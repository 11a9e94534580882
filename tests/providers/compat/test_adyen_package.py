"""Our signatures and calls against Adyen's own package."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import Adyen
import pytest
from Adyen.util import (
    generate_notification_sig,
    generate_payload_sig,
    is_valid_hmac_notification,
    is_valid_hmac_payload,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout_service.providers.base import IgnoredReason, Opening, UnverifiedError
from tests.providers.compat.wires import AdyenWire, content_of
from tests.providers.kits.adyen import KIT, MERCHANT, AdyenBank, batch, item, reference_of, sign, sign_bytes
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, REFUND_ID, SignedWebhook

SECRET = KIT.secrets[0]
CAPTURE_ID, VOID_ID = UUID(int=1), UUID(int=2)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["a:b", "a\\b", "\\:", ":::"]
)
SIGNED = st.fixed_dictionaries(
    {"pspReference": WORDS, "merchantReference": WORDS, "eventCode": WORDS, "success": WORDS},
    optional={"originalReference": WORDS, "merchantAccountCode": WORDS},
)


def reads(signed: dict[str, Any], secret: str = SECRET) -> bool:
    try:
        KIT.provider(secret).verify_and_parse(SignedWebhook(body=batch(signed)).raw("adyen"))
    except UnverifiedError:
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(fields=SIGNED, value=st.integers(0, 10**9), currency=st.sampled_from(["USD", "JPY", ""]))
def test_what_their_package_signs_verifies_here(fields: dict[str, str], value: int, currency: str) -> None:
    """Of another merchant account, so that verified is all that is asked of it."""
    unsigned = item() | fields | {"amount": {"value": value, "currency": currency}, "merchantAccountCode": "Another"}
    signature = generate_notification_sig(unsigned, SECRET).decode()

    assert reads(unsigned | {"additionalData": {"hmacSignature": signature}})
    assert sign(unsigned, SECRET)["additionalData"]["hmacSignature"] == signature, "the kit signs as they do"
    assert not reads(unsigned | {"additionalData": {"hmacSignature": signature}}, "00" * 32)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(["pspReference", "merchantAccountCode", "merchantReference", "eventCode", "success", "value"]),
    value=WORDS,
)
def test_both_refuse_and_accept_the_same_items(name: str, value: str) -> None:
    verified = sign(item(), SECRET)
    altered = copy.deepcopy(verified)
    if name == "value":
        altered["amount"]["value"] = len(value)
    else:
        altered[name] = value

    assert reads(altered) is bool(is_valid_hmac_notification(copy.deepcopy(altered), SECRET))


def test_what_their_package_overlooks_is_refused_here() -> None:
    verified, unverified = sign(item(), SECRET), sign(item(pspReference="X"), "00" * 32)
    holders = [{"NotificationRequestItem": entry} for entry in (verified, unverified)]

    assert is_valid_hmac_notification({"notificationItems": copy.deepcopy(holders)}, SECRET), "it looks at the first"
    with pytest.raises(UnverifiedError):
        KIT.provider().verify_and_parse(SignedWebhook(body=batch(verified, unverified)).raw("adyen"))


def test_a_null_is_signed_as_empty_here_and_as_none_there() -> None:
    """Adyen's other libraries sign what is null as empty; their package for Python writes the word None."""
    nulled = sign(item(), SECRET) | {"originalReference": None}
    absent = sign(item(), SECRET)

    assert reads(nulled)
    assert reads(absent)
    assert is_valid_hmac_notification(copy.deepcopy(absent), SECRET)
    assert not is_valid_hmac_notification(copy.deepcopy(nulled), SECRET)
    theirs = generate_notification_sig(item(originalReference=None), SECRET).decode()
    assert theirs == sign(item(originalReference="None"), SECRET)["additionalData"]["hmacSignature"]
    assert not reads(item(originalReference=None) | {"additionalData": {"hmacSignature": theirs}})


def test_an_item_without_additional_data_is_no_answer_there_and_refused_here() -> None:
    bare = {name: value for name, value in item("EXPIRE").items() if name != "additionalData"}

    assert is_valid_hmac_notification(copy.deepcopy(bare), SECRET) is None
    assert not reads(bare)


def test_an_item_whose_data_hold_no_signature_raises_there_and_is_refused_here() -> None:
    bare = item("EXPIRE", additionalData={"expiryDate": "03/2030"})

    with pytest.raises(KeyError):
        is_valid_hmac_notification(copy.deepcopy(bare), SECRET)
    assert not reads(bare)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(WORDS, WORDS, max_size=4))
def test_both_verify_and_refuse_the_same_bytes_that_a_header_signs(content: dict[str, str]) -> None:
    body = json.dumps({"type": "balancePlatform.transfer.updated", "data": content}).encode()
    signature = generate_payload_sig(body, SECRET).decode()
    provider = KIT.provider()
    webhook = SignedWebhook(body=body, headers={"hmacsignature": signature})

    assert sign_bytes(body, SECRET) == webhook, "the kit signs as they do"
    assert is_valid_hmac_payload(signature, SECRET, body)
    assert provider.verify_and_parse(webhook.raw("adyen")).ignored is IgnoredReason.UNKNOWN_TYPE
    other = SignedWebhook(body=body + b" ", headers=webhook.headers)
    assert not is_valid_hmac_payload(signature, SECRET, other.body)
    with pytest.raises(UnverifiedError):
        provider.verify_and_parse(other.raw("adyen"))


def test_their_client_and_ours_send_the_same() -> None:
    bank = AdyenBank()
    client = Adyen.Adyen(platform="test", xapikey="AQEyhmfxK")
    client.client.http_client, client.client.http_init = AdyenWire(bank), True
    links, changes = client.checkout.payment_links_api, client.checkout.modifications_api
    provider = KIT.provider(answer=bank)

    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    reference = reference_of(PAYMENT_ID, payment_token=made.payment_token, attempt_ref="NC6HT9CRT65ZGN82")
    link_id = made.payment_token.rpartition("/")[2]
    provider.look_up(reference)
    provider.cancel(reference)
    provider.refund(reference, refund_id=REFUND_ID, amount=Decimal("40.00"), reason=None)
    provider.capture(reference, request_id=CAPTURE_ID, amount=Decimal("40.00"), final=True)
    provider.void(reference, void_id=VOID_ID)
    ours = [content_of(call, "Idempotency-Key", "X-API-Key") for call in bank.requests]
    bank.requests.clear()
    # The content of each is ours: their package passes on what it is given.
    links.payment_links(ours[0][3], idempotency_key=str(PAYMENT_ID))
    links.get_payment_link(link_id)
    with pytest.raises(Adyen.exceptions.AdyenAPIUnprocessableEntity):  # ours has expired it already
        links.update_payment_link(ours[2][3], link_id)
    changes.refund_captured_payment(ours[3][3], "NC6HT9CRT65ZGN82", idempotency_key=str(REFUND_ID))
    changes.capture_authorised_payment(ours[4][3], "NC6HT9CRT65ZGN82", idempotency_key=str(CAPTURE_ID))
    changes.cancel_authorised_payment_by_psp_reference(ours[5][3], "NC6HT9CRT65ZGN82", idempotency_key=str(VOID_ID))
    theirs = [content_of(call, "Idempotency-Key", "X-API-Key") for call in bank.requests]

    assert ours == theirs
    assert ours[0][3]["merchantAccount"] == MERCHANT
