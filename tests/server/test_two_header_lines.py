"""A header that comes in two lines, through a real web process: Mollie signs twice while a secret changes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.conftest import Servers, Sql
from tests.flower_pages import stack
from tests.providers.kits.kit import PAYMENT_ID, SignedWebhook
from tests.providers.kits.mollie import KIT, OPTIONS, PAYMENT_REF, SECRETS, event_body, signature


@pytest.mark.parametrize("tab", ["", "\t"], ids=["as they come", "with a tab"])
def test_both_signatures_are_kept_in_one_text_and_either_secret_verifies_it(
    servers: Servers, tmp_path: Path, sql: Sql, tab: str
) -> None:
    own = {f"MOLLIE_{name.upper()}": value for name, value in OPTIONS.items()}
    settings = stack.environment(servers, PAYMENT_PROVIDERS="mollie,mock", **own)
    body = event_body("payment.paid", PAYMENT_REF, {"metadata": {"payment_id": str(PAYMENT_ID)}})
    lines = [f"X-Mollie-Signature: {tab}{signature(body, secret)}{tab}" for secret in SECRETS[:2]]
    head = ["POST /api/payments/webhook/mollie HTTP/1.1", "Host: shop.test", "Content-Type: application/json", *lines]
    head += [f"Content-Length: {len(body)}", "Connection: close", "", ""]

    address = ("127.0.0.1", int(settings["PORT"]))
    with stack.run(tmp_path, settings, "web"), socket.create_connection(address, timeout=30) as connection:
        connection.sendall("\r\n".join(head).encode() + body)
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 202"), answer
    (kept,) = sql("SELECT headers, body FROM webhook_deliveries")
    assert kept.headers["x-mollie-signature"].replace(" ", "").replace("\t", "") == signature(body, *SECRETS[:2])
    webhook = SignedWebhook(body=bytes(kept.body), headers=dict(kept.headers))
    for place, secret in enumerate(SECRETS[:2]):
        assert KIT.provider(secret).verify_and_parse(webhook.raw("mollie")).events, place
