"""Every provider's letters: what a genuine one says, and that no other says anything."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import Fact, Hint, RefundFact, UnreadableError
from tests.providers.contract.judging import essence, read, refused_or_the_same, rewritten
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID, Kit, Letter

TOLERANCE = timedelta(seconds=300)


def some_letter(kit: Kit, **options: Any) -> Letter:
    return kit.letter(PaymentStatus.PAID, **options)


def with_header(letter: Letter, name: str, value: str | None) -> Letter:
    rest = {other: kept for other, kept in letter.headers.items() if other != name}
    return replace(letter, headers=rest if value is None else rest | {name: value})


def test_a_genuine_letter_says_what_became_of_the_payment(signing: Kit) -> None:
    for status in signing.statuses:
        contents = signing.provider().read(signing.letter(status).envelope(signing.name))

        (fact,) = contents.said
        assert isinstance(fact, Fact)
        assert (fact.provider, fact.status) == (signing.name, status)
        assert fact.provider_ref == signing.reference().provider_ref
        assert fact.payment_id in {PAYMENT_ID, None}
        assert contents.secret == 0
        if status is PaymentStatus.PAID:
            assert (fact.amount, fact.currency) == (AMOUNT, CURRENCY)


def test_a_genuine_letter_says_what_became_of_a_refund(signing: Kit) -> None:
    for status in signing.refunds:
        (fact,) = signing.provider().read(signing.letter(status).envelope(signing.name)).said

        assert isinstance(fact, RefundFact)
        assert (fact.status, fact.amount, fact.currency) == (status, AMOUNT, CURRENCY)
        assert fact.provider_ref == signing.reference().provider_ref
        assert fact.refund_id in {REFUND_ID, None}
        assert fact.refund_ref


def test_an_event_has_one_id_however_often_it_is_delivered_and_another_has_another(signing: Kit) -> None:
    def event_id(**options: Any) -> str:
        (fact,) = signing.provider().read(some_letter(signing, **options).envelope(signing.name)).said
        assert isinstance(fact, Fact)
        return fact.event_id

    assert event_id(event=1) == event_id(event=1, signed_at=NOW - timedelta(seconds=60))
    assert event_id(event=1) != event_id(event=2)


def test_a_letter_that_proves_nothing_is_a_hint(kit: Kit) -> None:
    if kit.signed:
        pytest.skip("its letters are signed")
    (hint,) = kit.provider().read(some_letter(kit).envelope(kit.name)).said

    assert hint == Hint(provider=kit.name, provider_ref=kit.reference().provider_ref, genuine=False)


def test_every_live_secret_is_good_and_the_one_that_matched_is_told(signing: Kit) -> None:
    provider = signing.provider(*signing.secrets)

    for place, secret in enumerate(signing.secrets):
        contents = provider.read(some_letter(signing, secret=secret).envelope(signing.name))
        assert contents.said
        assert contents.secret == place


def test_a_secret_that_is_not_live_any_more_or_was_never_is_no_good(signing: Kit) -> None:
    for old in signing.secrets[1:]:
        assert read(signing.provider(), some_letter(signing, secret=old)) is None


def test_an_empty_secret_matches_nothing(signing: Kit) -> None:
    """Anybody has it."""
    for secret in ("", signing.secrets[0]):
        assert read(signing.provider(""), some_letter(signing, secret=secret)) is None
    contents = signing.provider("", signing.secrets[0]).read(some_letter(signing).envelope(signing.name))
    assert contents.said


def test_a_header_that_is_missing_or_malformed_is_refused(signing: Kit) -> None:
    genuine = some_letter(signing)
    for name, value in genuine.headers.items():
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
            letter = with_header(genuine, name, changed)
            assert read(signing.provider(), letter) is None, (name, changed)


def test_a_header_with_any_character_changed_is_refused_or_means_the_same(signing: Kit) -> None:
    genuine = some_letter(signing)
    said = read(signing.provider(), genuine)
    assert said
    for name, value in genuine.headers.items():
        for place, character in enumerate(value):
            assert refused_or_the_same(signing, signing.provider(), with_header(genuine, name, value[:place]), said)
            for other in {"0", "1", "x", "=", ",", " ", "."} - {character}:
                letter = with_header(genuine, name, value[:place] + other + value[place + 1 :])
                assert refused_or_the_same(signing, signing.provider(), letter, said), (name, place)


def test_a_body_with_any_byte_changed_is_refused_or_proves_the_same(kit: Kit) -> None:
    genuine = some_letter(kit)
    provider = kit.provider()
    said = read(provider, genuine)
    assert said
    for place, byte in enumerate(genuine.body):
        for other in (byte ^ 1, 0x30, 0xFF):
            if other == byte:
                continue
            body = genuine.body[:place] + bytes([other]) + genuine.body[place + 1 :]
            assert refused_or_the_same(kit, provider, replace(genuine, body=body), said), place


def test_a_body_with_anything_in_it_changed_is_refused_or_proves_the_same(signing: Kit) -> None:
    genuine = some_letter(signing)
    provider = signing.provider()
    said = read(provider, genuine)
    assert said
    for changed in rewritten(json.loads(genuine.body)):
        letter = replace(genuine, body=json.dumps(changed).encode())
        assert refused_or_the_same(signing, provider, letter, said), changed


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
    unsigned = replace(some_letter(kit), body=body)
    signed = kit.sealed(body) if hasattr(kit, "sealed") else unsigned

    for letter in (unsigned, signed):
        started = monotonic()
        assert not read(kit.provider(), letter)
        assert monotonic() - started < 1.0


def test_only_a_letter_that_was_signed_about_when_it_came_is_read(kit: Kit) -> None:
    if not kit.timed:
        pytest.skip("no time is signed")
    provider, second = kit.provider(), timedelta(seconds=1)
    letter = some_letter(kit, signed_at=NOW)

    for received_at in (NOW - TOLERANCE, NOW, NOW + TOLERANCE):
        assert provider.read(letter.envelope(kit.name, received_at)).said
    for received_at in (NOW - TOLERANCE - second, NOW + TOLERANCE + second, NOW + timedelta(days=400)):
        with pytest.raises(UnreadableError):
            provider.read(letter.envelope(kit.name, received_at))


def test_a_genuine_event_of_a_kind_that_nobody_knows_says_nothing(signing: Kit) -> None:
    assert signing.provider().read(signing.letter(None).envelope(signing.name)).said == []


def test_one_forged_item_spoils_a_whole_batch(kit: Kit) -> None:
    letter = kit.forged_in_batch()
    if letter is None:
        pytest.skip("its letters have one item")
    assert read(kit.provider(), letter) is None


def test_without_secrets_nothing_is_read(signing: Kit) -> None:
    """The web tier has none."""
    provider = signing.provider("")
    assert all(read(provider, signing.letter(status)) is None for status in signing.statuses)


def test_reading_twice_gives_the_same(kit: Kit) -> None:
    provider = kit.provider()
    first, again = (read(provider, some_letter(kit)) for _ in range(2))
    assert first is not None
    assert again is not None
    assert essence(first) == essence(again)
