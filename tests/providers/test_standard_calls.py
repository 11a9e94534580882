"""Cancellations at a provider of one's own: under a key, at a server that answers a key that came before as it did."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import httpx
import pytest

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import (
    Decline,
    Opening,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID
from tests.providers.kits.standard import KIT, StandardBank

KEY = f"cancel-{PAYMENT_ID}"


def opened(bank: StandardBank) -> Reference:
    held = KIT.provider(answer=bank).open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    bank.requests.clear()
    return Reference(provider_ref=held.provider_ref, payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)


def statuses(events: Sequence[ProviderEvent | ProviderRefundEvent]) -> list[PaymentStatus | None]:
    return [event.status for event in events if isinstance(event, ProviderEvent)]


def keys_of(bank: StandardBank) -> list[str | None]:
    """Those of the calls that cancel."""
    return [call.headers.get("Idempotency-Key") for call in bank.requests if call.method == "POST"]


def moves_to(bank: StandardBank, reference: Reference, status: str) -> None:
    bank.payments[reference.provider_ref]["status"] = status


def test_two_cancellations_are_one_under_one_key() -> None:
    bank = StandardBank()
    reference = opened(bank)
    provider = KIT.provider(answer=bank)

    first, again = (provider.cancel(reference) for _ in range(2))

    assert statuses(first) == [PaymentStatus.CANCELED]
    assert first == again
    assert keys_of(bank) == [KEY, KEY]
    assert len(bank.requests) == 2, "what ended is looked up no further"


def test_a_cancellation_whose_answer_was_lost_is_requested_again_as_the_same() -> None:
    bank, lost = StandardBank(), [True]
    reference = opened(bank)

    def answer(request: httpx.Request) -> httpx.Response:
        response = bank(request)
        if lost:
            lost.clear()
            raise httpx.ReadTimeout("gone")
        return response

    assert statuses(KIT.provider(answer=answer).cancel(reference)) == [PaymentStatus.CANCELED]
    assert keys_of(bank) == [KEY, KEY]


def test_one_whose_answers_were_all_lost_is_done_by_the_next_call() -> None:
    bank, away = StandardBank(), [True]
    reference = opened(bank)

    def answer(request: httpx.Request) -> httpx.Response:
        response = bank(request)
        if away:
            raise httpx.ConnectError("gone")
        return response

    provider = KIT.provider(answer=answer)
    with pytest.raises(ProviderUnavailableError):
        provider.cancel(reference)
    away.clear()

    assert statuses(provider.cancel(reference)) == [PaymentStatus.CANCELED]
    assert set(keys_of(bank)) == {KEY}


def test_a_look_up_after_it_says_the_same() -> None:
    bank = StandardBank()
    reference = opened(bank)
    provider = KIT.provider(answer=bank)

    assert provider.cancel(reference) == provider.look_up(reference)


def test_what_was_under_way_and_failed_since_is_canceled_though_its_key_has_an_answer() -> None:
    bank = StandardBank()
    reference = opened(bank)
    provider = KIT.provider(answer=bank)
    moves_to(bank, reference, "processing")
    assert statuses(provider.cancel(reference)) == [PaymentStatus.PROCESSING]
    moves_to(bank, reference, "failed")
    bank.requests.clear()

    assert statuses(provider.cancel(reference)) == [PaymentStatus.CANCELED]
    assert bank.payments[reference.provider_ref]["status"] == "canceled"
    first, second = keys_of(bank)
    assert first == KEY
    assert second is not None
    assert second.startswith(f"{KEY}-")
    UUID(second.removeprefix(f"{KEY}-"))


@pytest.mark.parametrize("status", ["paid", "expired"])
def test_what_it_came_to_since_is_reported_and_no_old_answer(status: str) -> None:
    bank = StandardBank()
    reference = opened(bank)
    provider = KIT.provider(answer=bank)
    moves_to(bank, reference, "processing")
    provider.cancel(reference)
    moves_to(bank, reference, status)
    bank.requests.clear()

    assert statuses(provider.cancel(reference)) == [PaymentStatus(status)]
    assert keys_of(bank) == [KEY], "what came or ended is not canceled"


def refusing(bank: StandardBank, error: str) -> Callable[[httpx.Request], httpx.Response]:
    """A server that keeps a refusal under the key of the payment."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("Idempotency-Key") == KEY and request.url.path.endswith("/cancel"):
            bank.requests.append(request)
            return httpx.Response(422, json={"error": error})
        return bank(request)

    return answer


@pytest.mark.parametrize("error", ["not_in_this_state", "key_reused", "other"])
def test_a_refusal_that_is_kept_under_the_key_keeps_no_payment_open(error: str) -> None:
    bank = StandardBank()
    reference = opened(bank)

    assert statuses(KIT.provider(answer=refusing(bank, error)).cancel(reference)) == [PaymentStatus.CANCELED]


def test_wrong_credentials_are_refused_at_the_first_call() -> None:
    bank = StandardBank()
    reference = opened(bank)

    with pytest.raises(ProviderRefusedError) as caught:
        KIT.provider(answer=refusing(bank, "credentials")).cancel(reference)
    assert caught.value.reason is Decline.CREDENTIALS
    assert len(bank.requests) == 1


def test_an_answer_about_another_payment_cancels_none() -> None:
    bank = StandardBank()
    reference = opened(bank)
    other = {"provider_ref": "inhouse-other", "status": "canceled"}
    provider = KIT.provider(answer=lambda _: httpx.Response(200, content=json.dumps(other)))

    with pytest.raises(UnreadableError):
        provider.cancel(reference)
    assert bank.requests == []


def test_each_payment_has_a_key_of_its_own() -> None:
    bank = StandardBank()
    provider = KIT.provider(answer=bank)
    for payment_id in (PAYMENT_ID, uuid4()):
        held = provider.open(Opening(payment_id=payment_id, amount=AMOUNT, currency=CURRENCY))
        reference = Reference(provider_ref=held.provider_ref, payment_id=payment_id, amount=AMOUNT, currency=CURRENCY)
        assert statuses(provider.cancel(reference)) == [PaymentStatus.CANCELED]
    assert len(set(keys_of(bank))) == 4, "two that open, two that cancel"
