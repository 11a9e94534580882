"""Who may come in, and that nobody else may: every route below /ops, whatever is sent along."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import count
from uuid import uuid4

import pytest
from flask import Flask

from checkout_service.api.callers import how_known, is_public
from checkout_service.console.access import identify
from checkout_service.providers.registry import account_forms
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import SettingsError, WebSettings
from tests.apps import MakeApp, make_app
from tests.conftest import Sql
from tests.console.conftest import BROWSER, PASSWORD, USER, Operator, basic, bearer
from tests.webhook_bodies import insert_webhook

__all__ = ["make_app"]  # fixtures


def routes(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Each endpoint below /ops with a method and a path that leads to it."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/ops"):
            values = {name: str(uuid4()) for name in rule.arguments}
            path = rule.build(values)[1] if values else rule.rule  # type: ignore[index]
            for method in sorted(rule.methods & {"GET", "POST"}):  # type: ignore[operator]
                yield rule.endpoint, method, path


def test_no_route_of_the_console_is_open(console_app: Flask) -> None:
    found = list(routes(console_app))
    assert len(found) >= 15
    client, numbers = console_app.test_client(), count(int(ip_address("192.0.2.1")))
    for endpoint, method, path in found:
        assert not is_public(console_app, endpoint)
        assert how_known(console_app, endpoint) is identify, endpoint
        for headers in ({}, basic(password="guessed"), basic(user="nobody"), {"Authorization": "Basic !!!"}):
            # Each from another address: guessing from one is paused.
            elsewhere = {"REMOTE_ADDR": str(ip_address(next(numbers)))}
            answer = client.open(path, method=method, headers=headers, environ_overrides=elsewhere)
            assert answer.status_code == 401, (path, headers)
            assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_a_password_or_the_scope_lets_in(operator: Operator, servers: object) -> None:
    assert operator.get("/ops").status_code == 200
    for scope in ("ops", "openid ops email"):
        page = operator.client.get("/ops", headers={**BROWSER, **bearer(scope=scope)})
        assert page.status_code == 200
        assert "user " in page.text


@pytest.mark.parametrize("claims", [{}, {"scope": ""}, {"scope": "OPS"}, {"scope": "opsx"}, {"scope": ["ops"]}])
def test_a_token_without_the_scope_is_refused(operator: Operator, claims: dict[str, object]) -> None:
    answer = operator.client.get("/ops", headers=bearer(**claims))

    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert answer.json["type"] == "/problems/console-scope"


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer ",
        "Bearer nonsense",
        f"Basic {base64.b64encode(f'{USER}:'.encode()).decode()}",
        f"Basic {base64.b64encode(f'{USER}:{PASSWORD} '.encode()).decode()}",
        f"Basic {base64.b64encode(f':{PASSWORD}'.encode()).decode()}",
        f"Basic {base64.b64encode(USER.encode()).decode()}",
        f"Basic {base64.b64encode(bytes(range(128, 256))).decode()}",
        "Digest username=mira",
        "\x7f",
    ],
)
def test_whatever_else_is_sent_is_answered_401(operator: Operator, authorization: str) -> None:
    assert operator.client.get("/ops", headers={"Authorization": authorization}).status_code == 401


def test_an_expired_token_with_the_scope_is_refused(operator: Operator) -> None:
    assert operator.client.get("/ops", headers=bearer(scope="ops", exp=1)).status_code == 401


def test_a_customer_of_the_console_is_none_of_the_api(operator: Operator) -> None:
    assert operator.client.get("/api/cart", headers=basic()).status_code == 401


def test_without_passwords_a_browser_is_not_prompted_for_one(make_app: MakeApp) -> None:
    app = make_app(console=True)
    answer = app.test_client().get("/ops")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert app.test_client().get("/ops", headers=basic()).status_code == 401
    assert app.test_client().get("/ops", headers=bearer(scope="ops")).status_code == 200


def test_a_console_that_is_off_is_not_there(app: Flask) -> None:
    for headers in ({}, basic(), bearer(scope="ops")):
        assert app.test_client().get("/ops", headers=headers).status_code == 404


def test_people_who_are_refused_get_a_page(operator: Operator) -> None:
    page = operator.client.get("/ops", headers=BROWSER)
    assert page.content_type == "text/html; charset=utf-8"
    assert "The console needs a user and password" in page.text


def test_the_pages_headers_let_nothing_in(operator: Operator, sql: Sql) -> None:
    webhook = insert_webhook(sql, b"{}")
    for path in ("/ops", "/ops/webhooks", f"/ops/webhooks/{webhook}", "/ops/payments", "/ops/audit"):
        headers = operator.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
    body = operator.get(f"/ops/webhooks/{webhook}/body")
    assert body.headers["Content-Type"] == "application/octet-stream"
    assert body.headers["Content-Disposition"].startswith("attachment;")
    assert body.headers["Content-Security-Policy"].startswith("sandbox;")
    assert body.headers["X-Content-Type-Options"] == "nosniff"


ENVIRONMENT = {
    "DATABASE_URL": "postgresql://web@127.0.0.1/shop",
    "REDIS_URL": "redis://127.0.0.1",
    "JWT_SECRET": "x" * 40,
    "PAYMENT_NAMESPACE": "6f1d6c52-9b7e-5c1e-8f43-3d6b8a8c2a11",
}


def read(monkeypatch: pytest.MonkeyPatch, **given: str) -> WebSettings:
    for name in ("CONSOLE", "CONSOLE_BASIC_AUTH", "PAGES", "PAGES_SECRET", "JWT_JWKS_URL", "ENVIRONMENT", "FLOWER_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (ENVIRONMENT | given).items():
        monkeypatch.setenv(name, value)
    return WebSettings.from_environment(account_forms())


def test_the_console_is_on_where_somebody_can_come_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read(monkeypatch).console
    assert read(monkeypatch, CONSOLE="on").console
    assert not read(monkeypatch, CONSOLE="off", CONSOLE_BASIC_AUTH="ops:secret").console
    found = read(monkeypatch, CONSOLE_BASIC_AUTH="ops:a:b, jon:c", FLOWER_URL="https://flower.example.com/")
    assert found.console
    assert found.console_users == {"ops": Secret("a:b"), "jon": Secret("c")}
    assert found.flower_url == "https://flower.example.com"
    assert "a:b" not in repr(found)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"CONSOLE_BASIC_AUTH": "ops"}, "^CONSOLE_BASIC_AUTH: has no colon: set it to user:password"),
        ({"CONSOLE_BASIC_AUTH": ":secret"}, "^CONSOLE_BASIC_AUTH: has no user: set it to user:password"),
        ({"CONSOLE_BASIC_AUTH": "ops:short", "ENVIRONMENT": "production"}, "too weak in production"),
        (
            {"CONSOLE": "on", "JWT_SECRET": "", "JWT_JWKS_URL": "https://issuer.example.com/keys"},
            "PAGES_SECRET: the console signs its forms",
        ),
    ],
)
def test_settings_that_are_wrong_or_weak_are_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], fault: str
) -> None:
    with pytest.raises(SettingsError, match=fault):
        read(monkeypatch, **given)
