"""Guessing at the console's passwords: slow for whoever guesses, and nobody else is kept out."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from checkout_service.identity.passwords import FREE
from checkout_service.settings.values import WebSettings
from tests.apps import MakeApp, make_app
from tests.console.conftest import BROWSER, basic, bearer, console_settings

__all__ = ["make_app"]  # fixtures

HERE, ELSEWHERE = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.2"}


def look(app: Flask, password: dict[str, str], environ: dict[str, Any], **headers: str) -> TestResponse:
    return app.test_client().get("/ops", headers={**password, **headers}, environ_overrides=environ)


def guess(app: Flask, environ: dict[str, Any], **headers: str) -> list[int]:
    return [look(app, basic(password="guessed"), environ, **headers).status_code for _ in range(FREE + 1)]


def test_after_five_wrong_passwords_the_next_is_not_looked_at(console_app: Flask) -> None:
    assert guess(console_app, HERE) == [401] * FREE + [429]

    paused = look(console_app, basic(), HERE)

    assert (paused.status_code, paused.headers["Retry-After"]) == (429, "1")
    assert paused.json["type"] == "/problems/too-many-wrong-passwords"
    assert "WWW-Authenticate" not in paused.headers
    page = look(console_app, basic(), HERE, **BROWSER)
    assert (page.status_code, page.content_type) == (429, "text/html; charset=utf-8")


def test_nobody_else_is_kept_out(console_app: Flask) -> None:
    guess(console_app, HERE)
    assert look(console_app, basic(), ELSEWHERE).status_code == 200
    assert look(console_app, bearer(scope="ops"), HERE).status_code == 200, "a token is no guess"
    assert look(console_app, {}, HERE).status_code == 401, "neither is nothing"


def test_one_who_has_a_whole_network_of_ipv6_is_one(console_app: Flask) -> None:
    for number in range(FREE):
        address = {"REMOTE_ADDR": f"2001:db8:1:2::{number}"}
        assert look(console_app, basic(password="guessed"), address).status_code == 401
    assert look(console_app, basic(), {"REMOTE_ADDR": "2001:db8:1:2:ffff::"}).status_code == 429
    assert look(console_app, basic(), {"REMOTE_ADDR": "2001:db8:1:3::"}).status_code == 200


def test_behind_a_proxy_that_nobody_named_all_would_be_one_so_none_is_paused(console_app: Flask) -> None:
    forwarded = {"X-Forwarded-For": "198.51.100.1"}
    assert set(guess(console_app, HERE, **forwarded)) == {401}
    assert look(console_app, basic(), HERE, **forwarded).status_code == 200


def test_behind_a_proxy_that_is_named_each_caller_is_one(make_app: MakeApp, settings: WebSettings) -> None:
    named = console_settings(settings, trusted_proxies=(ip_network("192.0.2.1/32"),))
    app = make_app(console=True, console_users=named.console_users, trusted_proxies=named.trusted_proxies)
    assert guess(app, HERE, **{"X-Forwarded-For": "203.0.113.9, 198.51.100.1"})[-1] == 429
    assert look(app, basic(), HERE, **{"X-Forwarded-For": "198.51.100.1"}).status_code == 429
    assert look(app, basic(), HERE, **{"X-Forwarded-For": "198.51.100.1, 198.51.100.2"}).status_code == 200
