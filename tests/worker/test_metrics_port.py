"""What a worker serves on its metrics port."""

from __future__ import annotations

import pytest

from checkout_service.server.management import Answer, Request
from checkout_service.settings.secret import Secret
from worker.process import WorkerPages

TOKEN = "a-token-that-scrapers-know"


def answer(pages: WorkerPages, path: str, method: str = "GET", **headers: str) -> Answer:
    request = Request(method, path, headers)
    return pages.answer(request) or pages.answer_in_time(request)


def test_the_metrics_are_open_unless_there_is_a_token() -> None:
    status, headers, body = answer(WorkerPages(None, process="worker"), "/metrics")
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    assert b"webhook_deliveries_total" in body

    pages = WorkerPages(Secret(TOKEN), process="worker")
    for wrong in ({}, {"authorization": "Bearer no"}, {"authorization": TOKEN}):
        status, headers, body = answer(pages, "/metrics", **wrong)
        assert (status, headers["WWW-Authenticate"], body) == (401, 'Bearer realm="metrics"', b"")
    assert answer(pages, "/metrics", authorization=f"Bearer {TOKEN}")[0] == 200
    assert answer(pages, "/livez")[0] == 200, "an orchestrator has no token"


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/metrics", "POST", 405)])
def test_nothing_else_is_served(path: str, method: str, status: int) -> None:
    assert answer(WorkerPages(None, process="worker"), path, method)[0] == status
    assert WorkerPages(None, process="worker").answer(None) == (400, {}, b"")
