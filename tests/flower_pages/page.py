"""An operator at Flower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from tests.flower_pages.stack import FLOWER_USER, eventually


class CommandGroup:
    """Flower's API, signed in."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.url = f"http://127.0.0.1:{settings['FLOWER_PORT']}"
        self.client = httpx.Client(base_url=self.url, auth=FLOWER_USER, timeout=30)

    def tasks(self, *, state: str | None = None) -> dict[str, dict[str, Any]]:
        """The tasks that Flower has seen, by id."""
        answer = self.client.get("/api/tasks", params={"state": state} if state else {})
        return dict(answer.raise_for_status().json())

    def await_task(self, argument: str, *, state: str = "FAILURE") -> str:
        """The id of the task in that state whose arguments contain this."""

        def found() -> str | None:
            ids = [key for key, task in self.tasks(state=state).items() if argument in str(task["args"])]
            return ids[0] if ids else None

        return str(eventually(found))

    def retry(self, task_id: str, **options: Any) -> httpx.Response:
        return self.client.post(f"/api/task/retry/{task_id}", **options)

    def close(self) -> None:
        self.client.close()
