"""``flask mock``: plays the mock provider from a terminal."""

from __future__ import annotations

from uuid import uuid4

import click
import httpx
from flask import current_app
from flask.cli import AppGroup

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.mock import sign
from checkout_service.settings import SettingsError, signing_secret

mock = AppGroup("mock", help="Play the mock provider.")


@mock.command("pay")
@click.argument("token")
@click.option(
    "--status", type=click.Choice([status.value for status in PaymentStatus]), default="paid", show_default=True
)
@click.option("--amount", help="Report this amount, such as 240.00; none is reported without it.")
@click.option("--currency", help="Report this currency, such as USD.")
@click.option("--event-id", help="The event's id; a fresh one without it.")
@click.option("--url", help="The service's address.  [default: http://127.0.0.1:PORT]")
@click.option("--port", envvar="PORT", default=8000, hidden=True)
def pay(
    token: str, status: str, amount: str | None, currency: str | None, event_id: str | None, url: str | None, port: int
) -> None:
    """Sign a webhook about the payment with TOKEN (a session's payment_token) and send it over HTTP."""
    if current_app.extensions["settings"].production:
        raise click.ClickException("The mock provider takes no money and is refused in production.")
    try:
        secret = signing_secret("mock").reveal()
    except SettingsError as error:
        raise click.ClickException(f"The mock provider signs, so it needs its secret:\n{error}") from error
    details = {"event_id": event_id or f"evt_{uuid4().hex}"}
    if amount:
        details["amount"] = amount
    if currency:
        details["currency"] = currency
    letter = sign({"provider_ref": token, "status": status, "raw_data": details}, secret)
    address = f"{(url or f'http://127.0.0.1:{port}').rstrip('/')}/api/payments/webhook"
    try:
        answer = httpx.post(address, json=letter, timeout=10.0)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise click.ClickException(f"Nobody answers at {address}: {error}") from error
    click.echo(f"{answer.status_code} {answer.text}")
    if not answer.is_success:
        raise SystemExit(1)
