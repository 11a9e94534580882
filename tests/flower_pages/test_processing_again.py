"""Operators have webhooks processed again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.commands import watching
from tests.conftest import Servers, Sql
from tests.flower_pages import stack as station
from tests.flower_pages.stack import eventually
from tests.webhook_bodies import insert_payment, insert_webhook, post_webhook, state_of, status_of, webhook
from worker.webhooks.replays import MARKED

WRONG = "whsec_of_another_account"


def test_a_secret_set_wrongly_for_a_while_loses_nothing(
    app: Flask, client: FlaskClient, sql: Sql, servers: Servers, tmp_path: Path
) -> None:
    payments = [insert_payment(sql) for _ in range(30)]
    old = insert_webhook(sql, webhook(payments[0]), received_at="now() - interval '3 hours'")
    with station.run(tmp_path, station.environment(servers, MOCK_WEBHOOK_SECRETS=WRONG), "worker"):
        verified = [post_webhook(client, webhook(reference)) for reference in payments]
        unverified = [post_webhook(client, webhook(reference, secret="guessed")) for reference in payments[:5]]
        pending = "SELECT FROM webhook_deliveries WHERE state = 'received'"
        eventually(lambda: not sql(pending))
    assert {state_of(sql, delivery) for delivery in [*verified, *unverified, old]} == {"rejected"}
    chosen = ["webhooks", "process", "--state", "rejected", "--provider", "mock", "--since", "2h"]

    counted = app.test_cli_runner().invoke(args=[*chosen, "--dry-run"])
    assert (counted.exit_code, counted.output) == (0, "35 webhooks would be processed.\n")
    assert {status_of(sql, reference) for reference in payments} == {"pending"}

    with station.run(tmp_path, station.environment(servers), "worker"):
        done = app.test_cli_runner().invoke(args=chosen)
    assert (done.exit_code, done.output) == (0, "35 webhooks enqueued: 30 applied, 5 rejected.\n")
    assert {status_of(sql, reference) for reference in payments} == {"paid"}
    assert {state_of(sql, delivery) for delivery in verified} == {"applied"}
    assert {state_of(sql, delivery) for delivery in [*unverified, old]} == {"rejected"}


def test_failed_ones_go_alone_in_bounded_numbers_and_a_lost_message_is_made_up_for(
    app: Flask, sql: Sql, servers: Servers, tmp_path: Path
) -> None:
    payments = [insert_payment(sql) for _ in range(250)]
    for reference in payments:
        insert_webhook(sql, webhook(reference), state="'failed'", attempts="12", processed_at="now()")
    queue = redis.Redis.from_url(servers.redis_url)
    longest: list[int] = []
    ended = threading.Event()

    def lose_the_first_and_watch() -> None:
        eventually(lambda: queue.llen("webhooks") == 1)
        queue.delete("webhooks")
        with station.run(tmp_path, station.environment(servers), "worker"):
            while not ended.wait(0.002):
                longest.append(int(queue.llen("webhooks")))

    with ThreadPoolExecutor(1) as threads:
        watching = threads.submit(lose_the_first_and_watch)
        done = app.test_cli_runner().invoke(args=["webhooks", "process", "--state", "failed"])
        ended.set()
        watching.result()

    assert (done.exit_code, done.output) == (0, "250 webhooks enqueued: 250 applied.\n")
    assert {status_of(sql, reference) for reference in payments} == {"paid"}
    assert 0 < max(longest) <= MARKED + 1
    assert [row.action for row in sql("SELECT action FROM audit")] == ["process_all"]


def test_without_a_worker_one_message_waits_and_the_command_is_kept(
    app: Flask, sql: Sql, servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.4)
    payments = [insert_payment(sql) for _ in range(25)]
    for reference in payments:
        insert_webhook(sql, webhook(reference), state="'rejected'", attempts="1", processed_at="now()")

    done = app.test_cli_runner().invoke(args=["webhooks", "process", "--state", "rejected"])

    assert done.exit_code == 1
    assert "No worker came to it" in done.output
    assert redis.Redis.from_url(servers.redis_url).llen("webhooks") == 2  # once, and once more
    with station.run(tmp_path, station.environment(servers), "worker"):
        eventually(lambda: {status_of(sql, reference) for reference in payments} == {"paid"})
        eventually(lambda: sql("SELECT state FROM command_runs")[0].state == "done")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give the ids of webhooks, or --state"),
        (["--since", "2h"], "Give the ids of webhooks, or --state"),
        ([str(uuid4()), "--state", "failed"], "not both"),
        (["--state", "gone"], "'gone' is not one of"),
        (["--state", "failed", "--provider", "nobody"], "'nobody' is none of"),
        (["--state", "failed", "--since", "yesterday"], "no time span"),
    ],
)
def test_an_unclear_choice_is_refused(app: Flask, servers: Servers, arguments: list[str], words: str) -> None:
    done = app.test_cli_runner().invoke(args=["webhooks", "process", *arguments])
    assert done.exit_code == 2
    assert words in done.output
    assert redis.Redis.from_url(servers.redis_url).llen("webhooks") == 0


def test_ids_can_be_counted_dry_and_one_that_is_not_there_stops_all(app: Flask, sql: Sql, servers: Servers) -> None:
    delivery = insert_webhook(sql, webhook("mock_pi_any"), state="'failed'", attempts="1")
    dry = app.test_cli_runner().invoke(args=["webhooks", "process", str(delivery), "--dry-run"])
    wrong = app.test_cli_runner().invoke(args=["webhooks", "process", str(delivery), str(uuid4())])
    assert (dry.exit_code, dry.output) == (0, f"{delivery} would be enqueued\n")
    assert wrong.exit_code == 1
    assert redis.Redis.from_url(servers.redis_url).llen("webhooks") == 0


def test_nothing_matches(app: Flask, servers: Servers) -> None:
    done = app.test_cli_runner().invoke(args=["webhooks", "process", "--state", "failed"])
    assert (done.exit_code, done.output) == (0, "No webhooks match.\n")
