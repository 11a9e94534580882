"""The webhook receiver stores what a provider sends as it came, and answers only when it is committed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from checkout_service.providers.registry import provider_specs
from checkout_service.providers.spec import WebhookFormat
from checkout_service.webhooks.routes import LARGEST_WEBHOOK
from tests.conftest import MOCK_SECRET, Statements
from tests.webhook_bodies import webhook

PATH = "/api/payments/webhook"
Webhooks = Callable[[], list[Any]]


def sized(size: int) -> bytes:
    """A JSON object of exactly so many bytes."""
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


@pytest.mark.parametrize("path", [PATH, f"{PATH}/mock"])
def test_webhook_is_committed_before_the_answer_in_one_statement(
    client: FlaskClient, webhooks: Webhooks, statements: Statements, path: str
) -> None:
    client.post(path, data=b"{}", content_type="application/json")  # threads and connections are there from now on
    with statements() as seen:
        answer = client.post(path, data=webhook("mock_pi_1"), content_type="application/json")

    assert answer.status_code == 202
    assert set(answer.json) == {"delivery_id"}
    assert len(seen) == 1, seen
    assert webhooks()[-1].id == UUID(answer.json["delivery_id"])


@pytest.mark.parametrize(
    "body",
    [
        b'\r\n {"b" : 1,\t"a":"\\u00e9 \xc3\xa9 \\ud800", "b": 2.50, "big": 123456789012345678901234567890} \n',
        b"{}",
        b'{"signature": "nobody\'s"}',
        sized(LARGEST_WEBHOOK),
    ],
    ids=["odd", "empty object", "unverified", "largest"],
)
def test_bytes_are_kept_as_they_came(client: FlaskClient, webhooks: Webhooks, body: bytes) -> None:
    answer = client.post(PATH, data=body, content_type="application/json")

    assert answer.status_code == 202
    assert webhooks()[0].body == body


def test_webhook_is_pending_work_from_five_seconds_on(client: FlaskClient, webhooks: Webhooks) -> None:
    client.post(PATH, data=webhook("mock_pi_1"), content_type="application/json")

    (row,) = webhooks()
    assert (row.provider, row.state, row.attempts) == ("mock", "received", 0)
    assert row.due_after == timedelta(seconds=5)
    assert (row.provider_ref, row.detail, row.processed_at) == (None, None, None)


def test_only_the_headers_that_the_provider_needs_are_kept(
    client: FlaskClient, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = {"X-Signature": "t=1,v1=abc", "Authorization": "Bearer x", "Cookie": "a=b", "X-Request-Id": "their-id-1"}
    client.post(PATH, data=b"{}", headers=sent)
    mock = replace(provider_specs()["mock"], webhooks=WebhookFormat(body="json", headers=("x-signature", "x-other")))
    monkeypatch.setitem(provider_specs(), "mock", mock)
    client.post(PATH, data=b"{}", headers=sent)

    assert [row.headers for row in webhooks()] == [
        {"x-request-id": "their-id-1"},
        {"x-request-id": "their-id-1", "x-signature": "t=1,v1=abc"},
    ]


def test_no_token_is_needed_and_a_wrong_one_is_no_matter(client: FlaskClient, webhooks: Webhooks) -> None:
    plain = client.post(PATH, data=b"{}")
    with_token = client.post(PATH, data=b"{}", headers={"Authorization": "Bearer nonsense"})

    assert (plain.status_code, with_token.status_code) == (202, 202)
    assert len(webhooks()) == 2


def test_same_webhook_twice_is_filed_twice(client: FlaskClient, webhooks: Webhooks) -> None:
    body = webhook("mock_pi_1", event_id="evt_1")
    ids = {client.post(PATH, data=body).json["delivery_id"] for _ in range(2)}

    assert len(ids) == 2
    assert {row.body for row in webhooks()} == {body}


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_what_the_webhook_calls_itself_is_no_matter(client: FlaskClient, webhooks: Webhooks, content_type: str) -> None:
    body = webhook("mock_pi_1")

    assert client.post(PATH, data=body, content_type=content_type).status_code == 202
    assert webhooks()[0].body == body


def test_the_web_tier_holds_no_webhook_secret(client: FlaskClient) -> None:
    everything = json.dumps({name: repr(held) for name, held in client.application.extensions.items()})

    assert MOCK_SECRET not in everything
    assert client.application.extensions["providers"]["mock"]._secrets == []
