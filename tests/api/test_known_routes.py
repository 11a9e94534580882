"""A route that is remembered answers as one that is matched, whatever the request's head is."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from checkout_service.api.known_routes import MOST_HOSTS, KnownRoute, KnownRoutes
from checkout_service.api.synchronous_flask import SynchronousFlask
from checkout_service.providers.registry import provider_specs

WEBHOOKS = "/api/payments/webhook"


@pytest.fixture
def quick(app: Flask) -> SynchronousFlask:
    assert isinstance(app, SynchronousFlask)
    return app


def found(app: Flask, path: str, **environ: Any) -> tuple[Any, ...]:
    """What the request's route is, with its arguments; or the status that it is refused with."""
    method = environ.pop("method", "POST")
    with app.test_request_context(path, method=method, environ_overrides=environ) as context:
        refusal = context.request.routing_exception
        if isinstance(refusal, HTTPException):
            return (refusal.code,)
        return str(context.request.url_rule), context.request.view_args


def is_remembered(app: Flask, path: str, **environ: Any) -> bool:
    with app.test_request_context(path, method="POST", environ_overrides=environ) as context:
        return isinstance(context.url_adapter, KnownRoute)


@pytest.mark.parametrize("path", [WEBHOOKS, *(f"{WEBHOOKS}/{name}" for name in provider_specs())])
def test_webhooks_of_every_provider_are_remembered(quick: SynchronousFlask, path: str) -> None:
    assert is_remembered(quick, path)
    assert found(quick, path)[1] == {"provider": path.removeprefix(WEBHOOKS).strip("/") or "mock"}


@pytest.mark.parametrize(
    "request_of",
    [
        {"path": WEBHOOKS},
        {"path": f"{WEBHOOKS}/mock"},
        {"path": f"{WEBHOOKS}/nobody"},
        {"path": f"{WEBHOOKS}/mock/"},
        {"path": "/api/checkout/session"},
        {"path": WEBHOOKS, "method": "GET"},
        {"path": WEBHOOKS, "method": "OPTIONS"},
        {"path": WEBHOOKS, "HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "upgrade"},
        {"path": WEBHOOKS, "SCRIPT_NAME": "/shop"},
        {"path": WEBHOOKS, "HTTP_HOST": "a..b"},
        {"path": WEBHOOKS, "HTTP_HOST": "x" * 70 + ".example"},
        {"path": WEBHOOKS, "HTTP_HOST": "[::1]:80"},
        {"path": WEBHOOKS, "HTTP_HOST": "shop.example:99999999"},
        {"path": WEBHOOKS, "HTTP_HOST": ""},
    ],
)
def test_it_is_found_as_by_matching(
    quick: SynchronousFlask, monkeypatch: pytest.MonkeyPatch, request_of: dict[str, Any]
) -> None:
    remembered = [found(quick, **request_of) for _ in range(2)]
    monkeypatch.setattr(quick, "known_routes", None)
    assert remembered == [found(quick, **request_of)] * 2


def test_an_address_can_be_made_where_the_route_was_remembered(quick: SynchronousFlask) -> None:
    with quick.test_request_context(WEBHOOKS, method="POST"):
        assert quick.url_for("problems.show_kind", slug="not-found") == "/problems/not-found"


def test_many_hosts_take_no_more_memory_than_a_few(quick: SynchronousFlask) -> None:
    routes = KnownRoutes(quick, [WEBHOOKS])
    for number in range(10 * MOST_HOSTS):
        with quick.test_request_context(WEBHOOKS, method="POST", base_url=f"http://host-{number}") as context:
            assert routes.find(context.request, lambda: None) is not None
    assert routes._match.cache_info().currsize == MOST_HOSTS
