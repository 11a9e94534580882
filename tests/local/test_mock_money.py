"""Money at the mock provider: what each button reports, and what its server and the adapter make of it together."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from checkout_service.local.mock_actions import ACTIONS, BY_NAME, webhooks
from checkout_service.local.mock_money import came, uncaptured
from checkout_service.local.mock_server import MockServer
from checkout_service.local.mock_state import Bank
from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus
from checkout_service.providers.adapters.mock.provider import MockProvider
from checkout_service.providers.base import (
    Decline,
    Opening,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
)
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    NoneUnderWayEntry,
)
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret

SECRET = "the secret of this test"
REFERENCE = "mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d"
PAYMENT: dict[str, Any] = {"provider_ref": REFERENCE, "status": "pending", "amount": "47.25", "currency": "USD"}
BACK = "http://127.0.0.1:8000/pay/1"
HELD = Reference(provider_ref=REFERENCE, payment_id=uuid4(), amount=Decimal("47.25"), currency="USD")
REQUEST_ID = UUID("01a206b6-2617-7632-98bf-296e992e5f9b")


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer() as server:
        server.bank.put(REFERENCE, PAYMENT)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def provider(server: MockServer) -> Iterator[MockProvider]:
    provider = MockProvider(Account(options={"api_base": Secret(server.url)}, secrets=[Secret(SECRET)]))
    yield provider
    if provider._api and provider._api._client:
        provider._api._client.close()


def read(body: bytes) -> Any:
    raw_webhook = RawWebhook(provider="mock", headers={}, body=body, received_at=datetime.now(UTC))
    (event,) = MockProvider(Account(secrets=[Secret(SECRET)])).verify_and_parse(raw_webhook).events
    return event


def reported(name: str) -> list[Any]:
    """What a button reports of a payment that nobody paid, in short."""
    shown: list[Any] = []
    for webhook in webhooks(BY_NAME[name], PAYMENT, secret=SECRET):
        event = read(webhook.body)
        if isinstance(event, ProviderRefundEvent):
            shown.append(("refund", event.status.value, str(event.amount)))
            continue
        shown += [_short(entry) for entry in event.entries] or [(event.status.value, str(event.amount))]
    return shown


def _short(entry: Any) -> tuple[Any, ...]:
    match entry:
        case AttemptEntry():
            return ("attempt", entry.status.value, str(entry.presumed or entry.authorized or ""))
        case CaptureEntry():
            return ("capture", entry.status.value, str(entry.amount))
        case DisputeEntry():
            return ("dispute", entry.status.value, str(entry.amount), entry.step, entry.money_out)
    return (type(entry).__name__,)


def attempt(bank: Bank) -> str:
    held = bank.held(REFERENCE)
    assert held is not None
    return str(held["attempts"][-1]["attempt"])


def test_each_button_reports_what_it_says() -> None:
    held, half = ("attempt", "authorized", "47.25"), ("capture", "succeeded", "23.62")
    opened = ("dispute", "needs_response", "23.62", 0, False)
    assert {action.name: reported(action.name) for action in ACTIONS if action.moves} == {
        "charge_twice": [("attempt", "started", "47.25")] * 2,
        "refund": [("paid", "47.25"), ("refund", "succeeded", "23.62")],
        "dispute": [("paid", "47.25"), opened],
        "dispute_lost": [("paid", "47.25"), opened, ("dispute", "lost", "23.62", 1, True)],
        "dispute_won": [("paid", "47.25"), opened, ("dispute", "won", "23.62", 0, False)],
        "authorize": [held],
        "capture": [held, ("capture", "succeeded", "47.25")],
        "capture_half": [held, half, ("attempt", "canceled", "")],
        "release": [held, ("attempt", "canceled", "")],
    }
    assert PAYMENT == {"provider_ref": REFERENCE, "status": "pending", "amount": "47.25", "currency": "USD"}


def test_a_dispute_that_was_lost_is_won_and_gives_back_what_it_took() -> None:
    bank = Bank()
    bank.put(REFERENCE, PAYMENT)
    reports = [
        bank.move(REFERENCE, BY_NAME[name].moves)[-1]  # type: ignore[arg-type]
        for name in ("dispute", "dispute_lost", "dispute_lost", "dispute_won", "dispute_won")
    ]

    assert [(each.status, each.details["step"]) for each in reports] == [
        ("needs_response", 0),
        ("lost", 1),
        ("lost", 1),
        ("won", 2),
        ("won", 2),
    ]
    assert len({each.details["dispute_ref"] for each in reports}) == 1


def test_what_a_button_did_is_found_by_a_look_up(server: MockServer, provider: MockProvider) -> None:
    for name in ("capture_half", "dispute_lost", "refund"):
        assert server.bank.move(REFERENCE, BY_NAME[name].moves)  # type: ignore[arg-type]

    event, refund = provider.look_up(HELD)

    assert isinstance(event, ProviderEvent)
    tried, captured, lost, over = event.entries
    assert isinstance(tried, AttemptEntry)
    assert (tried.ref, tried.status) == (attempt(server.bank), AttemptStatus.CANCELED)
    assert isinstance(captured, CaptureEntry)
    assert (captured.attempt_ref, captured.amount) == (tried.ref, Decimal("23.62"))
    assert isinstance(lost, DisputeEntry)
    assert (lost.step, lost.money_out, lost.amount) == (1, True, Decimal("11.81"))
    assert isinstance(over, NoneUnderWayEntry)
    assert isinstance(refund, ProviderRefundEvent)
    assert (refund.refund_id, refund.amount) == (None, Decimal("11.81"))
    assert [each.event_id for each in provider.look_up(HELD)] == [event.event_id, refund.event_id]


def test_money_that_has_no_name_is_paid_beside_a_dispute_that_has_one(
    server: MockServer, provider: MockProvider
) -> None:
    server.bank.put(REFERENCE, {"status": "paid"})
    server.bank.move(REFERENCE, BY_NAME["dispute"].moves)  # type: ignore[arg-type]

    (event,) = provider.look_up(HELD)

    assert isinstance(event, ProviderEvent)
    assert AttemptEntry(presumed=Decimal("47.25"), currency="USD") in event.entries


def test_the_shop_captures_some_and_then_the_rest(server: MockServer, provider: MockProvider) -> None:
    server.bank.move(REFERENCE, BY_NAME["authorize"].moves)  # type: ignore[arg-type]
    ours = replace(HELD, attempt_ref=attempt(server.bank))

    (some,) = provider.capture(ours, request_id=REQUEST_ID, amount=Decimal("20.00"), final=False)
    (again,) = provider.capture(ours, request_id=REQUEST_ID, amount=Decimal("47.25"), final=True)
    (rest,) = provider.capture(ours, request_id=uuid4(), amount=Decimal("7.25"), final=True)

    assert isinstance(some, ProviderEvent)
    (entry,) = some.entries
    assert isinstance(entry, CaptureEntry)
    assert (entry.amount, entry.request_id, entry.attempt_ref) == (Decimal("20.00"), str(REQUEST_ID), ours.attempt_ref)
    assert isinstance(again, ProviderEvent)
    assert again.entries[0] == entry, "one key makes one capture"
    assert isinstance(rest, ProviderEvent)
    assert AttemptEntry(ref=ours.attempt_ref or "", rest_released=True) in rest.entries
    held = server.bank.held(REFERENCE)
    assert held is not None
    assert (came(held), uncaptured(held), held["status"]) == (Decimal("27.25"), 0, "partially_paid")
    (seen,) = provider.look_up(HELD)
    assert isinstance(seen, ProviderEvent)
    assert entry in seen.entries


@pytest.mark.parametrize("amount", ["47.26", "0.00"])
def test_no_more_is_captured_than_is_held_back(server: MockServer, provider: MockProvider, amount: str) -> None:
    server.bank.move(REFERENCE, BY_NAME["authorize"].moves)  # type: ignore[arg-type]
    with pytest.raises(ProviderRefusedError):
        provider.capture(HELD, request_id=REQUEST_ID, amount=Decimal(amount), final=True)
    held = server.bank.held(REFERENCE)
    assert held is not None
    assert "captures" not in held


def test_what_is_held_back_is_void_once(server: MockServer, provider: MockProvider) -> None:
    with pytest.raises(ProviderRefusedError):
        provider.void(HELD, void_id=REQUEST_ID)
    server.bank.move(REFERENCE, BY_NAME["authorize"].moves)  # type: ignore[arg-type]

    (event,) = provider.void(HELD, void_id=REQUEST_ID)
    (again,) = provider.void(HELD, void_id=REQUEST_ID)

    assert isinstance(event, ProviderEvent)
    assert event.event_id == again.event_id
    ended = event.entries[0]
    assert isinstance(ended, AttemptEntry)
    assert (ended.ref, ended.status) == (attempt(server.bank), AttemptStatus.CANCELED)
    assert ClosedEntry(status=PaymentStatus.CANCELED) in event.entries
    with pytest.raises(ProviderRefusedError):
        provider.capture(HELD, request_id=uuid4(), amount=Decimal("1.00"), final=True)


def test_a_capture_whose_answer_was_lost_is_made_once(server: MockServer, provider: MockProvider) -> None:
    server.bank.move(REFERENCE, BY_NAME["authorize"].moves)  # type: ignore[arg-type]
    httpx.put(f"{server.url}/_behaviour", json={"after": "drop", "times": 1}, timeout=60)
    with pytest.raises(ProviderUnavailableError):
        provider.capture(HELD, request_id=REQUEST_ID, amount=Decimal("20.00"), final=False)

    provider.capture(HELD, request_id=REQUEST_ID, amount=Decimal("20.00"), final=False)

    held = server.bank.held(REFERENCE)
    assert held is not None
    assert came(held) == Decimal("20.00")


def test_without_a_server_captures_and_voids_succeed() -> None:
    provider, ours = MockProvider(Account()), replace(HELD, attempt_ref="try-1")

    (captured,) = provider.capture(ours, request_id=REQUEST_ID, amount=Decimal("20.00"), final=True)
    (void,) = provider.void(ours, void_id=REQUEST_ID)

    assert isinstance(captured, ProviderEvent)
    assert list(captured.entries) == [
        CaptureEntry(
            ref=f"mock_cp_{REQUEST_ID.hex}",
            status=CaptureStatus.SUCCEEDED,
            amount=Decimal("20.00"),
            currency="USD",
            attempt_ref="try-1",
            request_id=str(REQUEST_ID),
        ),
        AttemptEntry(ref="try-1", rest_released=True),
    ]
    assert isinstance(void, ProviderEvent)
    assert list(void.entries) == [AttemptEntry(ref="try-1", status=AttemptStatus.CANCELED)]


def test_a_refund_is_within_what_was_captured(server: MockServer, provider: MockProvider) -> None:
    server.bank.move(REFERENCE, BY_NAME["capture_half"].moves)  # type: ignore[arg-type]
    with pytest.raises(ProviderRefusedError) as caught:
        provider.refund(HELD, refund_id=uuid4(), amount=Decimal("23.63"), reason=None)
    assert caught.value.reason is Decline.OTHER
    (made,) = provider.refund(HELD, refund_id=REQUEST_ID, amount=Decimal("23.62"), reason=None)
    assert isinstance(made, ProviderRefundEvent)


def test_with_manual_capture_paying_holds_the_money_back(server: MockServer) -> None:
    server.open_page(shop="http://127.0.0.1:9", secret=SECRET)
    account = Account(options={"api_base": Secret(server.url), "capture": Secret("manual")})
    provider = MockProvider(account)
    held = provider.open(Opening(payment_id=REQUEST_ID, amount=Decimal("12.00"), currency="USD"))
    if provider._api and provider._api._client:
        provider._api._client.close()

    httpx.post(f"{server.url}/pay/{held.provider_ref}", data={"action": "pay", "return_to": BACK}, timeout=60)

    payment = server.bank.held(held.provider_ref)
    assert payment is not None
    assert (payment["status"], payment["capture"]) == ("authorized", "manual")


def test_a_restarted_bank_remembers_names(tmp_path: Path) -> None:
    journal = tmp_path / "bank.jsonl"
    bank = Bank(journal)
    bank.put(REFERENCE, PAYMENT)
    bank.move(REFERENCE, BY_NAME["capture_half"].moves)  # type: ignore[arg-type]

    held = Bank(journal).held(REFERENCE)

    assert held == bank.held(REFERENCE)
    assert held is not None
    assert came(held) == Decimal("23.62")
    assert json.loads(journal.read_text().splitlines()[-1]) == held
