"""The API's document says what captures and voids take, and every way in which one may be refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

CAPTURES = "/api/admin/payments/{payment_id}/captures"
VOID = "/api/admin/payments/{payment_id}/void"


@pytest.fixture
def paths(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/openapi.json").json["paths"]
    return found


def slugs(operation: dict[str, Any], status: str) -> set[str]:
    return set(operation["responses"][status]["content"]["application/problem+json"]["examples"])


def test_asking_for_a_capture(paths: dict[str, Any]) -> None:
    operation = paths[CAPTURES]["post"]

    assert "403" in operation["responses"]
    assert slugs(operation, "404") == {"not-found"}
    assert slugs(operation, "409") == {"not-capturable", "capture-too-large", "one-capture-only"}
    assert slugs(operation, "422") >= {"invalid", "idempotency-key-reused"}
    assert {"202", "401", "413", "415", "500"} <= operation["responses"].keys()
    assert (operation["security"], operation["x-scopes"]) == ([{"staff": []}], ["captures"])
    assert operation["responses"]["202"]["content"]["application/json"]["example"]["releases"] == "40.00"


def test_asking_for_a_void(paths: dict[str, Any]) -> None:
    operation = paths[VOID]["post"]

    assert slugs(operation, "409") == {"not-voidable"}
    assert "requestBody" not in operation
    assert [(each["name"], each["required"]) for each in operation["parameters"] if each["in"] == "header"] == [
        ("Idempotency-Key", True)
    ]


def test_reading_captures(paths: dict[str, Any]) -> None:
    operation = paths[CAPTURES]["get"]

    assert {"200", "304", "401", "403", "404"} <= operation["responses"].keys()
    assert (operation["security"], operation["x-scopes"]) == ([{"staff": []}], ["payments:read", "captures"])


@pytest.mark.parametrize("slug", ["not-capturable", "capture-too-large", "one-capture-only", "not-voidable"])
def test_every_problem_has_its_page(client: FlaskClient, slug: str) -> None:
    page = client.get(f"/problems/{slug}")
    assert page.status_code == 200
    assert page.json["status"] == 409
    assert page.json["detail"]
