"""``checkout mock``: plays the mock provider from a terminal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import click
import httpx
from flask import Flask, current_app
from flask.cli import AppGroup

from checkout_service.local.mock_actions import ACTIONS, BY_NAME
from checkout_service.local.mock_money import Report
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.mock.events import REFUND_PREFIX
from checkout_service.providers.adapters.mock.provider import sign
from checkout_service.settings.values import SettingsError, signing_secret

mock = AppGroup("mock", help="Play the mock provider.")


def init_app(app: Flask) -> None:
    """Give the app's command line its ``mock`` group."""
    app.cli.add_command(mock)


_money = [
    click.option("--amount", help="Report this amount, such as 240.00."),
    click.option("--currency", help="Report this currency, such as USD."),
]
_address = [
    click.option("--url", help="The service's address.  [default: http://127.0.0.1:PORT]"),
    click.option("--port", envvar="PORT", default=8000, hidden=True),
]


_event = click.option("--event-id", help="The event's id; a fresh one without it.")


def _reports(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every report."""
    for option in reversed([*_money, *_address]):
        command = option(command)
    return command


@mock.command("pay")
@click.argument("token")
@click.option(
    "--status", type=click.Choice([status.value for status in PaymentStatus]), default="paid", show_default=True
)
@click.option("--attempt", help="What the provider calls this try to pay; without it there is one, without a name.")
@click.option("--capture-ref", help="What the provider calls the capture; without it the money has no name.")
@_event
@_reports
def pay(token: str, status: str, attempt: str | None, capture_ref: str | None, **report: Any) -> None:
    """Sign a webhook about the payment with TOKEN (a session's payment_token) and send it over HTTP.

    The mock provider's server, where there is one, hears of it first: a refund later asks what was paid there.
    """
    account = current_app.extensions["settings"].accounts.get("mock")
    base = account.option("api_base") if account else None
    named = {name: value for name, value in {"attempt": attempt, "capture_ref": capture_ref}.items() if value}
    money = {name: report[name] for name in ("amount", "currency") if report[name]}
    update_server(base, token, status, **named, **money)
    _send(token, status, named, **report)


@mock.command("refund")
@click.argument("token")
@click.option(
    "--status", type=click.Choice([status.value for status in RefundStatus]), default="succeeded", show_default=True
)
@click.option("--refund-ref", help="What the provider calls the refund; a fresh one without it: made in the dashboard.")
@click.option("--refund-id", help="Our id of the refund, which a provider gives back to us.")
@_event
@_reports
def refund(token: str, status: str, refund_ref: str | None, refund_id: str | None, **report: Any) -> None:
    """Sign a webhook about a refund of the payment with TOKEN and send it over HTTP."""
    details = {"refund_ref": refund_ref or f"{REFUND_PREFIX}{uuid4().hex}"}
    if refund_id:
        details["refund_id"] = refund_id
    _send(token, status, details, **report)


@mock.command("act")
@click.argument("token")
@click.argument("action", type=click.Choice([action.name for action in ACTIONS if action.moves is not None]))
@_reports
def act(token: str, action: str, amount: str | None, currency: str | None, **address: Any) -> None:
    """Do what the button of that name on the mock provider's page does with the payment with TOKEN.

    Its server, where there is one, does it and knows of it. Without one the payment is taken for a fresh one over
    --amount and --currency.
    """
    account = current_app.extensions["settings"].accounts.get("mock")
    base = account.option("api_base") if account else None
    if base:
        reports = _done_by_server(base, token, action)
    else:
        if not amount or not currency:
            raise click.ClickException(
                "Without the provider's server (MOCK_API_BASE) it takes --amount and --currency."
            )
        moves = BY_NAME[action].moves
        payment = {"provider_ref": token, "status": "pending", "amount": amount, "currency": currency}
        reports = moves(payment) if moves else []
    if not reports:
        raise click.ClickException("Nothing moves: the payment is past that.")
    for each in reports:
        _send(token, each.status, each.details, amount=amount, currency=currency, **address)


def _done_by_server(base: str, token: str, action: str) -> list[Report]:
    address = f"{base}/_payments/{quote(token, safe='')}/actions/{action}"
    try:
        answer = httpx.put(address, timeout=10.0)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise click.ClickException(f"Nobody answers at {base}: {error}") from error
    if not answer.is_success:
        raise click.ClickException(f"The mock provider's server has no such payment: status {answer.status_code}.")
    return [Report(**each) for each in answer.json()["reports"]]


def update_server(base: str | None, token: str, status: str, **details: str) -> None:
    """Have the mock provider's server at MOCK_API_BASE, if there is one, know what became of a payment.

    ``details`` is what else the webhook tells, such as ``amount``: a refund later asks what came.
    """
    if base:
        with suppress(httpx.HTTPError, httpx.InvalidURL):  # a server that is away misses this alone
            address = f"{base}/_payments/{quote(token, safe='')}/reports"
            httpx.put(address, json={"status": status, **details}, timeout=2.0)


def _send(
    token: str,
    status: str,
    details: dict[str, Any],
    *,
    amount: str | None,
    currency: str | None,
    url: str | None,
    port: int,
    event_id: str | None = None,
) -> None:
    if current_app.extensions["settings"].production:
        raise click.ClickException("The mock provider takes no money and is refused in production.")
    try:
        secret = signing_secret("mock").reveal()
    except SettingsError as error:
        raise click.ClickException(f"The mock provider signs, so it needs its secret:\n{error}") from error
    named = {"event_id": event_id or f"evt_{uuid4().hex}", "amount": amount, "currency": currency} | details
    raw_data = {name: value for name, value in named.items() if value not in {None, ""}}
    webhook = sign({"provider_ref": token, "status": status, "raw_data": raw_data}, secret)
    address = f"{(url or f'http://127.0.0.1:{port}').rstrip('/')}/api/payments/webhook"
    try:
        answer = httpx.post(address, json=webhook, timeout=10.0)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise click.ClickException(f"Nobody answers at {address}: {error}") from error
    click.echo(f"{answer.status_code} {answer.text}")
    if not answer.is_success:
        raise SystemExit(1)
