"""An app with the console, operators at it, a worker beside it, and webhooks to look at."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from checkout_service.app import create_app
from checkout_service.console.access import connect_passwords
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.conftest import JWT_SECRET, Sql

USER, PASSWORD = "mira", "a password for the console in tests"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

InWorker = Callable[..., Any]


def console_settings(settings: WebSettings, **changes: Any) -> WebSettings:
    users = {USER: Secret(PASSWORD), "jon": Secret("another password, for another one")}
    return replace(settings, console=True, console_users=users, flower_url="http://127.0.0.1:5555", **changes)


def basic(user: str = USER, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(**claims: Any) -> dict[str, str]:
    words = {"sub": str(uuid4()), "exp": datetime.now(UTC) + timedelta(hours=1)} | claims
    return {"Authorization": f"Bearer {jwt.encode(words, JWT_SECRET, 'HS256')}"}


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Somebody at the console, with a browser that reads forms before it sends them."""

    client: FlaskClient
    headers: Mapping[str, str] = field(default_factory=basic)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.client.get(path, headers={**BROWSER, **self.headers}, **kwargs)

    def post(self, path: str, data: Mapping[str, str], **kwargs: Any) -> TestResponse:
        return self.client.post(
            path, data=data, headers={**BROWSER, **self.headers, **kwargs.pop("headers", {})}, **kwargs
        )

    def form(self, page: str, action: str) -> dict[str, str]:
        """The hidden fields of the page's form that is sent to this address."""
        answer = self.get(page)
        assert answer.status_code == 200, answer.text
        found = re.search(rf'<form method="post" action="{re.escape(action)}">(.*?)</form>', answer.text, re.S)
        assert found, f"{page} has no form for {action}"
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', found[1]))

    def send(self, page: str, action: str, **more: str) -> TestResponse:
        """Fill the form in and send it."""
        return self.post(action, self.form(page, action) | more)


@pytest.fixture(scope="session")
def console_app(settings: WebSettings) -> Iterator[Flask]:
    app = create_app(console_settings(settings))
    app.testing = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    yield app
    close_app(app)


@pytest.fixture(autouse=True)
def no_guesses(console_app: Flask) -> None:
    """What one test guessed at passwords pauses no other."""
    connect_passwords(console_app, console_app.extensions["settings"])


@pytest.fixture
def operator(console_app: Flask) -> Operator:
    return Operator(client=console_app.test_client())


@pytest.fixture
def in_worker(worker_app: Flask) -> InWorker:
    """``in_worker(task, …)`` runs a task as a worker does."""

    def run(task: Callable[..., Any], *arguments: Any) -> Any:
        with worker_app.app_context():
            return task(*arguments)

    return run


def file_webhooks(sql: Sql, count: int, **columns: Any) -> list[UUID]:
    """Webhooks a second apart, newest first, with keys of their times; columns as SQL literals."""
    columns = {"body": "convert_to('{}', 'UTF8')", "provider": "'mock'", **columns}
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    rows = sql(
        f"""INSERT INTO webhook_deliveries (id, received_at{names})
        SELECT uuidv7(-number * interval '1 second'), now() - number * interval '1 second'{values}
        FROM generate_series(1, {count}) AS number ORDER BY number RETURNING id"""
    )
    return [row.id for row in rows]


def webhooks_on(page: TestResponse) -> list[UUID]:
    """The webhooks that a list shows, in its order."""
    assert page.status_code == 200, page.text
    return [UUID(found) for found in re.findall(r'<td><a href="/ops/webhooks/([0-9a-f-]{36})">', page.text)]


def link(page: TestResponse, rel: str) -> str | None:
    found = re.search(rf'href="([^"]+)" rel="{rel}"', page.text)
    return found[1].replace("&amp;", "&") if found else None
