"""``checkout mock pay``: plays the provider, signs as it does and posts over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from click.testing import Result
from flask import Flask
from werkzeug.serving import make_server

from checkout_service.local.mock_cli import mock
from checkout_service.local.servers import free_port
from checkout_service.providers.adapters.mock.provider import MockProvider
from checkout_service.providers.base import UnverifiedError
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.telemetry import logs
from tests.apps import MakeApp
from tests.conftest import MOCK_SECRET
from tests.provider import MockProvider as Bank

TOKEN = "mock_pi_" + "0" * 32
Webhooks = Callable[[], list[Any]]


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_WEBHOOK_SECRETS", f"{MOCK_SECRET}, an older one")


def pay(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(mock, ["pay", *arguments])


def read(body: bytes, secret: str = MOCK_SECRET) -> Any:
    raw_webhook = RawWebhook(provider="mock", headers={}, body=body, received_at=datetime.now(UTC))
    (event,) = MockProvider(Account(secrets=[Secret(secret)])).verify_and_parse(raw_webhook).events
    return event


def test_mock_pay_sends_a_verified_webhook(app: Flask, address: str, webhooks: Webhooks) -> None:
    result = pay(app, TOKEN, "--url", address)

    assert result.exit_code == 0, result.stderr
    (row,) = webhooks()
    assert result.stdout == f'202 {{"delivery_id":"{row.id}"}}\n'
    event = read(row.body)
    assert (event.provider_ref, event.status.value, event.amount, event.currency) == (TOKEN, "paid", None, None)
    with pytest.raises(UnverifiedError):
        read(row.body, "another secret")


def test_mock_pay_sends_the_status_and_amount_of_its_options(app: Flask, address: str, webhooks: Webhooks) -> None:
    options = {"--status": "failed", "--amount": "239.99", "--currency": "EUR", "--event-id": "evt_1"}
    result = pay(app, TOKEN, "--url", f"{address}/", *[part for pair in options.items() for part in pair])

    assert result.exit_code == 0, result.stderr
    event = read(webhooks()[0].body)
    assert (event.status.value, str(event.amount), event.currency, event.event_id) == (
        "failed",
        "239.99",
        "EUR",
        "evt_1",
    )


def test_mock_pay_sends_a_new_event_each_time(app: Flask, address: str, webhooks: Webhooks) -> None:
    pay(app, TOKEN, "--url", address)
    pay(app, TOKEN, "--url", address)

    assert len({orjson.loads(row.body)["raw_data"]["event_id"] for row in webhooks()}) == 2


def test_mock_pay_finds_the_service_at_its_port(
    app: Flask, address: str, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", address.rpartition(":")[2])

    assert pay(app, TOKEN).exit_code == 0
    assert len(webhooks()) == 1


def test_mock_pay_without_a_service_fails_with_a_sentence(app: Flask, webhooks: Webhooks) -> None:
    result = pay(app, TOKEN, "--url", f"http://127.0.0.1:{free_port()}")

    assert result.exit_code == 1
    assert "Nobody answers at http://127.0.0.1:" in result.stderr
    assert webhooks() == []


@pytest.mark.parametrize(
    "url", ["nonsense", "http://", "ftp://127.0.0.1", "http://[", "http://127.0.0.1:99999", "http://127.0.0.1:http"]
)
def test_mock_pay_to_no_address_fails_with_a_sentence(app: Flask, webhooks: Webhooks, url: str) -> None:
    result = pay(app, TOKEN, "--url", url)

    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("Error: ")
    assert webhooks() == []


def test_mock_pay_fails_when_the_webhook_is_refused(app: Flask, address: str, webhooks: Webhooks) -> None:
    result = pay(app, TOKEN, "--url", f"{address}/elsewhere")

    assert result.exit_code == 1
    assert result.stdout.startswith("404 ")
    assert webhooks() == []


def test_mock_pay_without_its_secret_names_the_setting(
    app: Flask, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOCK_WEBHOOK_SECRETS")
    result = pay(app, TOKEN)

    assert result.exit_code == 1
    assert "MOCK_WEBHOOK_SECRETS" in result.stderr
    assert webhooks() == []


def test_mock_pay_refuses_a_status_that_nobody_knows(app: Flask, webhooks: Webhooks) -> None:
    result = pay(app, TOKEN, "--status", "settled")

    assert result.exit_code == 2
    assert "'settled' is not one of" in result.stderr
    assert webhooks() == []


def test_mock_pay_is_refused_in_production(make_app: MakeApp, address: str, webhooks: Webhooks) -> None:
    try:
        result = pay(make_app(environment="production"), TOKEN, "--url", address)
    finally:
        logs.configure(production=False)

    assert result.exit_code == 1
    assert "refused in production" in result.stderr
    assert webhooks() == []


def test_mock_refund_reports_a_refund(app: Flask, address: str, webhooks: Webhooks) -> None:
    own = "01a206b6-2617-7632-98bf-296e992e5f9b"
    options = ["--refund-ref", "mock_re_1", "--refund-id", own, "--status", "failed", "--amount", "5.00"]
    result = app.test_cli_runner().invoke(mock, ["refund", TOKEN, *options, "--url", address])
    dashboard = app.test_cli_runner().invoke(
        mock, ["refund", TOKEN, "--amount", "1.00", "--currency", "USD", "--url", address]
    )

    assert (result.exit_code, dashboard.exit_code) == (0, 0), result.stderr
    first, second = [read(row.body) for row in webhooks()]
    assert (first.provider_ref, first.refund_ref, str(first.refund_id)) == (TOKEN, "mock_re_1", own)
    assert (first.status.value, str(first.amount), first.currency) == ("failed", "5.00", None)
    assert (second.status.value, second.refund_id, second.currency) == ("succeeded", None, "USD")
    assert second.refund_ref.startswith("mock_re_")


def test_the_providers_server_hears_of_it_too(make_app: MakeApp, address: str, mock_provider: Bank) -> None:
    """Else a refund of what was paid so would be refused there."""
    mock_provider.put(TOKEN, amount="240.00", currency="USD")

    result = pay(make_app(accounts={"mock": mock_provider.account}), TOKEN, "--url", address)

    assert result.exit_code == 0, result.stderr
    (held,) = mock_provider.payments
    assert held["status"] == "paid"


def act(app: Flask, action: str, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(mock, ["act", TOKEN, action, *arguments])


def test_mock_pay_names_the_try_and_the_capture(app: Flask, address: str, webhooks: Webhooks) -> None:
    names = ["--attempt", "try-1", "--capture-ref", "cap-1", "--amount", "200.00", "--currency", "USD"]
    assert pay(app, TOKEN, "--status", "partially_paid", *names, "--url", address).exit_code == 0

    (entry,) = read(webhooks()[0].body).entries
    assert (entry.ref, entry.attempt_ref, str(entry.amount)) == ("cap-1", "try-1", "200.00")


def test_mock_act_does_what_a_button_does(
    make_app: MakeApp, address: str, webhooks: Webhooks, mock_provider: Bank
) -> None:
    mock_provider.put(TOKEN, amount="240.00", currency="USD")
    app = make_app(accounts={"mock": mock_provider.account})

    first = act(app, "authorize", "--url", address)
    second = act(app, "capture_half", "--url", address)
    third = act(app, "authorize", "--url", address)

    assert (first.exit_code, second.exit_code, third.exit_code) == (0, 0, 1), second.stderr
    assert "Nothing moves" in third.stderr
    entries = [entry for row in webhooks() for entry in read(row.body).entries]
    held, captured, released = entries
    assert [str(held.authorized), held.status.value] == ["240.00", "authorized"]
    assert [str(captured.amount), captured.attempt_ref] == ["120.00", held.ref]
    assert [released.ref, released.status.value] == [held.ref, "canceled"]
    (payment,) = mock_provider.payments
    assert payment["status"] == "partially_paid"


def test_mock_act_without_a_server_takes_the_amount(app: Flask, address: str, webhooks: Webhooks) -> None:
    assert act(app, "dispute_lost", "--url", address).exit_code == 1
    assert webhooks() == []

    done = act(app, "dispute_lost", "--amount", "240.00", "--currency", "USD", "--url", address)

    assert done.exit_code == 0, done.stderr
    paid, opened, lost = [read(row.body) for row in webhooks()]
    assert (paid.status.value, str(paid.amount)) == ("paid", "240.00")
    assert opened.entries[0].step == 0
    assert (lost.entries[0].step, str(lost.entries[0].amount)) == (1, "120.00")


def test_mock_act_about_a_payment_that_the_server_does_not_have(
    make_app: MakeApp, address: str, webhooks: Webhooks, mock_provider: Bank
) -> None:
    result = act(make_app(accounts={"mock": mock_provider.account}), "authorize", "--url", address)

    assert result.exit_code == 1
    assert "has no such payment" in result.stderr
    assert webhooks() == []
