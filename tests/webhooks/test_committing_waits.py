"""Nobody waits longer for a shared commit than for a statement of their own, whatever the one before is kept by."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text

from checkout_service.local.servers import Postgres
from checkout_service.settings.secret import Secret
from checkout_service.webhooks import committing
from checkout_service.webhooks.committing import ANSWERED_WITHIN, LOOKS_EVERY
from tests.apps import MakeApp, frozen
from tests.webhooks.front import Front, Sent, some

BUSY = 1.0
"""Seconds by which this machine may be late. Who waits twice waits for 4."""

LONGEST = ANSWERED_WITHIN + LOOKS_EVERY + BUSY

Committed = Callable[[], set[UUID]]


@pytest.fixture
def front(make_app: MakeApp, own_postgres: Postgres) -> Front:
    return Front(make_app(database_url=Secret(own_postgres.url("checkout_web", "shop"))))


@pytest.fixture
def committed(own_postgres: Postgres) -> Iterator[Committed]:
    engine = create_engine(own_postgres.url("postgres", "shop"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("TRUNCATE webhook_deliveries"))

    def read() -> set[UUID]:
        with engine.connect() as connection:
            return set(connection.execute(text("SELECT id FROM webhook_deliveries")).scalars())

    engine.dispose()  # so that a restart finds no connection of ours
    yield read
    engine.dispose()


def acknowledged(sent: list[Sent]) -> set[UUID]:
    return {UUID(each.json["delivery_id"]) for each in sent if each.status == 202}


def send_for(front: Front, seconds: float, every: float = 0.05) -> list[Sent]:
    """Webhooks that come one after the other, each from a thread of its own, since one may wait in its slot."""
    sent: list[Sent] = []
    threads = []
    until = monotonic() + seconds
    number = 0
    while monotonic() < until:
        number += 1
        body = b'{"n":%d}' % number
        threads.append(threading.Thread(target=lambda body=body: sent.append(front.send(body))))
        threads[-1].start()
        sleep(every)
    for thread in threads:
        thread.join(30)
    for each in sent:
        each.await_answer()
    return sent


def test_behind_a_lock_nobody_waits_twice(front: Front, own_postgres: Postgres, committed: Committed) -> None:
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        ends = threading.Timer(5.5, end)
        ends.start()
        sent = send_for(front, 5.0)
        ends.join()

    assert max(each.took for each in sent) < LONGEST
    assert {each.status for each in sent} == {202, 503}
    assert all(each.took > 1.8 for each in sent if each.status == 503), "none is refused while there is time"
    assert acknowledged(sent) <= committed()
    assert front.send(b"{}").await_answer() == 202
    assert front.committer._places == 0


def test_a_lock_that_ends_in_time_refuses_nobody(front: Front, own_postgres: Postgres, committed: Committed) -> None:
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        ends = threading.Timer(1.5, end)
        ends.start()
        sent = send_for(front, 1.4)
        ends.join()
    assert {each.status for each in sent} == {202}
    assert acknowledged(sent) <= committed()


def test_behind_a_frozen_server_nobody_waits_twice_and_then_nobody_at_all(
    front: Front, own_postgres: Postgres, committed: Committed
) -> None:
    assert front.send(b"{}").await_answer() == 202
    with frozen(own_postgres.server):
        sent = send_for(front, 3.0)
        assert {each.status for each in sent} == {503}
        # The very first one waits in its slot, for as long as it always did.
        assert sorted(each.took for each in sent)[-2] < LONGEST
        later = [front.send(body) for body in some(20)]
        assert [each.await_answer() for each in later] == [503] * 20
        assert sorted(each.took for each in later)[-2] < BUSY, "one is the trial"
    until = monotonic() + 30
    while front.send(b"{}").await_answer() != 202:
        assert monotonic() < until, "it did not recover"
        sleep(0.1)
    assert committed()
    assert front.committer._places == 0


def test_nothing_is_left_while_the_database_is_tried_again(
    front: Front, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is left then would wait for the trial, which may take its time; all others fail at once."""
    with front.with_another_at_work(own_postgres.url("postgres", "shop")):
        with monkeypatch.context() as patch:
            patch.setattr(front.app.extensions["database_breaker"], "_open_until", monotonic() + 3600)
            sent = front.send(b"{}")
            assert sent.is_answered
            assert sent.status == 503
        assert not front.committer._thread._has_begun


def test_who_waits_is_refused_in_time_whatever_the_committing_thread_does(
    front: Front, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()

    def hang(_webhooks: object) -> list[str]:
        may_go_on.wait(30)
        return []

    monkeypatch.setattr(committing, "insert_webhooks", hang)
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        first = front.send(b"{}")
        sleep(0.2)  # it is at work
        sent = [front.send(body) for body in some(5)]
        sleep(0.5)
        end()
        sleep(0.5)
        sent += [front.send(body) for body in some(5)]
        assert first.await_answer() == 202
        assert [each.await_answer() for each in sent] == [503] * 10
        assert max(each.took for each in sent) < LONGEST
        may_go_on.set()
    assert all(len(each.answers) == 1 for each in sent)


def test_where_the_server_goes_away_all_are_refused_in_time(
    front: Front, own_postgres: Postgres, committed: Committed
) -> None:
    with front.with_another_at_work(own_postgres.url("postgres", "shop")):
        sent = [front.send(body) for body in some(50)]
        sleep(0.2)
        own_postgres.server.stop()
        try:
            assert {each.await_answer() for each in sent} == {503}
            assert max(each.took for each in sent) < LONGEST
        finally:
            own_postgres.server.start()
    until = monotonic() + 60
    while front.send(b"{}").await_answer() != 202:
        assert monotonic() < until, "it did not recover"
        sleep(0.1)
    assert len(committed()) == 1
