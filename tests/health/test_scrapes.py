"""Who may read /metrics."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from checkout_service.database.engine import db
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings
from checkout_service.telemetry import metrics
from tests.own_apps import MakeApp

TOKEN = "a-token-that-scrapers-know"


@pytest.mark.parametrize("environment", ["development", "test", "production"])
def test_with_the_token_set_it_takes_the_token(make_app: MakeApp, environment: str) -> None:
    client = make_app(environment=environment, metrics_token=Secret(TOKEN)).test_client()
    for wrong in (None, TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"):
        answer = client.get("/metrics", headers={"Authorization": wrong} if wrong is not None else {})
        assert answer.status_code == 401, wrong
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="metrics"'
        assert answer.json["type"] == "/problems/unauthorized"
        assert TOKEN not in answer.text
        assert "http_requests" not in answer.text
    for right in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN} "):
        answer = client.get("/metrics", headers={"Authorization": right})
        assert answer.status_code == 200
        assert "checkout_sessions_total" in answer.text
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_wrong_token_beyond_ascii_is_a_wrong_token(make_app: MakeApp) -> None:
    client = make_app(metrics_token=Secret(TOKEN)).test_client()
    assert client.get("/metrics", headers={"Authorization": "Bearer ÄÖÜ"}).status_code == 401


@pytest.mark.parametrize(("environment", "status"), [("development", 200), ("test", 200), ("production", 404)])
def test_without_one_it_is_open_but_in_production_nothing(make_app: MakeApp, environment: str, status: int) -> None:
    client = make_app(environment=environment).test_client()
    for headers in ({}, {"Authorization": "Bearer anything"}):
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == status
        assert ("http_requests_total" in answer.text) == (status == 200)


def test_with_every_slot_at_the_database_there_is_a_connection_to_look_and_one_to_scrape(make_app: MakeApp) -> None:
    """On the management port they are asked for in no slot; who found none would open the breaker for everybody."""
    app = make_app()
    settings: WebSettings = app.extensions["settings"]
    with app.app_context(), ExitStack() as slots:
        for _ in range(settings.web_threads + 1):
            slots.enter_context(db.engine.connect())
        assert b"checkout_database_up 1.0" in app.extensions["scrapes"].page(None)


def test_probes_need_no_token(make_app: MakeApp) -> None:
    client = make_app(environment="production", metrics_token=Secret(TOKEN)).test_client()
    assert [client.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]


def test_while_the_first_page_is_made_others_are_refused_at_once(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    begun, goes_on = threading.Event(), threading.Event()

    def slow(*_: object) -> bytes:
        begun.set()
        assert goes_on.wait(30)
        return b"all of it"

    monkeypatch.setattr(metrics, "expose", slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(lambda: app.test_client().get("/metrics"))
        assert begun.wait(30)
        other = app.test_client().get("/metrics")
        goes_on.set()
        assert first.result().text == "all of it"
    assert (other.status_code, other.json["type"]) == (503, "/problems/too-many-waiting")
    assert int(other.headers["Retry-After"]) >= 1
    assert app.test_client().get("/metrics").text == "all of it"
