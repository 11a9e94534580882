"""What came of each attempt at a webhook: written with its result, bounded, and not at all where one was enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from checkout_service.webhooks.queries import WebhookAttempt, find_webhook
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, post_webhook, state_of, webhook
from worker.webhooks.attempts import LONGEST, MOST
from worker.webhooks.task import process

pytestmark = pytest.mark.usefixtures("worker")


def _log(sql: Sql, delivery: UUID) -> Any:
    return sql("SELECT attempt_log FROM webhook_deliveries WHERE id = :id", id=delivery)[0].attempt_log


def _due(sql: Sql) -> None:
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")


def _attempts(delivery: UUID) -> list[WebhookAttempt]:
    found = find_webhook(delivery)
    assert found is not None
    return list(found.attempt_log)


def test_one_that_came_to_its_end_at_once_has_no_log_and_one_attempt(client: FlaskClient, sql: Sql) -> None:
    delivery = post_webhook(client, webhook(insert_payment(sql), event_id="evt_1"))
    rejected = insert_webhook(sql, webhook(insert_payment(sql), secret="a guess"))
    assert _attempts(delivery) == []
    process(str(delivery))

    assert _log(sql, delivery) is None
    assert _log(sql, rejected) is None
    (attempt,) = _attempts(delivery)
    row = sql("SELECT processed_at FROM webhook_deliveries WHERE id = :id", id=delivery)[0]
    assert (attempt.at, attempt.state, attempt.detail) == (row.processed_at, "applied", None)
    assert _attempts(rejected)[0].detail == "the signature is not ours"


def test_each_attempt_that_failed_is_written_down_with_its_time_and_result(
    sql: Sql, break_recording: Callable[[str], None], mend: Callable[[], None]
) -> None:
    reference = insert_payment(sql)
    break_recording(reference)
    delivery = insert_webhook(sql, webhook(reference, event_id="evt_1"))
    for _ in range(2):
        process(str(delivery))
        _due(sql)
    mend()
    process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    attempts = _attempts(delivery)
    assert [attempt.state for attempt in attempts] == ["received", "received", "applied"]
    assert all(attempt.detail for attempt in attempts[:2])
    assert sorted(attempt.at for attempt in attempts) == [attempt.at for attempt in attempts]
    assert len({attempt.at for attempt in attempts}) == 3
    assert all(attempt.at.tzinfo for attempt in attempts)


def test_only_the_last_ones_are_kept_and_each_is_short(sql: Sql, break_recording: Callable[[str], None]) -> None:
    reference = insert_payment(sql)
    break_recording(reference)
    delivery = insert_webhook(sql, webhook(reference, event_id="evt_1"))
    for _ in range(MOST + 3):
        process(str(delivery))
        sql("UPDATE webhook_deliveries SET attempts = 2, next_attempt_at = now()")
    sql("UPDATE webhook_deliveries SET attempt_log = jsonb_set(attempt_log, '{0,detail}', '\"first\"')")
    process(str(delivery))

    log = _log(sql, delivery)
    assert len(log) == MOST
    assert "first" not in {each["detail"] for each in log}
    assert max(len(each["detail"]) for each in log) <= LONGEST


def test_a_replay_keeps_what_came_of_the_first_attempt(sql: Sql) -> None:
    delivery = insert_webhook(sql, webhook(insert_payment(sql), secret="a rotated secret"))
    process(str(delivery))
    before = _attempts(delivery)[0]
    process(str(delivery))

    first, again = _attempts(delivery)
    assert (first.at, first.detail, first.command) == (before.at, "the signature is not ours", None)
    assert (again.state, again.detail) == ("rejected", "the signature is not ours")
    (command,) = sql("SELECT id FROM audit")
    assert again.command == command.id


def test_what_is_erased_loses_what_came_of_its_attempts(sql: Sql) -> None:
    """The function that strikes a webhook's bytes out strikes this out too, in the same statement."""
    (body,) = sql("SELECT pg_get_functiondef('person_erase_rows(uuid, interval)'::regprocedure) AS written")
    assert "detail = NULL, attempt_log = NULL" in body.written
