"""Text that PostgreSQL cannot hold: where nobody reads it, it costs these characters; where we do, the webhook."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import ProviderError, UnreadableError
from tests.providers.contract.judging import essence, held_by_postgresql, read, read_sealed
from tests.providers.contract.test_calls import opened, paid, reference_of
from tests.providers.kits.kit import Kit

ODD = {"a NUL": "Ada\x00 L.", "half a character": "Ada\ud83c L.", "the halves in the wrong order": "\udf93\ud83c"}
NAMED = {"id", "provider_ref", "reference", "status"}
HOLDERS = {"billing_requests", "payments"}
"""Of a provider whose answers hold what they are about under its kind."""
AROUND = ("shipping", "cardHolderName", "note", "details")
"""What no adapter reads."""


@pytest.fixture(params=ODD.values(), ids=ODD.keys())
def odd(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def proven_by(kit: Kit) -> Sequence[PaymentStatus | RefundStatus]:
    """The statuses that its webhooks prove; of signed thin events, which prove none, some news."""
    return [*kit.statuses, *kit.refunds] or [PaymentStatus.PAID]


def planted(value: Any, odd: str) -> Any:
    """The value with an odd text, and one within odd keys, beside everything that a provider says."""
    if isinstance(value, list):
        return [planted(inner, odd) for inner in value]
    if not isinstance(value, dict):
        return value
    inner = {key: planted(inner, odd) for key, inner in value.items()}
    return {name: {"name": odd, odd: [odd]} for name in AROUND if name not in inner} | inner


def spoiled(value: Any, odd: str) -> Iterator[Any]:
    """The value with one of its texts spoiled, for each of them."""
    if isinstance(value, str):
        yield value + odd
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        for changed in spoiled(inner, odd):
            if isinstance(value, dict):
                yield value | {key: changed}
            else:
                yield [*value[:key], changed, *value[key + 1 :]]


def test_what_nobody_reads_decides_nothing(signing: Kit, odd: str) -> None:
    if signing.name == "mock":
        pytest.skip("its signature is over the JSON written again")
    for status in proven_by(signing):
        webhook = signing.webhook(status)
        without = read(signing.provider(), webhook)
        within = read(signing.provider(), signing.sealed(json.dumps(planted(json.loads(webhook.body), odd)).encode()))

        assert without
        assert within is not None
        assert essence(within) == essence(without)


def test_what_we_read_is_refused_or_does_not_hold_it(signing: Kit, odd: str) -> None:
    """``read_sealed`` looks at every text in the events."""
    refused = 0
    for status in proven_by(signing):
        for changed in spoiled(json.loads(signing.webhook(status).body), odd):
            refused += read_sealed(signing.provider(), signing.sealed(json.dumps(changed).encode())) is None
    assert refused


def test_an_answer_loses_what_nobody_reads_and_nothing_else(kit: Kit, odd: str) -> None:
    def looked_up(change: Callable[[Any], Any]) -> list[Any]:
        def answer(request: httpx.Request) -> httpx.Response:
            response = bank(request)
            return httpx.Response(response.status_code, content=json.dumps(change(json.loads(response.content))))

        bank = kit.bank()
        provider = kit.provider(answer=answer)
        reference = paid(kit, bank, provider)
        made = provider.refund(reference, refund_id=uuid4(), amount=Decimal("40.00"), reason=None)
        return [*provider.look_up(reference), *made]

    plain, within = looked_up(lambda value: value), looked_up(lambda value: planted(value, odd))

    assert [type(event) for event in within] == [type(event) for event in plain]
    assert [getattr(event, "status", None) for event in within] == [getattr(event, "status", None) for event in plain]
    assert all(held_by_postgresql(asdict(event)) for event in within)


def test_an_answer_whose_names_hold_it_is_refused(kit: Kit, odd: str) -> None:
    bank = kit.bank()

    def answer(request: httpx.Request) -> httpx.Response:
        value = json.loads(bank(request).content)
        holders = [value, *(inner for inner in value.values() if isinstance(inner, dict))]
        for holder in holders[1:] if set(value) <= HOLDERS else holders[:1]:
            holder |= {name: holder[name] + odd for name in NAMED & set(holder)}
        return httpx.Response(200, content=json.dumps(value))

    held = opened(kit.provider(answer=bank))
    bank.pay(held.provider_ref)
    with pytest.raises(ProviderError) as caught:
        kit.provider(answer=answer).look_up(reference_of(held))
    assert kit.name == "paypal" or isinstance(caught.value, UnreadableError)
