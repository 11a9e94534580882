"""Calls to every provider: what they do at a server that keeps its word, and what comes of one that does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import (
    Decline,
    Opened,
    Opening,
    Provider,
    ProviderError,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from tests.providers.contract.judging import LEAVES
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, REFUND_ID, Bank, Kit

NO_YEN = {"gocardless"}
"""Those that refuse it before any call: no scheme of theirs has it."""


def opened(provider: Provider, **options: Any) -> Opened:
    order: dict[str, Any] = {"payment_id": PAYMENT_ID, "amount": AMOUNT, "currency": CURRENCY}
    return provider.open(Opening(**(order | options)))


def reference_of(held: Opened, capture_ref: str | None = None, payment_id: UUID = PAYMENT_ID) -> Reference:
    return Reference(
        provider_ref=held.provider_ref,
        payment_id=payment_id,
        amount=AMOUNT,
        currency=CURRENCY,
        payment_token=held.payment_token,
        capture_ref=capture_ref,
    )


def events_in(items: Sequence[ProviderEvent | ProviderRefundEvent]) -> list[ProviderEvent]:
    """Those that are recorded: one without an id only tells that no attempt is under way."""
    return [item for item in items if isinstance(item, ProviderEvent) and item.event_id]


def paid(kit: Kit, bank: Bank, provider: Provider) -> Reference:
    """A payment that a customer paid, as we know it when its look-up or its webhook was recorded."""
    held = opened(provider)
    bank.pay(held.provider_ref)
    events = events_in(provider.look_up(reference_of(held)))
    capture = next((event.capture_ref for event in events if event.capture_ref), None) or kit.reference().capture_ref
    return replace(reference_of(held, capture), attempt_ref=kit.reference().attempt_ref)


def test_the_same_key_opens_once(kit: Kit) -> None:
    bank = kit.bank()
    provider = kit.provider(answer=bank)

    first, again = opened(provider), opened(provider)

    assert first == again
    assert (first.amount, first.currency) == (AMOUNT, CURRENCY)
    assert list(bank.payments) == [first.provider_ref]
    other = opened(provider, payment_id=uuid4())
    assert other.provider_ref != first.provider_ref
    assert len(bank.payments) == 2


def test_a_payment_carries_our_id_to_the_provider(kit: Kit) -> None:
    requests = []
    bank = kit.bank()

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request.url.path + request.content.decode() + str(request.headers))
        return bank(request)

    opened(kit.provider(answer=answer))

    assert any(str(PAYMENT_ID) in sent or PAYMENT_ID.hex in sent for sent in requests)


def test_an_answer_that_was_lost_is_fetched_again_and_opens_once(kit: Kit) -> None:
    if kit.name == "mock":
        pytest.skip("what somebody orders at its server is to be seen")
    bank, lost = kit.bank(), [True]

    def answer(request: httpx.Request) -> httpx.Response:
        response = bank(request)
        if bank.payments and lost:
            lost.clear()
            raise httpx.ReadTimeout("gone")
        return response

    held = opened(kit.provider(answer=answer))

    assert list(bank.payments) == [held.provider_ref]


def test_an_amount_that_its_currency_cannot_express_is_refused_before_any_call(kit: Kit) -> None:
    if kit.name == "mock":
        pytest.skip("it takes any")
    provider = kit.provider()  # whose server fails the test when it is called

    with pytest.raises(ProviderRefusedError) as caught:
        opened(provider, amount=Decimal("12.50"), currency="JPY")
    assert caught.value.reason is Decline.AMOUNT_REFUSED


def test_a_currency_without_decimals_is_sent_and_read_in_whole_units(kit: Kit) -> None:
    if kit.name in NO_YEN:
        with pytest.raises(ProviderRefusedError) as caught:
            opened(kit.provider(), amount=Decimal("1250.00"), currency="JPY")
        assert caught.value.reason is Decline.CURRENCY_REFUSED
        return
    held = opened(kit.provider(answer=kit.bank()), amount=Decimal("1250.00"), currency="JPY")

    assert (held.amount, held.currency) == (Decimal("1250.00"), "JPY")


def test_a_look_up_finds_how_a_payment_ended(kit: Kit) -> None:
    bank = kit.bank()
    provider = kit.provider(answer=bank)
    held = opened(provider)
    assert events_in(provider.look_up(reference_of(held))) == []

    bank.pay(held.provider_ref)
    first, again = (events_in(provider.look_up(reference_of(held))) for _ in range(2))

    assert [event.event_id for event in first] == [event.event_id for event in again]
    assert {event.provider_ref for event in first} <= {held.provider_ref}
    for event in first:
        assert event.status in {PaymentStatus.PAID, PaymentStatus.PROCESSING}
        if event.status is PaymentStatus.PAID:
            assert (event.amount, event.currency) == (AMOUNT, CURRENCY)


def test_a_canceled_payment_stays_canceled_and_a_paid_one_paid(kit: Kit) -> None:
    bank = kit.bank()
    provider = kit.provider(answer=bank)
    open_one = reference_of(opened(provider))

    for _ in range(2):
        assert {event.status for event in _canceled(provider, open_one)} <= {
            PaymentStatus.CANCELED,
            PaymentStatus.EXPIRED,
        }

    other = uuid4()
    paid_one = opened(provider, payment_id=other)
    bank.pay(paid_one.provider_ref)
    canceled = _canceled(provider, reference_of(paid_one, payment_id=other))
    assert not any(event.status.closed_unpaid for event in canceled)


def _canceled(provider: Provider, reference: Reference) -> list[ProviderEvent]:
    try:
        return events_in(provider.cancel(reference))
    except ProviderRefusedError as error:
        assert error.reason is Decline.NOT_IN_THIS_STATE  # noqa: PT017 (a refusal is one of two good answers)
        return []


def test_the_same_refund_is_made_once(kit: Kit) -> None:
    bank = kit.bank()
    provider = kit.provider(answer=bank)
    reference = paid(kit, bank, provider)

    made = [
        provider.refund(reference, refund_id=REFUND_ID, amount=Decimal("40.00"), reason="requested") for _ in range(2)
    ]

    assert made[0] == made[1]
    assert len(bank.refunds) == 1
    (event,) = made[0]
    assert isinstance(event, ProviderRefundEvent)
    assert (event.provider_ref, event.amount, event.currency) == (reference.provider_ref, Decimal("40.00"), CURRENCY)
    assert event.refund_id == REFUND_ID
    assert event.status in {RefundStatus.PROCESSING, RefundStatus.SUCCEEDED}
    provider.refund(reference, refund_id=uuid4(), amount=Decimal("40.00"), reason=None)
    assert len(bank.refunds) == 2


def test_wrong_credentials_differ_from_other_refusals(kit: Kit) -> None:
    for status in (401, 403):
        for call in _calls(kit, lambda _, status=status: httpx.Response(status, json={})):
            with pytest.raises(ProviderError) as caught:
                call()
            if isinstance(caught.value, ProviderRefusedError):
                assert caught.value.reason is Decline.CREDENTIALS


ANSWERS: dict[str, Callable[[], httpx.Response]] = {
    "a retry at work": lambda: httpx.Response(409, json={}),
    "too many": lambda: httpx.Response(429, headers={"Retry-After": "1"}),
    "broken": lambda: httpx.Response(500, json={"error": "hunter2"}),
    "away": lambda: httpx.Response(503, text="<html>hunter2"),
    "refused": lambda: httpx.Response(402, json={"error": {"message": "hunter2", "type": "card_error"}}),
    "refused without a word": lambda: httpx.Response(400),
    "refused in a strange way": lambda: httpx.Response(422, json={"error": [], "details": "hunter2", "code": {}}),
    "refused by a list": lambda: httpx.Response(422, json=["hunter2"]),
    "a redirect": lambda: httpx.Response(302, headers={"Location": "http://elsewhere.test/hunter2"}),
    "no JSON": lambda: httpx.Response(200, text="<html>hunter2"),
    "nothing": lambda: httpx.Response(200),
    "no content": lambda: httpx.Response(204),
    "deep": lambda: httpx.Response(200, text="[" * 100_000),
    "huge": lambda: httpx.Response(200, content=b'{"a":"' + b"x" * 1_100_000 + b'"}'),
    "an array": lambda: httpx.Response(200, json=["hunter2"]),
    "null": lambda: httpx.Response(200, json=None),
    "empty": lambda: httpx.Response(200, json={}),
    "not UTF-8": lambda: httpx.Response(200, content=b'{"id":"\xff"}'),
    "a duplicate key": lambda: httpx.Response(200, content=b'{"id":"a","id":"b"}'),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_is_no_use_is_one_of_three_errors(kit: Kit, answer: Callable[[], httpx.Response]) -> None:
    for call in _calls(kit, lambda _: answer()):
        with pytest.raises(ProviderError) as caught:
            call()
        assert type(caught.value) is not ProviderError
        assert "hunter2" not in _chain_of(caught.value)


@pytest.mark.parametrize("error", [httpx.ConnectError("no"), httpx.ReadTimeout("no"), httpx.RemoteProtocolError("no")])
def test_a_server_that_is_away_is_unavailable(kit: Kit, error: Exception) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    for call in _calls(kit, fail):
        with pytest.raises(ProviderUnavailableError):
            call()


def test_an_answer_about_another_payment_is_unreadable(kit: Kit) -> None:
    bank = kit.bank()
    held = opened(kit.provider(answer=bank))
    other = opened(kit.provider(answer=bank), payment_id=uuid4())
    bank.pay(other.provider_ref)
    theirs = bank.payments[other.provider_ref]

    provider = kit.provider(answer=lambda request: httpx.Response(200, json=theirs))
    if kit.name in {"paypal", "adyen"}:
        pytest.skip("its calls have a token, or its answers other names")
    with pytest.raises(UnreadableError):
        provider.look_up(reference_of(held))


def test_answers_with_anything_in_them_changed_are_values_or_one_of_three_errors(kit: Kit) -> None:
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def changed(data: st.DataObject) -> None:
        bank = kit.bank()
        honest = kit.provider(answer=bank)
        reference = paid(kit, bank, honest)
        authorized = replace(reference, attempt_ref=reference.attempt_ref or reference.capture_ref or "")

        def answer(request: httpx.Request) -> httpx.Response:
            response = bank(request)
            if not response.content:
                return response
            value = json.loads(response.content)
            holder: Any = value
            while isinstance(holder, dict | list) and holder:
                key = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else list(range(len(holder)))))
                if isinstance(holder[key], dict | list) and holder[key] and data.draw(st.booleans()):
                    holder = holder[key]
                    continue
                holder[key] = deepcopy(data.draw(st.sampled_from(LEAVES)))
                break
            return httpx.Response(response.status_code, json=value)

        provider = kit.provider(answer=answer)
        for call in (
            lambda: opened(provider, payment_id=uuid4()),
            lambda: provider.look_up(reference),
            lambda: provider.cancel(reference),
            lambda: provider.refund(reference, refund_id=uuid4(), amount=Decimal("1.00"), reason=None),
            lambda: provider.capture(authorized, request_id=uuid4(), amount=Decimal("1.00"), final=True),
            lambda: provider.void(authorized, void_id=uuid4()),
        ):
            try:
                call()
            except ProviderError:
                continue

    changed()


def _calls(kit: Kit, answer: Callable[[httpx.Request], httpx.Response]) -> list[Callable[[], Any]]:
    provider, reference = kit.provider(answer=answer), kit.reference()
    authorized = replace(reference, attempt_ref=reference.attempt_ref or reference.capture_ref)
    captures = [
        lambda: provider.capture(authorized, request_id=REFUND_ID, amount=AMOUNT, final=True),
        lambda: provider.void(authorized, void_id=REFUND_ID),
    ]
    return [
        *(captures if kit.name not in {"standard", "gocardless"} else ()),  # they have no such calls
        lambda: opened(provider),
        lambda: provider.look_up(reference),
        lambda: provider.cancel(reference),
        lambda: provider.refund(reference, refund_id=REFUND_ID, amount=AMOUNT, reason="requested_by_customer"),
    ]


def _chain_of(error: BaseException | None) -> str:
    """All that a log could tell of an error: its words, and those of what led to it and is not suppressed."""
    if error is None:
        return ""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{error!r} {error} {_chain_of(before)}"
