"""What the tests of the web tier's edge begin with: tokens of every kind, apps of their own, servers that misbehave."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from checkout_service.api.callers import public
from checkout_service.app import create_app
from checkout_service.settings.values import WebSettings
from checkout_service.telemetry import logs
from tests.apps import close_app

MakeApp = Callable[..., Flask]
Headers = dict[str, str]

SECRET = "a secret that is known to the tests alone"


def claims(**changes: Any) -> dict[str, Any]:
    """A token's claims, valid as they are; a change to None leaves one out."""
    chosen = {"sub": str(uuid4()), "exp": datetime.now(UTC) + timedelta(hours=1)} | changes
    return {name: value for name, value in chosen.items() if value is not None}


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def signed(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> Headers:
    """The header of a token signed with our secret."""
    return bearer(jwt.encode(claims(**changes), secret, algorithm))


def handmade(header: Any, payload: Any, secret: str = SECRET) -> str:
    """A token that no library would write, signed all the same."""

    def part(value: Any) -> bytes:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    text = part(header) + b"." + part(payload)
    signature = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def payload(**changes: Any) -> dict[str, Any]:
    return {"sub": str(uuid4()), "exp": int(time.time()) + 3600} | changes


@pytest.fixture
def make_app(settings: WebSettings) -> Iterator[MakeApp]:
    """An app of the test's own, with settings changed and views that a test needs: one that fails, one that is open."""
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        app = create_app(replace(settings, **changes))

        @app.get("/test/private")
        def private() -> Response:
            return Response("private")

        @app.get("/test/public")
        @public
        def open_to_all() -> Response:
            return Response("public")

        @app.get("/test/failing")
        @public
        def failing() -> Response:
            raise RuntimeError("the inside: postgresql://checkout_web:hunter2@db.example.test/shop")

        made.append(app)
        return app

    yield make
    for app in made:
        close_app(app)
    logs.configure(production=False)


@pytest.fixture
def own_client(make_app: MakeApp) -> FlaskClient:
    return make_app().test_client()


@contextmanager
def frozen_server() -> Iterator[int]:
    """A port that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


@pytest.fixture
def frozen_port() -> Iterator[int]:
    with frozen_server() as port:
        yield port
