"""What an operator sees in Flower when a webhook fails for good, and how it is run again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.conftest import Town, eventually


@pytest.mark.parametrize("way", ["async-apply", "send-task"])
def test_a_failed_webhook_is_listed_with_its_id_and_runs_again_to_success(town: Town, way: str) -> None:
    opened = town.open_session()
    town.sql("REVOKE UPDATE ON payments FROM checkout_worker")
    try:
        webhook = town.report(opened)
        failure = eventually(lambda: _failures(town, webhook))[0]
    finally:
        town.sql("GRANT UPDATE ON payments TO checkout_worker")
    assert failure["name"] == "webhooks.process"
    assert failure["args"] == f"('{webhook}',)"
    assert town.sql("SELECT state, attempts FROM webhook_deliveries WHERE id = %s", webhook) == [("failed", 2)]
    assert town.status(opened) == "pending"

    answer = town.flower.post(f"/api/task/{way}/webhooks.process", json={"args": [webhook]})

    assert answer.status_code == 200, answer.text
    eventually(lambda: town.status(opened) == "paid")
    again = answer.json()["task-id"]
    eventually(lambda: town.flower.get(f"/api/task/info/{again}").json()["state"] == "SUCCESS")


def test_flower_is_closed_without_its_password(town: Town) -> None:
    stranger = town.flower.get("/api/tasks", auth=("ops", "guess"))

    assert stranger.status_code == 401


def _failures(town: Town, webhook: str) -> list[dict[str, Any]]:
    tasks = town.flower.get("/api/tasks", params={"state": "FAILURE", "limit": 1000}).json()
    return [task for task in tasks.values() if webhook in task["args"]]
