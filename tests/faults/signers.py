"""Webhooks as each provider signs them: those whose signatures carry a time tell old from new."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from checkout_service.providers.adapters.mock.provider import sign


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A webhook that says that a payment is paid, as it comes: its bytes, and the headers that are kept of it."""

    body: bytes
    headers: Mapping[str, str]


Environment = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Signer:
    """How a provider signs a webhook about a payment at a time, and what else the processes are to know of it."""

    provider: str
    sign: Callable[[str, datetime, Environment], Signed]
    settings: Mapping[str, str]
    is_dated: bool


def _mock(token: str, at: datetime, environment: Environment) -> Signed:
    details = {"event_id": f"evt_{uuid4().hex}", "amount": "40.00", "currency": "USD", "occurred_at": at.isoformat()}
    body = {"provider_ref": token, "status": "paid", "raw_data": details}
    return Signed(body=json.dumps(sign(body, environment["MOCK_WEBHOOK_SECRETS"])).encode(), headers={})


def _standard(token: str, at: datetime, environment: Environment) -> Signed:
    """Standard Webhooks 1.0: HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(environment["STANDARD_WEBHOOK_SECRETS"].removeprefix("whsec_"))
    about = {"provider_ref": token, "amount": "40.00", "currency": "USD"}
    webhook = {"type": "payment.paid", "timestamp": at.isoformat(), "data": about}
    body, identity, moment = json.dumps(webhook).encode(), f"msg_{uuid4().hex}", str(int(at.timestamp()))
    digest = hmac.new(key, f"{identity}.{moment}.".encode() + body, hashlib.sha256).digest()
    claimed = {"webhook-id": identity, "webhook-timestamp": moment}
    return Signed(body=body, headers=claimed | {"webhook-signature": f"v1,{base64.b64encode(digest).decode()}"})


SIGNERS = (
    Signer(provider="mock", sign=_mock, settings={}, is_dated=False),
    Signer(
        provider="standard",
        sign=_standard,
        settings={
            "STANDARD_API_BASE": "http://127.0.0.1:9",  # never called: a paid webhook needs no look-up
            "STANDARD_API_KEY": secrets.token_urlsafe(32),
            "STANDARD_WEBHOOK_SECRETS": f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        },
        is_dated=True,
    ),
)


def settings() -> dict[str, str]:
    """What a house needs for all of them."""
    environment = {"PAYMENT_PROVIDERS": ",".join(signer.provider for signer in SIGNERS)}
    for signer in SIGNERS:
        environment |= signer.settings
    return environment
