"""Without the database nothing is promised: 503 with Retry-After, soon, and 202 again without a restart."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from checkout_service.local.servers import Postgres, free_port
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp, frozen
from tests.crowd import at_once
from tests.webhook_bodies import webhook

Count = Callable[[], int]
SOON = 2.0
FROZEN = 6.0
"""Seconds, twice as many as it is said to take: this machine may be busy. Who waits without end waits for 20."""
AT_ONCE = 1.5
"""Without any wait; the shortest that there is takes two seconds."""


@pytest.fixture
def own_app(make_app: MakeApp, own_postgres: Postgres) -> Flask:
    return make_app(database_url=Secret(own_postgres.url("checkout_web", "shop")))


def post(client: FlaskClient) -> tuple[TestResponse, float]:
    started = monotonic()
    answer = client.post("/api/payments/webhook", data=webhook("mock_pi_1"))
    return answer, monotonic() - started


def assert_refused(answer: TestResponse) -> None:
    assert answer.status_code == 503
    assert answer.json["type"] == "/problems/database-unavailable"
    assert int(answer.headers["Retry-After"]) >= 1


def wait_until_taken(client: FlaskClient, within: float) -> None:
    until = monotonic() + within
    while post(client)[0].status_code != 202:
        assert monotonic() < until, "it did not recover"
        sleep(0.05)


def test_database_that_refuses_is_503_within_a_second(make_app: MakeApp) -> None:
    client = make_app(database_url=Secret(f"postgresql+psycopg://web@127.0.0.1:{free_port()}/shop")).test_client()

    for _ in range(3):
        answer, took = post(client)
        assert_refused(answer)
        assert took < SOON


def test_database_that_stops_and_starts_is_503_and_then_202(
    own_app: Flask, own_postgres: Postgres, count_own_webhooks: Count
) -> None:
    client = own_app.test_client()
    assert post(client)[0].status_code == 202
    own_postgres.server.stop()
    try:
        for _ in range(3):
            answer, took = post(client)
            assert_refused(answer)
            assert took < SOON
    finally:
        own_postgres.server.start()

    wait_until_taken(client, within=60)
    assert count_own_webhooks() == 2


def test_restart_between_two_webhooks_is_never_seen(
    own_app: Flask, own_postgres: Postgres, count_own_webhooks: Count
) -> None:
    clients = [own_app.test_client() for _ in range(3)]
    for _ in range(2):
        answers = at_once([lambda client=client: post(client)[0] for client in clients])
        assert [answer.status_code for answer in answers] == [202] * 3
        own_postgres.server.stop()
        own_postgres.server.start()

    answers = at_once([lambda client=client: post(client)[0] for client in clients])
    assert [answer.status_code for answer in answers] == [202] * 3
    assert count_own_webhooks() == 9


def test_connections_that_were_cut_are_never_seen(
    own_app: Flask, own_postgres: Postgres, count_own_webhooks: Count, cut_connections: Callable[[], int]
) -> None:
    clients = [own_app.test_client() for _ in range(3)]
    at_once([lambda client=client: post(client) for client in clients])

    assert cut_connections() >= 3
    answers = at_once([lambda client=client: post(client)[0] for client in clients])

    assert [answer.status_code for answer in answers] == [202] * 3
    assert count_own_webhooks() == 6


def test_frozen_database_holds_the_first_for_three_seconds_at_most_and_the_next_not_at_all(
    own_app: Flask, own_postgres: Postgres
) -> None:
    clients = [own_app.test_client() for _ in range(2)]
    assert post(clients[0])[0].status_code == 202
    with frozen(own_postgres.server):
        first = at_once([lambda client=client: post(client) for client in clients])
        for answer, took in first:
            assert_refused(answer)
            assert took < FROZEN
        for _ in range(5):
            answer, took = post(clients[0])
            assert_refused(answer)
            assert took < AT_ONCE

        # The pause is over: one is the trial, the others are told at once.
        sleep(1.1)
        again = at_once([lambda client=client: post(client) for client in clients])
        for answer, took in again:
            assert_refused(answer)
            assert took < FROZEN
        assert min(took for _, took in again) < AT_ONCE

    wait_until_taken(clients[0], within=60)


def test_server_that_takes_connections_and_says_nothing_is_503_in_three_seconds(
    make_app: MakeApp, silent_port: int
) -> None:
    client = make_app(database_url=Secret(f"postgresql+psycopg://web@127.0.0.1:{silent_port}/shop")).test_client()

    answer, took = post(client)
    assert_refused(answer)
    assert took < FROZEN
    answer, took = post(client)
    assert_refused(answer)
    assert took < AT_ONCE
