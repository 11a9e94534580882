"""What the webhook receiver refuses: nothing is kept of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from checkout_service.providers.registry import provider_specs
from checkout_service.providers.spec import WebhookFormat
from checkout_service.telemetry import logs
from checkout_service.webhooks.routes import LARGEST_WEBHOOK
from tests.apps import MakeApp
from tests.webhook_bodies import webhook

PATH = "/api/payments/webhook"
Webhooks = Callable[[], list[Any]]


def sized(size: int) -> bytes:
    """A JSON object of exactly so many bytes."""
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


@pytest.mark.parametrize("chunked", [False, True])
def test_webhook_over_256_kib_is_refused(client: FlaskClient, webhooks: Webhooks, chunked: bool) -> None:
    answer = _send(client, sized(LARGEST_WEBHOOK + 1), chunked=chunked)

    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"
    assert webhooks() == []


def test_chunked_webhook_is_never_cut_off_at_the_limit(client: FlaskClient, webhooks: Webhooks) -> None:
    whole_at_the_limit = sized(LARGEST_WEBHOOK) + b" "

    assert _send(client, whole_at_the_limit, chunked=True).status_code == 413
    assert webhooks() == []


def test_chunked_webhook_is_kept_whole(client: FlaskClient, webhooks: Webhooks) -> None:
    body = sized(LARGEST_WEBHOOK)

    assert _send(client, body, chunked=True).status_code == 202
    assert webhooks()[0].body == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"not json",
        b"[]",
        b"null",
        b'"text"',
        b"7",
        b"{",
        b'{"a": 1} {"b": 2}',
        b'{"a": NaN}garbage',
        b'{"a": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b'\xef\xbb\xbf{"a": 1}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b"a=1&b=2",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_json_object_is_refused(client: FlaskClient, webhooks: Webhooks, body: bytes) -> None:
    answer = client.post(PATH, data=body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json["type"] == "/problems/malformed-body"
    assert webhooks() == []


def test_providers_with_forms_send_forms(
    client: FlaskClient, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = replace(provider_specs()["mollie"], name="former", webhooks=WebhookFormat(body="form"))
    monkeypatch.setitem(provider_specs(), "former", former)

    assert client.post(f"{PATH}/former", data=b"id=tr_1").status_code == 202
    assert client.post(f"{PATH}/former", data=b"").status_code == 400
    assert client.post(f"{PATH}/former", data=b"no form").status_code == 400
    assert [row.body for row in webhooks()] == [b"id=tr_1"]


def test_of_two_kinds_of_body_the_content_type_alone_tells_which_it_is(client: FlaskClient, webhooks: Webhooks) -> None:
    form, event = b"id=tr_7UhSN1zuXS", b'{"resource": "event", "id": "event_1=="}'
    taken = [
        (form, "application/x-www-form-urlencoded"),
        (form, "application/x-www-form-urlencoded; charset=utf-8"),
        (form, "APPLICATION/X-WWW-FORM-URLENCODED"),
        (form, None),
        (event, "application/json"),
        (event, "Application/Json; charset=UTF-8"),
        (event, "application/hal+json"),
    ]
    for body, content_type in taken:
        assert client.post(f"{PATH}/mollie", data=body, content_type=content_type).status_code == 202
    assert [(row.body, row.headers.get("content-type")) for row in webhooks()] == taken


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"id=tr_7UhSN1zuXS", "application/json"),
        (b"[]", "application/json"),
        (b'{"id": "tr_7UhSN1zuXS"}', "application/x-www-form-urlencoded"),
        (b'{"id": "tr_7UhSN1zuXS"}', None),
        *(
            (body, kind)
            for body in (b"id=tr_1", b'{"id": "="}')
            for kind in ("text/plain", "multipart/form-data", "*/*")
        ),
        *(
            (b'{"id": "="}', kind)
            for kind in ("application/json, application/json", "text/json", "json", "image/x+json")
        ),
    ],
)
def test_a_body_of_another_kind_than_its_content_type_says_is_refused(
    client: FlaskClient, webhooks: Webhooks, body: bytes, content_type: str | None
) -> None:
    answer = client.post(f"{PATH}/mollie", data=body, content_type=content_type)

    assert (answer.status_code, answer.json["type"]) == (400, "/problems/malformed-body")
    assert webhooks() == []


def test_two_signatures_are_kept_as_the_server_joins_them(client: FlaskClient, webhooks: Webhooks) -> None:
    sent = [("X-Mollie-Signature", "sha256=aa"), ("X-Mollie-Signature", "sha256=bb"), ("Cookie", "a=b")]
    answer = client.post(f"{PATH}/mollie", data=b"{}", headers=sent, content_type="application/json")

    assert answer.status_code == 202
    (row,) = webhooks()
    assert row.headers["x-mollie-signature"].split(",") in (["sha256=aa", "sha256=bb"], ["sha256=aa", " sha256=bb"])
    assert set(row.headers) == {"content-type", "x-mollie-signature", "x-request-id"}


def test_a_format_of_two_kinds_keeps_what_tells_them_apart() -> None:
    with pytest.raises(ValueError, match="content-type"):
        WebhookFormat(body="form", other_body="json")


@pytest.mark.parametrize("provider", ["unknown", "MOCK", "mock%2F", "mock/", "%00", "..", "mock\u2028"])
def test_unknown_provider_has_no_receiver(client: FlaskClient, webhooks: Webhooks, provider: str) -> None:
    answer = client.post(f"{PATH}/{provider}", data=b"{}")

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert webhooks() == []


def test_mock_has_no_receiver_in_production(make_app: MakeApp, webhooks: Webhooks) -> None:
    client = make_app(environment="production").test_client()
    try:
        answers = [client.post(path, data=webhook("mock_pi_1")) for path in (PATH, f"{PATH}/mock")]
    finally:
        logs.configure(production=False)

    assert [answer.status_code for answer in answers] == [404, 404]
    assert webhooks() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [PATH, f"{PATH}/mock"])
def test_receiver_takes_nothing_but_post(client: FlaskClient, webhooks: Webhooks, method: str, path: str) -> None:
    answer = client.open(path, method=method, data=b"{}")

    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.content_type == "application/problem+json"
    assert webhooks() == []


def _send(client: FlaskClient, body: bytes, *, chunked: bool) -> Any:
    if not chunked:
        return client.post(PATH, data=body)
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    return client.post(PATH, input_stream=io.BytesIO(body), environ_overrides=environ)


def test_headers_that_would_be_kept_are_bounded(client: FlaskClient, webhooks: Webhooks) -> None:
    """Bodies are what is counted of webhooks, so nothing else may be large."""

    def post(size: int) -> int:
        return client.post(f"{PATH}/standard", data=b"{}", headers={"Webhook-Signature": "v" * size}).status_code

    assert post(8 * 1024 + 1) == 413
    assert webhooks() == []
    assert post(8 * 1024) == 202
    assert client.post(f"{PATH}/standard", data=b"{}", headers={"X-Other": "v" * 20_000}).status_code == 202
