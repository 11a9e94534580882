"""An app that can keep secrets, staff who may change endpoints, and rows as the sender writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from checkout_service.settings.secret import Secret
from tests.conftest import WEBHOOK_SECRETS_KEY, Customer, Sql
from tests.own_apps import signed

PATH = "/api/admin/webhook-endpoints"
URL = "https://shop.example.com/webhooks"
KEYS = (Secret(WEBHOOK_SECRETS_KEY),)


@dataclass(frozen=True, kw_only=True)
class Staff:
    """Somebody with the scope ``webhooks:write``."""

    by: Customer

    def make(self, **fields: Any) -> dict[str, Any]:
        """A new endpoint, with its secret."""
        answer = self.post("", json={"url": URL} | fields)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json
        return made

    def get(self, path: object, **kwargs: Any) -> TestResponse:
        return self.by.get(_path(path), **kwargs)

    def post(self, path: object, **kwargs: Any) -> TestResponse:
        return self.by.post(_path(path), **kwargs)

    def patch(self, path: object, **fields: Any) -> TestResponse:
        return self.by.patch(_path(path), json=fields)

    def delete(self, path: object) -> TestResponse:
        return self.by.delete(_path(path))


def _path(path: object) -> str:
    return f"{PATH}/{path}" if path and not str(path).startswith("?") else f"{PATH}{path}"


@pytest.fixture
def staff(app: Flask) -> Staff:
    return Staff(by=Customer(id=uuid4(), headers=signed(scope="webhooks:write"), client=app.test_client()))


WritePending = Callable[..., UUID]


@pytest.fixture
def pending(sql: Sql) -> WritePending:
    """A delivery that waits or failed, as the sender leaves it."""

    def write(
        endpoint: str, *, event: UUID | None = None, seq: int = 1, state: str = "waiting", **columns: Any
    ) -> UUID:
        event = event or uuid4()
        lane = columns.pop("lane", uuid4())
        in_seconds = columns.pop("in_seconds", 300)
        sql(
            """INSERT INTO pending_deliveries (endpoint_id, event_id, seq, type, lane, state, attempts, next_attempt_at)
            VALUES (:endpoint, :event, :seq, :type, :lane, :state, 1,
                CASE WHEN :state = 'waiting' THEN now() + make_interval(secs => :in_seconds) END)""",
            endpoint=endpoint,
            event=event,
            seq=seq,
            type=columns.get("type", "payment.paid"),
            lane=lane,
            state=state,
            in_seconds=in_seconds,
        )
        return event

    return write


WriteAttempt = Callable[..., None]


@pytest.fixture
def attempt(sql: Sql) -> WriteAttempt:
    """An attempt, as the sender writes it down."""

    def write(
        endpoint: str, event: UUID, *, status: int | None = 500, answer: bytes | None = None, **columns: Any
    ) -> None:
        sql(
            """INSERT INTO event_attempts (endpoint_id, event_id, type, seq, attempt, succeeded, status, error,
                answer, duration_ms) VALUES (:endpoint, :event, :type, 1, :attempt, :succeeded, :status, :error,
                :answer, 41)""",
            endpoint=endpoint,
            event=event,
            type=columns.get("type", "payment.paid"),
            attempt=columns.get("attempt", 1),
            succeeded=status is not None and 200 <= status < 300,
            status=status,
            error=None if status else "timeout",
            answer=answer,
        )

    return write
