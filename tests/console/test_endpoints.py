"""Webhook endpoints at the console: what became of the events there, and what operators can do about it."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest
from flask import Flask

from tests.conftest import Sql
from tests.console.conftest import Operator, link
from tests.endpoints.conftest import WriteAttempt, WritePending, attempt, pending
from tests.events.rows import insert_event

__all__ = ["attempt", "pending"]  # fixtures

HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def endpoint(sql: Sql) -> str:
    """An endpoint that gets all types, with hostile words, behind three events."""
    for _ in range(3):
        insert_event(sql)
    (row,) = sql(
        "INSERT INTO webhook_endpoints (url, description) VALUES ('https://shop.example.com/x', :text) RETURNING id",
        text=HOSTILE,
    )
    return str(row.id)


def path(endpoint: str, *more: str) -> str:
    return "/".join(("/ops/endpoints", endpoint, *more))


def test_the_list_and_the_page_show_strangers_words_as_text(
    operator: Operator, endpoint: str, sql: Sql, pending: WritePending, attempt: WriteAttempt
) -> None:
    event = pending(endpoint)
    attempt(endpoint, event, status=503, answer=b"</pre><b>down</b>\x1b[2J")
    taken = uuid4()
    attempt(endpoint, taken, status=200)
    listed = operator.get("/ops/endpoints").text
    shown = operator.get(path(endpoint)).text

    assert f'href="{path(endpoint)}"' in listed
    for text in (listed, shown):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in text
    assert "&lt;/pre&gt;&lt;b&gt;down&lt;/b&gt;\\u001b[2J" in shown
    assert str(event) in shown
    assert str(taken) in shown
    assert str(taken) not in operator.get(f"{path(endpoint)}?state=waiting").text
    assert operator.get(path(str(uuid4()))).status_code == 404


def test_pages_of_deliveries_go_on(operator: Operator, endpoint: str, pending: WritePending) -> None:
    events = [pending(endpoint, seq=number) for number in range(30)]
    first = operator.get(f"{path(endpoint)}?state=waiting")
    older = link(first, "next")
    assert older is not None
    second = operator.get(older)
    seen = [UUID(found) for page in (first, second) for found in re.findall(r"event <code>([0-9a-f-]{36})", page.text)]
    assert seen == events[::-1]
    assert link(second, "next") is None


def test_a_form_that_is_sent_twice_is_one_command(operator: Operator, endpoint: str, sql: Sql) -> None:
    form = operator.form(path(endpoint), path(endpoint, "test"))
    for _ in range(2):
        answer = operator.post(path(endpoint, "test"), form)
        assert (answer.status_code, answer.headers["Location"]) == (303, path(endpoint))
    assert sql("SELECT count(*) AS n FROM pending_deliveries WHERE type = 'webhook_endpoint.test'")[0].n == 1
    (row,) = sql("SELECT action, door, operator, subject FROM audit")
    assert tuple(row) == ("test_endpoint", "console", "mira", endpoint)


def test_nothing_is_done_without_the_forms_token(operator: Operator, endpoint: str, sql: Sql) -> None:
    for action in ("test", "enable", "disable", "replay"):
        answer = operator.post(path(endpoint, action), {"key": str(uuid4()), "why": "because", "since": "2h"})
        assert answer.status_code == 403, action
    assert sql("SELECT count(*) AS n FROM audit")[0].n == 0
    assert sql("SELECT state::text AS state FROM webhook_endpoints")[0].state == "enabled"


def test_it_is_disabled_with_a_note_and_enabled_again(operator: Operator, endpoint: str, sql: Sql) -> None:
    page = path(endpoint, "disable")
    assert operator.send(page, page).status_code == 400, "a note is needed"
    assert operator.send(page, page, why="the host moves").status_code == 303
    assert "somebody disabled it" in operator.get(path(endpoint)).text
    assert operator.get(path(endpoint, "replay")).text.count("Enable it first") == 1
    assert operator.send(path(endpoint), path(endpoint, "enable")).status_code == 303
    assert sql("SELECT state::text AS state FROM webhook_endpoints")[0].state == "enabled"
    rows = sql("SELECT action, why, details FROM audit ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("change_endpoint", "the host moves", {"state": "disabled"}),
        ("change_endpoint", "", {"state": "enabled"}),
    ]
    assert "change a webhook endpoint" in operator.get("/ops/audit").text


def test_a_replay_is_counted_before_it_is_commanded_and_can_be_stopped(
    operator: Operator, endpoint: str, sql: Sql
) -> None:
    page = path(endpoint, "replay")
    assert "would be sent" not in operator.get(page).text
    assert "Write 90s" in operator.get(f"{page}?since=soon").text
    assert "No event matches" in operator.get(f"{page}?since=2h&type=refund.failed").text
    counted = f"{page}?since=2h&type=payment.paid"
    assert "<strong>3</strong> events since" in operator.get(counted).text
    assert sql("SELECT count(*) AS n FROM event_replays")[0].n == 0

    assert operator.send(counted, page).status_code == 400, "a note is needed"
    assert operator.send(counted, page, why="it lost its database").status_code == 303
    (replay,) = sql("SELECT id, types, events, requested_by FROM event_replays")
    assert (replay.types, replay.events, replay.requested_by) == (["payment.paid"], 3, "mira")
    stop = path(endpoint, "replays", str(replay.id), "stop")
    assert operator.send(path(endpoint), stop).status_code == 303
    assert sql("SELECT stop_requested_at FROM event_replays")[0].stop_requested_at
    audit = operator.get("/ops/audit").text
    assert "replay events" in audit
    assert "it lost its database" in audit


def test_only_operators_come_in(console_app: Flask, endpoint: str) -> None:
    for address in ("/ops/endpoints", path(endpoint), path(endpoint, "disable"), path(endpoint, "replay")):
        assert console_app.test_client().get(address).status_code == 401
