"""What is served on the management port, and to whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from checkout_service.health.management import ManagementPages
from checkout_service.server.management import MANAGEMENT_KEY, Answer, Request
from checkout_service.server.wsgi_adapter import PROBES_KEY
from checkout_service.settings.secret import Secret
from tests.health.test_probes import wait_until
from tests.own_apps import MakeApp

TOKEN = "a-token-that-scrapers-know"


def pages(app: Flask) -> ManagementPages:
    made: ManagementPages = app.extensions[MANAGEMENT_KEY]
    return made


def answer(app: Flask, path: str, method: str = "GET", **headers: str) -> Answer:
    request = Request(method, path, {name.replace("_", "-"): value for name, value in headers.items()})
    return pages(app).answer(request) or pages(app).answer_in_time(request)


def problem(answered: Answer) -> dict[str, Any]:
    status, headers, body = answered
    shown: dict[str, Any] = json.loads(body)
    assert headers["Content-Type"] == "application/problem+json"
    assert (shown["status"], shown["request_id"]) == (status, headers["X-Request-Id"])
    return shown


def test_the_three_are_served(make_app: MakeApp) -> None:
    app = make_app()
    assert problem(answer(app, "/readyz"))["missing"] == ["checks"], "nobody has looked yet"
    app.extensions[PROBES_KEY].start(is_ending=lambda: False)
    wait_until(lambda: answer(app, "/readyz")[0] == 200)
    assert json.loads(answer(app, "/livez")[2]) == {"status": "alive"}
    status, headers, body = answer(app, "/metrics", x_request_id="abc")
    assert (status, headers["X-Request-Id"]) == (200, "abc")
    assert headers["Content-Type"].startswith("text/plain")
    assert b"checkout_database_up 1.0" in body
    assert b'http_requests_total{method="GET",route="/readyz",status="503"}' in body


@pytest.mark.parametrize("path", ["/", "/api/cart", "/readyz/", "/ops", ""])
def test_and_nothing_else(make_app: MakeApp, path: str) -> None:
    assert problem(answer(make_app(), path))["type"] == "/problems/not-found"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_they_are_only_read(make_app: MakeApp, path: str) -> None:
    answered = answer(make_app(), path, "POST")
    assert (problem(answered)["status"], answered[1]["Allow"]) == (405, "GET, HEAD")


def test_what_cannot_be_read_is_a_400(make_app: MakeApp) -> None:
    answered = pages(make_app()).answer(None)
    assert answered is not None
    assert problem(answered)["status"] == 400


def test_the_metrics_take_the_token_here_too(make_app: MakeApp) -> None:
    app = make_app(environment="production", metrics_token=Secret(TOKEN))
    answered = answer(app, "/metrics")
    assert (problem(answered)["status"], answered[1]["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert answer(app, "/metrics", authorization=f"Bearer {TOKEN}")[0] == 200
    assert problem(answer(make_app(environment="production"), "/metrics"))["status"] == 404
