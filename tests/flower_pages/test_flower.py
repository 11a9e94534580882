"""Retry in Flower: its API and its pages, in front of a real worker and a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from celery import Celery
from playwright.sync_api import expect

from tests.conftest import ROOT, Servers, Sql
from tests.flower_pages import stack as station
from tests.flower_pages.browser import open_page
from tests.flower_pages.conftest import mend
from tests.flower_pages.page import CommandGroup
from tests.flower_pages.stack import FLOWER_USER, eventually
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook

SCREENSHOTS = ROOT / "docs" / "screenshots"


@pytest.fixture(scope="module")
def _running(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CommandGroup, CommandGroup]]:
    """A worker, a Flower, and one in read-only mode, for all tests here."""
    settings = station.environment(servers)
    shown = station.environment(servers, FLOWER_READ_ONLY="true")
    logs = tmp_path_factory.mktemp("flower")
    with (
        station.run(logs, settings, "worker", "flower"),
        station.run(tmp_path_factory.mktemp("shown"), shown, "flower"),
        closing(CommandGroup(settings)) as ui,
        closing(CommandGroup(shown)) as only_shown,
    ):
        yield ui, only_shown


@pytest.fixture
def ui(_running: tuple[CommandGroup, CommandGroup]) -> CommandGroup:
    return _running[0]


@pytest.fixture
def read_only_page(_running: tuple[CommandGroup, CommandGroup]) -> CommandGroup:
    return _running[1]


@pytest.fixture
def celery(servers: Servers) -> Iterator[Celery]:
    app = Celery(broker=servers.redis_url, set_as_current=False)
    app.conf.task_ignore_result = True
    yield app
    app.close()


@pytest.fixture
def failed_webhook(sql: Sql, celery: Celery, poison: str) -> UUID:
    """A webhook given up, whose task has failed once more for an operator; its payment is pending."""
    reference = insert_payment(sql)
    found = insert_webhook(
        sql, webhook(reference, event_id=f"{poison}_{reference}"), state="'failed'", attempts="12", processed_at="now()"
    )
    celery.send_task("webhooks.process", args=[str(found)], queue="webhooks")
    return found


def test_a_failed_task_is_retried_by_the_api(ui: CommandGroup, sql: Sql, failed_webhook: UUID) -> None:
    failed = ui.await_task(str(failed_webhook))
    mend(sql)

    answer = ui.retry(failed)

    assert answer.status_code == 200
    assert answer.json()["retry-of"] == failed
    new = answer.json()["task-id"]
    assert UUID(new) != UUID(failed)
    eventually(lambda: state_of(sql, failed_webhook) == "applied", within=60)
    eventually(lambda: ui.tasks().get(new, {}).get("state") == "SUCCESS", within=60)
    assert ui.retry(new).status_code == 409, "what succeeded is not retried"
    rows = [tuple(row) for row in sql("SELECT key::text, door, operator, action, subject FROM audit ORDER BY id")]
    assert rows == [
        (failed, "flower", "flower", "process", str(failed_webhook)),
        (new, "flower", FLOWER_USER[0], "process", str(failed_webhook)),
    ], "the message that failed, which named nobody, and the Retry of who was signed in"


def test_flowers_own_apply_replays_a_webhook_and_is_in_the_audit(
    ui: CommandGroup, sql: Sql, failed_webhook: UUID
) -> None:
    ui.await_task(str(failed_webhook))
    mend(sql)

    answer = ui.client.post("/api/task/async-apply/webhooks.process", json={"args": [str(failed_webhook)]})

    assert answer.status_code == 200
    eventually(lambda: state_of(sql, failed_webhook) == "applied", within=60)
    (row,) = sql("SELECT * FROM audit WHERE key = CAST(:key AS uuid)", key=answer.json()["task-id"])
    assert (row.door, row.operator, row.subject) == ("flower", "flower", str(failed_webhook))
    eventually(lambda: [run.state for run in sql("SELECT DISTINCT state FROM command_runs")] == ["done"], within=60)


def test_an_operator_retries_with_a_click(ui: CommandGroup, sql: Sql, failed_webhook: UUID, tmp_path: Path) -> None:
    failed = ui.await_task(str(failed_webhook))
    # The pictures in docs/ are taken again when that is asked for, so that a test leaves the checkout clean.
    pictures = SCREENSHOTS if "TAKE_SCREENSHOTS" in os.environ else tmp_path
    with open_page(user=FLOWER_USER[0], password=FLOWER_USER[1]) as page:
        page.goto(f"{ui.url}/task/{failed}")
        page.screenshot(path=pictures / "flower-retry.png")
        page.get_by_role("button", name="Retry").click()
        new = page.locator(".task-retry-note a").inner_text()
        eventually(lambda: ui.tasks().get(new, {}).get("state") == "FAILURE", within=60)
        assert state_of(sql, failed_webhook) == "failed", "the cause is still there"

        mend(sql)
        page.get_by_role("link", name="Failed", exact=True).click()
        row = page.locator("#failed-tasks tr", has_text=new[:8])
        expect(row).to_contain_text("nobody thought of this")
        page.screenshot(path=pictures / "flower-failed.png")
        row.get_by_role("button", name="Retry").click()
        expect(row.locator(".task-retry-note a")).to_be_visible()
        eventually(lambda: state_of(sql, failed_webhook) == "applied", within=60)
        last = row.locator(".task-retry-note a").inner_text()
        eventually(lambda: ui.tasks().get(last, {}).get("state") == "SUCCESS", within=60)
        page.goto(f"{ui.url}/task/{last}")
        expect(page.locator(".task-details-card")).to_contain_text("SUCCESS")
        assert page.get_by_role("button", name="Retry").count() == 0
    assert status_of(sql, _reference(sql)) == "paid"


def test_read_only_flower_shows_and_refuses(read_only_page: CommandGroup, sql: Sql, failed_webhook: UUID) -> None:
    failed = read_only_page.await_task(str(failed_webhook))
    mend(sql)
    assert read_only_page.retry(failed).status_code == 403
    for path in (f"/task/{failed}", "/failed"):
        page = read_only_page.client.get(path)
        assert page.status_code == 200
        assert "btn btn-primary task-retry" not in page.text
        assert "btn-sm btn-primary task-retry" not in page.text
    assert state_of(sql, failed_webhook) == "failed"


def test_a_stranger_is_refused(ui: CommandGroup, sql: Sql, failed_webhook: UUID) -> None:
    failed = ui.await_task(str(failed_webhook))
    mend(sql)
    path = f"{ui.url}/api/task/retry/{failed}"
    assert httpx.post(path, timeout=60).status_code == 401
    assert httpx.post(path, auth=("ops", "guessed"), timeout=60).status_code == 401
    assert httpx.get(f"{ui.url}/failed", timeout=60).status_code == 401
    assert state_of(sql, failed_webhook) == "failed"


def test_another_site_cannot_use_the_operators_browser(ui: CommandGroup, sql: Sql, failed_webhook: UUID) -> None:
    failed = ui.await_task(str(failed_webhook))
    mend(sql)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.test"}):
        assert ui.retry(failed, headers=headers).status_code == 403
    assert ui.client.get(f"/api/task/retry/{failed}").status_code == 405
    assert state_of(sql, failed_webhook) == "failed"


@pytest.mark.parametrize(
    ("arguments", "named", "words"),
    [
        (["{id}", "{id}"], {}, "not exactly one id"),
        ([], {}, "not exactly one id"),
        ([], {"delivery_id": "no id"}, "keyword arguments"),
        (["no-id-{id}"], {}, "not an id"),
        (["{id}".upper() + "X" * 4000], {}, "not an id"),
        ([["{id}"]], {}, "not exactly one id"),
    ],
)
def test_anything_but_exactly_one_id_is_refused(
    ui: CommandGroup, celery: Celery, arguments: list[object], named: dict[str, str], words: str
) -> None:
    delivery = str(uuid4())
    args = [argument.replace("{id}", delivery) if isinstance(argument, str) else [delivery] for argument in arguments]
    sent = celery.send_task("webhooks.process", args=args, kwargs=named, queue="webhooks").id
    eventually(lambda: ui.tasks().get(sent, {}).get("state") == "FAILURE", within=60)
    before = set(ui.tasks())

    answer = ui.retry(sent)

    assert answer.status_code == 422
    assert words in answer.text
    assert f'data-task-uuid="{sent}">Retry' not in ui.client.get(f"/task/{sent}").text
    assert set(ui.tasks()) == before


def test_an_unknown_task_is_not_found(ui: CommandGroup) -> None:
    assert ui.retry(str(uuid4())).status_code == 404
    assert ui.retry("%2e%2e").status_code == 404


def _reference(sql: Sql) -> str:
    ((reference,),) = sql("SELECT provider_ref FROM payments")
    return str(reference)


def test_the_page_of_workers_says_why_it_counts_nothing(ui: CommandGroup) -> None:
    workers, tasks = (ui.client.get(path).raise_for_status().text for path in ("/workers", "/tasks"))

    assert "<strong>Processed 0</strong> does not mean idle." in workers
    assert "does not mean idle" not in tasks
