"""The only synchronous standby is away, and commits wait for it: nobody is answered "done", and reads go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import monotonic
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from checkout_service.database.engine import background_connection, execute, transaction
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.statements import Statement
from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.purchases import ask, fill_cart
from tests.threads.scenes import wait_until
from tests.webhook_bodies import webhook

USER = Statement("INSERT INTO users (id) VALUES (:id) ON CONFLICT DO NOTHING RETURNING id")

WAITING = "SELECT count(*) AS waiting FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture
def away(sql: Sql) -> Iterator[Callable[[], None]]:
    """The standby is away, for the web's connections that are made from now on, until what this gives is called."""
    database = sql("SELECT current_database() AS name")[0].name
    role = f"ALTER ROLE checkout_web IN DATABASE {database}"

    def standby(name: str) -> None:
        sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        sql("SELECT pg_reload_conf()")
        wait_until(lambda: sql("SHOW synchronous_standby_names")[0][0] == name)

    sql(f"{role} SET synchronous_commit = on")
    standby("nobody")
    yield lambda: standby("")
    sql(f"{role} RESET synchronous_commit")
    standby("")


@pytest.fixture
def web(away: Callable[[], None], make_app: MakeApp) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


def is_there(sql: Sql, user: UUID) -> bool:
    return bool(sql("SELECT FROM users WHERE id = :id", id=user))


@pytest.mark.usefixtures("web")
def test_a_statement_that_no_standby_confirms_is_not_taken_for_done(sql: Sql) -> None:
    user = uuid4()
    with pytest.raises(DatabaseUnavailableError):
        execute(USER, {"id": user})
    assert is_there(sql, user), "it is on this server alone, and nobody was answered so"
    assert sql(WAITING)[0].waiting == 0, "and no backend waits on"


@pytest.mark.usefixtures("web")
def test_a_transaction_that_no_standby_confirms_is_not_taken_for_done(sql: Sql) -> None:
    user = uuid4()
    with pytest.raises(DatabaseUnavailableError), transaction() as connection:
        USER.within(connection, {"id": user})
    assert is_there(sql, user)
    assert sql(WAITING)[0].waiting == 0


@pytest.mark.usefixtures("web")
def test_a_wait_that_somebody_else_cancels_is_not_taken_for_done(sql: Sql) -> None:
    failed: list[object] = []
    connection = background_connection()

    def write() -> None:
        try:
            connection.execute("INSERT INTO users DEFAULT VALUES")
        except psycopg.OperationalError as error:
            failed.append(error.sqlstate)

    with connection:
        thread = threading.Thread(target=write)
        thread.start()
        wait_until(lambda: sql(WAITING)[0].waiting == 1)
        sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        thread.join()
        assert failed == ["57014"]
        assert connection.execute("SELECT 1").fetchone() == (1,), "the connection goes on"


def test_a_webhook_is_answered_503_and_reads_go_on(
    web: Flask, away: Callable[[], None], statements: Statements, sql: Sql
) -> None:
    client = web.test_client()

    def send() -> int:
        body = webhook(uuid4().hex)
        return client.post("/api/payments/webhook", data=body, content_type="application/json").status_code

    hold_open(web)
    assert send() == 503
    with statements() as sent:
        assert client.get("/api/listings").status_code == 200
        assert execute(text("SELECT 1 AS one"))[0].one == 1
    assert sent
    with statements() as sent:
        assert send() == 503
    assert sent == [], "one waits at a time, and the others are answered at once"
    assert sql("SELECT count(*) FROM webhook_deliveries")[0].count == 1

    away()
    hold_open(web, seconds=0.0)
    wait_until(lambda: send() == 202)


def test_a_commit_that_writes_nothing_does_not_say_that_commits_are_confirmed(web: Flask, sql: Sql) -> None:
    user = uuid4()
    with pytest.raises(DatabaseUnavailableError):
        execute(USER, {"id": user})
    hold_open(web, seconds=0.0)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailableError):
            execute(USER, {"id": user})
        with pytest.raises(DatabaseUnavailableError), transaction() as connection:
            connection.execute(text("SELECT 1"))
    assert is_there(sql, user)


def test_who_repeats_what_was_not_confirmed_is_answered_503_until_it_is(
    request: pytest.FixtureRequest, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))
    web, away = request.getfixturevalue("web"), request.getfixturevalue("away")
    here = replace(customer, client=web.test_client())
    hold_open(web, seconds=0.0)
    assert [ask(here, cart_id).status_code for _ in range(3)] == [503] * 3
    assert sql("SELECT count(*) FROM checkout_sessions")[0].count <= 1
    away()
    wait_until(lambda: ask(here, cart_id).status_code == 201)
    assert sql("SELECT count(*) FROM checkout_sessions")[0].count == 1


def hold_open(app: Flask, *, seconds: float = 3600.0) -> None:
    """Have the next look at whether commits are confirmed come after so long."""
    breaker = app.extensions["commit_breaker"]
    breaker._pause = seconds
    breaker._open_until = breaker._open_until and monotonic() + seconds
