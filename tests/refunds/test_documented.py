"""The API's document says what a refund takes, and every way in which one may be refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

REFUNDS = "/api/payments/{payment_id}/refunds"


@pytest.fixture
def paths(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/openapi.json").json["paths"]
    return found


def slugs(operation: dict[str, Any], status: str) -> set[str]:
    return set(operation["responses"][status]["content"]["application/problem+json"]["examples"])


def test_asking_for_a_refund(paths: dict[str, Any]) -> None:
    operation = paths[REFUNDS]["post"]

    assert slugs(operation, "400") >= {"missing-idempotency-key", "malformed-idempotency-key", "malformed-body"}
    assert "403" in operation["responses"]
    assert slugs(operation, "404") == {"not-found"}
    assert slugs(operation, "409") == {
        *("not-refundable", "nothing-left-to-refund", "refund-too-large", "refund-lines-too-large")
    }
    assert slugs(operation, "422") >= {"invalid", "idempotency-key-reused"}
    assert {"database-unavailable", "still-in-progress"} <= slugs(operation, "503")
    assert {"202", "401", "413", "415", "500"} <= operation["responses"].keys()
    assert [(each["name"], each["required"]) for each in operation["parameters"] if each["in"] == "header"] == [
        ("Idempotency-Key", True)
    ]
    assert (operation["security"], operation["x-scopes"]) == ([{"staff": []}], ["refunds"])
    assert operation["responses"]["202"]["content"]["application/json"]["example"]["status"] == "requested"


def test_reading_refunds_and_calling_a_payment_off(paths: dict[str, Any]) -> None:
    listing, canceling = paths[REFUNDS]["get"], paths["/api/payments/{payment_id}/cancel"]["post"]

    assert {"200", "304", "401", "404"} <= listing["responses"].keys()
    assert slugs(canceling, "409") == {"no-longer-open"}
    assert slugs(canceling, "404") == {"not-found"}
    assert canceling["responses"]["202"]["content"]["application/json"]["example"]["status"] == "pending"
    assert "requestBody" not in canceling


@pytest.mark.parametrize(
    "slug",
    ["insufficient-scope", "not-refundable", "nothing-left-to-refund", "refund-too-large", "no-longer-open"],
)
def test_every_problem_has_its_page(client: FlaskClient, slug: str) -> None:
    page = client.get(f"/problems/{slug}")
    assert page.status_code == 200
    assert page.json["status"] in {403, 409}
    assert page.json["detail"]
