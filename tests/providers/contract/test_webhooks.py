"""Every provider's webhooks: what a verified one says, and that no other says anything."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, ThinEvent, UnverifiedError
from tests.providers.contract.judging import essence, read, read_sealed, refused_or_the_same, rewritten
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID, Kit, SignedWebhook

TOLERANCE = timedelta(seconds=300)


def some_webhook(kit: Kit, **options: Any) -> SignedWebhook:
    return kit.webhook(PaymentStatus.PAID, **options)


def with_header(webhook: SignedWebhook, name: str, value: str | None) -> SignedWebhook:
    rest = {other: kept for other, kept in webhook.headers.items() if other != name}
    return replace(webhook, headers=rest if value is None else rest | {name: value})


def test_a_verified_webhook_says_what_happened_to_the_payment(signing: Kit) -> None:
    for status in signing.statuses:
        parsed = signing.provider().verify_and_parse(signing.webhook(status).raw(signing.name))

        (provider_event,) = parsed.events
        assert isinstance(provider_event, ProviderEvent)
        assert (provider_event.provider, provider_event.status) == (signing.name, status)
        assert provider_event.provider_ref == signing.reference().provider_ref
        assert provider_event.payment_id in {PAYMENT_ID, None}
        assert parsed.secret == 0
        if status is PaymentStatus.PAID:
            assert (provider_event.amount, provider_event.currency) == (AMOUNT, CURRENCY)


def test_a_verified_webhook_says_what_happened_to_a_refund(signing: Kit) -> None:
    for status in signing.refunds:
        (provider_event,) = signing.provider().verify_and_parse(signing.webhook(status).raw(signing.name)).events

        assert isinstance(provider_event, ProviderRefundEvent)
        assert (provider_event.status, provider_event.amount, provider_event.currency) == (status, AMOUNT, CURRENCY)
        assert provider_event.provider_ref == signing.reference().provider_ref
        assert provider_event.refund_id in {REFUND_ID, None}
        assert provider_event.refund_ref


def test_an_event_has_one_id_however_often_it_is_delivered_and_another_has_another(signing: Kit) -> None:
    if not signing.statuses:
        pytest.skip("its webhooks are thin events: the look-up has the ids")

    def event_id(**options: Any) -> str:
        (provider_event,) = (
            signing.provider().verify_and_parse(some_webhook(signing, **options).raw(signing.name)).events
        )
        assert isinstance(provider_event, ProviderEvent)
        return provider_event.event_id

    assert event_id(event=1) == event_id(event=1, signed_at=NOW - timedelta(seconds=60))
    assert event_id(event=1) != event_id(event=2)


def test_a_webhook_that_proves_nothing_is_a_thin_event(kit: Kit) -> None:
    if kit.statuses:
        pytest.skip("its webhooks prove something")
    (thin_event,) = kit.provider().verify_and_parse(some_webhook(kit).raw(kit.name)).events

    reference = kit.reference().provider_ref
    assert thin_event == ThinEvent(provider=kit.name, provider_ref=reference, verified=kit.signed)


def test_every_live_secret_is_good_and_the_one_that_matched_is_named(signing: Kit) -> None:
    provider = signing.provider(*signing.secrets)

    for place, secret in enumerate(signing.secrets):
        parsed = provider.verify_and_parse(some_webhook(signing, secret=secret).raw(signing.name))
        assert parsed.events
        assert parsed.secret == place


def test_a_secret_that_is_not_live_any_more_or_was_never_is_no_good(signing: Kit) -> None:
    for old in signing.secrets[1:]:
        assert read(signing.provider(), some_webhook(signing, secret=old)) is None


def test_an_empty_secret_matches_nothing(signing: Kit) -> None:
    """Anybody has it."""
    for secret in ("", signing.secrets[0]):
        assert read(signing.provider(""), some_webhook(signing, secret=secret)) is None
    parsed = signing.provider("", signing.secrets[0]).verify_and_parse(some_webhook(signing).raw(signing.name))
    assert parsed.events


def test_a_header_that_is_missing_or_malformed_is_refused(signing: Kit) -> None:
    verified = some_webhook(signing)
    for name, value in verified.headers.items():
        wrong = [
            None,
            "",
            " ",
            ",",
            "=",
            value[:2],
            "ü",
            value + "ü",
            "\u2028",
            "x" * 10_000,
            "\x00",
            "1" * 5000,
        ]
        for changed in wrong:
            webhook = with_header(verified, name, changed)
            assert read(signing.provider(), webhook) is None, (name, changed)


def test_a_header_with_any_character_changed_is_refused_or_means_the_same(signing: Kit) -> None:
    verified = some_webhook(signing)
    events = read(signing.provider(), verified)
    assert events
    for name, value in verified.headers.items():
        for place, character in enumerate(value):
            assert refused_or_the_same(signing, signing.provider(), with_header(verified, name, value[:place]), events)
            for other in {"0", "1", "x", "=", ",", " ", "."} - {character}:
                webhook = with_header(verified, name, value[:place] + other + value[place + 1 :])
                assert refused_or_the_same(signing, signing.provider(), webhook, events), (name, place)


def test_a_body_with_any_byte_changed_is_refused_or_proves_the_same(kit: Kit) -> None:
    verified = some_webhook(kit)
    provider = kit.provider()
    events = read(provider, verified)
    assert events
    for place, byte in enumerate(verified.body):
        for other in (byte ^ 1, 0x30, 0xFF):
            if other == byte:
                continue
            body = verified.body[:place] + bytes([other]) + verified.body[place + 1 :]
            assert refused_or_the_same(kit, provider, replace(verified, body=body), events), place


def test_a_body_with_anything_in_it_changed_is_refused_or_proves_the_same(signing: Kit) -> None:
    verified = some_webhook(signing)
    provider = signing.provider()
    events = read(provider, verified)
    assert events
    for changed in rewritten(json.loads(verified.body)):
        webhook = replace(verified, body=json.dumps(changed).encode())
        assert refused_or_the_same(signing, provider, webhook, events), changed


HOSTILE = {
    "nothing": b"",
    "not UTF-8": b'{"id": "\xff"}',
    "UTF-16": '{"id": 1}'.encode("utf-16"),
    "not JSON": b"{",
    "an array": b"[]",
    "a text": b'"paid"',
    "null": b"null",
    "nested deeply": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "nested rather deeply": b'{"a":' + b"[" * 300 + b"]" * 300 + b"}",
    "brackets without end": b"[" * 250_000,
    "250 KiB": b'{"a":"' + b"x" * 256_000 + b'"}',
    "a duplicate key": b'{"id":"1","id":"2"}',
    "a NUL": b'{"id":"\\u0000"}',
    "half a character": b'{"id":"\\ud800"}',
    "no number": b'{"id":NaN}',
    "beyond every float": b'{"id":1e400}',
    "5,000 digits": b'{"id":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_body_is_refused_at_once_signed_or_not(kit: Kit, body: bytes) -> None:
    unsigned = replace(some_webhook(kit), body=body)
    signed = kit.sealed(body) if hasattr(kit, "sealed") else unsigned

    for webhook, judge in ((unsigned, read), (signed, read_sealed)):
        started = monotonic()
        assert not judge(kit.provider(), webhook)
        assert monotonic() - started < 5, "with time to spare for a busy machine"


def test_only_a_webhook_that_was_signed_about_when_it_came_is_read(kit: Kit) -> None:
    if not kit.timed:
        pytest.skip("no time is signed")
    provider, second = kit.provider(), timedelta(seconds=1)
    webhook = some_webhook(kit, signed_at=NOW)

    for received_at in (NOW - TOLERANCE, NOW, NOW + TOLERANCE):
        assert provider.verify_and_parse(webhook.raw(kit.name, received_at)).events
    for received_at in (NOW - TOLERANCE - second, NOW + TOLERANCE + second, NOW + timedelta(days=400)):
        with pytest.raises(UnverifiedError):
            provider.verify_and_parse(webhook.raw(kit.name, received_at))


def test_a_verified_event_of_a_kind_that_nobody_knows_says_nothing(signing: Kit) -> None:
    assert signing.provider().verify_and_parse(signing.webhook(None).raw(signing.name)).events == []


def test_one_unverified_item_spoils_a_whole_batch(kit: Kit) -> None:
    webhook = kit.unverified_in_batch()
    if webhook is None:
        pytest.skip("its webhooks have one item")
    assert read(kit.provider(), webhook) is None


def test_without_secrets_nothing_is_read(signing: Kit) -> None:
    """The web tier has none."""
    provider = signing.provider("")
    assert all(read(provider, signing.webhook(status)) is None for status in signing.statuses)


def test_reading_twice_gives_the_same(kit: Kit) -> None:
    provider = kit.provider()
    first, again = (read(provider, some_webhook(kit)) for _ in range(2))
    assert first is not None
    assert again is not None
    assert essence(first) == essence(again)
