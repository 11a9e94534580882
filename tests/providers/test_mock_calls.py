"""Calls to the mock provider's server, faked at their HTTP transport: what an answer may be, and how slow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from time import sleep
from typing import Any
from uuid import uuid4

import httpx
import pytest

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers import transport
from checkout_service.providers.adapters.mock.provider import MockProvider
from checkout_service.providers.base import (
    Opening,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret

REFERENCE = "mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d"
HELD = Reference(provider_ref=REFERENCE, payment_id=uuid4(), amount=Decimal("240.00"), currency="USD")
PAID = {"provider_ref": REFERENCE, "status": "paid", "amount": "240.00", "currency": "USD"}


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> MockProvider:
    provider = MockProvider(Account(options={"api_base": Secret("http://provider.test/v1/")}))
    provider._api._client = httpx.Client(transport=httpx.MockTransport(answer))
    return provider


def calls(provider: MockProvider) -> list[Callable[[], Any]]:
    return [
        lambda: provider.open(Opening(payment_id=uuid4(), amount=Decimal("1.00"), currency="USD")),
        lambda: provider.look_up(HELD),
        lambda: provider.cancel(HELD),
    ]


def test_a_look_up_is_a_event_whose_id_names_what_was_seen() -> None:
    (event,) = answering(lambda _: httpx.Response(200, json=PAID)).look_up(HELD)

    assert (event.status, event.amount, event.currency) == (PaymentStatus.PAID, Decimal("240.00"), "USD")
    assert event.event_id == f"lookup:{REFERENCE}:paid:240.00"


def test_a_reference_is_one_step_of_the_path() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(404, json={})

    for call in ("look_up", "cancel"):
        with pytest.raises(ProviderRefusedError):
            getattr(answering(answer), call)(replace(HELD, provider_ref="../secret?a=1#b"))

    assert [request.url.raw_path for request in requests] == [
        b"/v1/payments/..%2Fsecret%3Fa%3D1%23b",
        b"/v1/payments/..%2Fsecret%3Fa%3D1%23b/cancel",
    ]
    assert requests[1].headers["Idempotency-Key"] == "cancel-../secret?a=1#b"


@pytest.mark.parametrize("status", [PaymentStatus.PENDING.value, "of another age"])
def test_a_payment_that_is_still_open_says_nothing(status: str) -> None:
    assert answering(lambda _: httpx.Response(200, json=PAID | {"status": status})).look_up(HELD) == []


ANSWERS: dict[str, tuple[httpx.Response, type[ProviderError]]] = {
    "a retry at work": (httpx.Response(409), ProviderUnavailableError),
    "too many": (httpx.Response(429), ProviderUnavailableError),
    "broken": (httpx.Response(500), ProviderUnavailableError),
    "away": (httpx.Response(503, text="<html>"), ProviderUnavailableError),
    "refused": (httpx.Response(402, json={}), ProviderRefusedError),
    "unknown": (httpx.Response(404, json={}), ProviderRefusedError),
    "a redirect": (httpx.Response(302, headers={"Location": "http://elsewhere.test/"}), UnreadableError),
    "no JSON": (httpx.Response(200, text="<html>"), UnreadableError),
    "deep": (httpx.Response(200, text="[" * 100_000), UnreadableError),
    "huge": (httpx.Response(200, content=b'"' + b"x" * transport.LARGEST_ANSWER + b'"'), UnreadableError),
    "an array": (httpx.Response(200, json=[PAID]), UnreadableError),
    "nothing in it": (httpx.Response(200, json={}), UnreadableError),
    "about another payment": (httpx.Response(200, json=PAID | {"provider_ref": "mock_pi_7"}), UnreadableError),
    "a number for an amount": (httpx.Response(200, json=PAID | {"amount": 240}), UnreadableError),
}


@pytest.mark.parametrize(("answer", "error"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_is_no_use_is_one_of_three_errors(answer: httpx.Response, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        answering(lambda _: answer).look_up(HELD)
    with pytest.raises(error):
        answering(lambda _: answer).cancel(HELD)


@pytest.mark.parametrize("error", [httpx.ConnectError("no"), httpx.ReadTimeout("no"), httpx.RemoteProtocolError("no")])
def test_a_server_that_is_away_is_unavailable_to_every_call(error: Exception) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    for call in calls(answering(fail)):
        with pytest.raises(ProviderUnavailableError):
            call()


def test_an_answer_that_never_ends_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes soon enough, so no timeout of the client's own ends it; the whole has a limit."""
    monkeypatch.setattr(transport, "READ_WITHIN", 0.2)

    def pieces() -> Iterator[bytes]:
        while True:
            sleep(0.02)
            yield b" "

    with pytest.raises(ProviderUnavailableError, match="in time"):
        answering(lambda _: httpx.Response(200, content=pieces())).look_up(HELD)


def test_an_answer_that_never_ends_is_given_up_before_it_fills_the_memory() -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 100_000
            yield b"x" * 100_000

    with pytest.raises(UnreadableError):
        answering(lambda _: httpx.Response(200, content=pieces())).look_up(HELD)
    assert sent < 3 * transport.LARGEST_ANSWER


def test_without_a_server_a_payment_stays_open_until_it_is_canceled() -> None:
    provider = MockProvider(Account())

    assert provider.look_up(HELD) == []
    (event,) = provider.cancel(HELD)
    assert (event.status, event.provider_ref) == (PaymentStatus.CANCELED, REFERENCE)
