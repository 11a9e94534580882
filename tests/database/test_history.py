"""What is kept elsewhere because of a commit belongs to the history in which that commit is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import make_url

from checkout_service.database import history as module
from checkout_service.database.engine import db, history
from checkout_service.database.history import History
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp, another_postgres
from tests.conftest import Servers, with_psycopg

OLD, NEW = (7, "00000001", 16_384, "1999"), (7, "00000002", 16_384, "1999")


@pytest.fixture
def web(make_app: MakeApp) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


def connect() -> None:
    with db.engine.connect():
        pass


def test_the_web_role_may_ask_and_each_process_gets_the_same_answer(web: Flask, make_app: MakeApp) -> None:
    connect()
    assert len(history()) == 16
    with make_app().app_context():
        assert history() == web.extensions["database_history"].name, "asked for where no connection has said it yet"


def test_another_database_of_the_same_server_has_another(make_app: MakeApp, web: Flask, servers: Servers) -> None:
    connect()
    other = make_app(database_url=Secret(with_psycopg(make_url(servers.web_url).set(database="postgres"))))
    with other.app_context():
        assert history()
        assert history() != web.extensions["database_history"].name


def test_a_server_that_starts_again_has_another(make_app: MakeApp) -> None:
    with another_postgres() as postgres:
        postgres.create_database("shop")
        app = make_app(database_url=Secret(postgres.url("postgres", "shop")))
        with app.app_context():
            connect()
            before = history()
            postgres.server.stop()
            postgres.server.start()
            db.engine.dispose()
            connect()
            assert len(before) == 16
            assert history() not in {before, ""}
            db.engine.dispose()


def test_behind_a_pooler_it_is_looked_at_again_since_a_connection_outlives_a_promotion(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(database_pooler="transaction")
    with app.app_context():
        connect()
        found = history()
        known: History = app.extensions["database_history"]
        known.see(OLD)
        assert history() not in {found, ""}, "within a second it holds"
        monkeypatch.setattr(module, "LOOK_EVERY", 0.0)
        assert history() == found


def test_away_it_is_unknown(make_app: MakeApp) -> None:
    away = make_app(database_url=Secret("postgresql://checkout_web@127.0.0.1:1/nowhere"))
    with away.app_context():
        assert history() == ""


def test_a_timeline_is_a_history_and_a_standby_has_none() -> None:
    known = History(behind_pooler=False)
    assert not known.is_known
    known.see(OLD)
    old = known.name
    known.see(NEW)
    assert known.name not in {old, ""}
    known.see(OLD)
    assert known.name == old
    known.see(None)
    assert not known.is_known
