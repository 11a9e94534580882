"""Whatever money our service believes came can be given back at the mock provider, as at a real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.database.engine import transaction
from checkout_service.local.mock_actions import ACTIONS, BY_NAME
from checkout_service.local.mock_cli import update_server
from checkout_service.local.mock_server import MockServer
from checkout_service.providers.adapters.mock.provider import MockProvider
from checkout_service.providers.base import ProviderEvent, ProviderRefusedError, Reference, UnverifiedError
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.conftest import Sql
from tests.refunding import open_payment
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

SECRET = "the secret of this test"


@pytest.fixture(scope="module")
def server() -> Iterator[MockServer]:
    with MockServer() as server:
        server.open_page(shop="http://127.0.0.1:9", secret=SECRET)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def provider(server: MockServer) -> Iterator[MockProvider]:
    provider = MockProvider(Account(options={"api_base": Secret(server.url)}, secrets=[Secret(SECRET)]))
    yield provider
    if provider._api and provider._api._client:
        provider._api._client.close()


@pytest.fixture
def held(server: MockServer, worker: Flask, sql: Sql) -> Reference:
    """A payment of 100.00 that the service and the provider's server both have."""
    payment_id, reference = open_payment(sql)
    server.bank.put(reference, {"amount": "100.00", "currency": "USD"})
    return Reference(provider_ref=reference, payment_id=payment_id, amount=Decimal(100), currency="USD")


def press(server: MockServer, provider: MockProvider, held: Reference, action: str) -> None:
    """The button's webhooks, and what our worker makes of them."""
    assert server.ui
    for webhook in server.ui.move(held.provider_ref, BY_NAME[action]):
        raw = RawWebhook(provider="mock", headers={}, body=webhook.body, received_at=datetime.now(UTC))
        try:
            events = provider.verify_and_parse(raw).events
        except UnverifiedError:
            continue
        with transaction() as connection:
            record(connection, received_now(events))


def left(sql: Sql, payment_id: UUID) -> Decimal:
    """What our service says may be given back."""
    (row,) = sql(
        "SELECT amount_captured - amount_lost - amount_blocked - amount_refunded AS left FROM payments WHERE id = :id",
        id=payment_id,
    )
    return Decimal(row.left)


def give_back(provider: MockProvider, held: Reference, amount: Decimal) -> None:
    provider.refund(held, refund_id=uuid4(), amount=amount, reason=None)


WAYS = [[action.name] for action in ACTIONS] + [
    ["pay", "cancel"],
    ["pay", "decline"],
    ["pay", "wrong_amount"],
    ["cancel", "pay"],
    ["decline", "wrong_amount"],
    ["wrong_amount", "cancel"],
    ["wrong_amount", "dispute"],
    ["wrong_amount", "charge_twice"],
    ["capture_half", "cancel"],
    ["capture_half", "pay"],
    ["authorize", "pay"],
    ["charge_twice", "dispute_lost"],
    ["dispute_lost", "dispute_won"],
    ["dispute_lost", "reverse"],
    ["refund", "wrong_amount"],
]
"""What somebody presses at the provider, one after the other."""

NOTHING = {"decline", "cancel", "unverified", "silent", "reverse", "authorize", "release"}
"""After these our service believes that no money is here."""


@pytest.mark.parametrize("ways", WAYS, ids="-".join)
def test_what_our_service_believes_came_can_be_given_back(
    server: MockServer, provider: MockProvider, held: Reference, sql: Sql, ways: list[str]
) -> None:
    for action in ways:
        press(server, provider, held, action)
    amount = left(sql, held.payment_id)
    assert (amount > 0) == (ways[0] not in NOTHING or len(ways) > 1)
    if amount > 0:
        give_back(provider, held, amount)


def test_no_more_than_came_can_be_given_back(
    server: MockServer, provider: MockProvider, held: Reference, sql: Sql
) -> None:
    press(server, provider, held, "wrong_amount")
    give_back(provider, held, Decimal(100))
    with pytest.raises(ProviderRefusedError):
        give_back(provider, held, Decimal("1.01"))
    give_back(provider, held, Decimal("1.00"))


def test_a_look_up_tells_what_came(server: MockServer, provider: MockProvider, held: Reference) -> None:
    press(server, provider, held, "wrong_amount")
    (event,) = provider.look_up(held)
    assert isinstance(event, ProviderEvent)
    assert event.amount == Decimal("101.00")


@pytest.mark.parametrize(
    ("reports", "came"),
    [
        ([{"status": "paid"}], "100.00"),
        ([{"status": "paid", "amount": "130.00", "currency": "USD"}], "130.00"),
        ([{"status": "partially_paid", "amount": "30.00"}, {"status": "failed"}], "30.00"),
        ([{"status": "partially_paid", "amount": f"{n}0", "capture_ref": f"cp_{n}"} for n in (1, 2, 2)], "30.00"),
        ([{"status": "paid", "amount": "99.00", "attempt": "try-1"}, {"status": "canceled"}], "99.00"),
    ],
)  # fmt: skip
def test_what_a_terminal_reports_can_be_given_back(
    server: MockServer, provider: MockProvider, held: Reference, reports: list[dict[str, str]], came: str
) -> None:
    for each in reports:
        details = {name: value for name, value in each.items() if name != "status"}
        update_server(server.url, held.provider_ref, each["status"], **details)
    with pytest.raises(ProviderRefusedError):
        give_back(provider, held, Decimal(came) + 1)
    give_back(provider, held, Decimal(came))
