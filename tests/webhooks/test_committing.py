"""Webhooks that come at once share a statement and a commit, and each is answered what it would be by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask, Response
from sqlalchemy import create_engine, text

from checkout_service.local.servers import Postgres
from checkout_service.settings.secret import Secret
from checkout_service.telemetry.metrics import request_seconds, requests_total, webhook_refused_total
from checkout_service.webhooks import committing
from checkout_service.webhooks.operations import NewWebhook, insert_webhooks
from tests.apps import MakeApp
from tests.webhooks.front import Front, Sent, some

ROUTE = "/api/payments/webhook/<provider>"
Rows = Callable[[], dict[UUID, bytes]]


@pytest.fixture
def front(make_app: MakeApp, own_postgres: Postgres) -> Front:
    return Front(make_app(database_url=Secret(own_postgres.url("checkout_web", "shop"))))


@pytest.fixture(autouse=True)
def rows(own_postgres: Postgres) -> Iterator[Rows]:
    """The bodies that are committed, by the ids of their rows."""
    engine = create_engine(own_postgres.url("postgres", "shop"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("TRUNCATE webhook_deliveries"))

    def read() -> dict[UUID, bytes]:
        with engine.connect() as connection:
            return dict(connection.execute(text("SELECT id, body FROM webhook_deliveries ORDER BY id")).all())

    yield read
    engine.dispose()


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The sizes of the webhooks of each statement of many, in the order in which they are sent."""
    seen: list[list[int]] = []

    def insert(webhooks: Any) -> list[str]:
        seen.append([webhook.size for webhook in webhooks])
        return insert_webhooks(webhooks)

    monkeypatch.setattr(committing, "insert_webhooks", insert)
    return seen


@pytest.fixture
def poison(own_postgres: Postgres) -> Iterator[bytes]:
    """A body that the database refuses, as it might one that we know nothing of."""
    connection = psycopg.connect(own_postgres.url("postgres", "shop").replace("+psycopg", ""), autocommit=True)
    connection.execute("""
        CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.body = '{"poison":1}' THEN RAISE 'poison' USING ERRCODE = '22000'; END IF; RETURN NEW; END $$
    """)
    connection.execute(
        "CREATE TRIGGER poison BEFORE INSERT ON webhook_deliveries FOR EACH ROW EXECUTE FUNCTION refuse_poison()"
    )
    yield b'{"poison":1}'
    connection.execute("DROP FUNCTION refuse_poison CASCADE")
    connection.close()


def assert_each_is_committed(sent: list[Sent], rows: Rows) -> None:
    """All are answered 202, each with the id of the row that has its body."""
    assert [each.await_answer() for each in sent] == [202] * len(sent)
    found = rows()
    assert [found[UUID(each.json["delivery_id"])] for each in sent] == [each.body for each in sent]


def assert_nobody_waits(front: Front) -> None:
    assert (front.committer._places, front.committer._bytes, front.committer._alone) == (0, 0, 0)
    until = monotonic() + 10
    while front.body_reader._bytes and monotonic() < until:
        sleep(0.01)  # they are given back a moment after the answer
    assert front.body_reader._bytes == 0


def test_those_that_come_at_once_share_a_commit_and_none_is_answered_before(
    front: Front, own_postgres: Postgres, rows: Rows, batches: list[list[int]]
) -> None:
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        sent = [front.send(body) for body in some(100)]  # far more than there are slots: each gives its own back
        sleep(0.3)
        assert not [each for each in sent if each.is_answered]
        assert front.body_reader._bytes >= sum(map(len, some(100))), "their bytes count until they are answered"
        end()
        assert_each_is_committed(sent, rows)

    assert len(rows()) == 101
    assert len(batches) <= 2, "the one that was first at work, and all others"
    assert_nobody_waits(front)
    ids = [UUID(each.json["delivery_id"]) for each in sent]
    assert ids == sorted(ids), "they come by time"


def test_a_lone_one_is_written_by_the_plain_statement_and_by_no_other_thread(
    front: Front, rows: Rows, batches: list[list[int]]
) -> None:
    assert_each_is_committed([front.send(body) for body in some(5)], rows)
    assert batches == []
    assert not front.committer._thread._has_begun


def test_one_that_is_left_alone_is_written_by_the_plain_statement(
    front: Front, own_postgres: Postgres, rows: Rows, batches: list[list[int]]
) -> None:
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        left = front.send(b"{}")
        end()
        assert_each_is_committed([left], rows)
    assert batches == []


def test_right_after_a_shared_commit_the_next_ones_are_waited_for(
    front: Front, own_postgres: Postgres, rows: Rows, batches: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "BUSY_FOR", 30)
    monkeypatch.setattr(committing, "GATHERS_FOR", 30)
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        front.send(b'{"n":0}')
        sleep(0.3)  # it is at work
        sent = [front.send(body) for body in some(5)]
        end()
        assert_each_is_committed(sent, rows)
    batches.clear()

    again = [front.send(body) for body in some(4, start=100)]
    sleep(0.3)
    assert not any(each.is_answered for each in again), "five shared the last one"
    again.append(front.send(b'{"n":200}'))
    assert_each_is_committed(again, rows)
    assert [len(batch) for batch in batches] == [5]


def test_who_comes_alone_after_a_shared_commit_waits_for_no_more_than_a_moment(
    front: Front, own_postgres: Postgres, rows: Rows, batches: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "BUSY_FOR", 30)
    monkeypatch.setattr(committing, "GATHERS_FOR", 0.05)
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        front.send(b'{"n":0}')
        sleep(0.3)
        sent = [front.send(body) for body in some(5)]
        end()
        assert_each_is_committed(sent, rows)
    batches.clear()

    assert_each_is_committed([front.send(b'{"n":1000}')], rows)
    assert batches == [], "by the plain statement"
    by_itself = front.send(b'{"n":1001}')
    assert by_itself.is_answered, "nobody is expected any more: it is committed in its own slot"
    assert_each_is_committed([by_itself], rows)


def test_a_statement_has_bounds_in_rows_and_bytes(
    front: Front, own_postgres: Postgres, rows: Rows, batches: list[list[int]]
) -> None:
    large = [b'{"a":"%s"}' % (b"%03d" % number + b"x" * (256 * 1024 - 11)) for number in range(40)]
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        sent = [front.send(body) for body in [*some(400), *large]]
        end()
        assert_each_is_committed(sent, rows)
    assert max(map(len, batches)) == 256, "as many as may be"
    assert max(map(sum, batches)) <= 4 * 2**20
    assert max(map(sum, batches)) > 3.5 * 2**20
    assert sum(map(len, batches)) >= 438


def test_a_webhook_takes_at_least_what_is_sent_of_it() -> None:
    """PostgreSQL's elements of an array have a length of four bytes each before them."""
    longest = NewWebhook("p" * 40, '{"a":"b"}', b"body", "0" * 55)
    assert longest.size >= sum(4 + len(value or "") for value in longest)


def test_where_there_is_no_room_each_commits_its_own(
    front: Front, own_postgres: Postgres, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "MOST", 3)
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        sent = [front.send(body) for body in some(3)]
        beyond = threading.Thread(target=lambda: sent.append(front.send(b'{"beyond":1}')))
        beyond.start()
        beyond.join(0.3)
        assert beyond.is_alive(), "it waits in its slot"
        assert front.committer._places == 3
        end()
        beyond.join(30)
        assert_each_is_committed(sent, rows)


def test_one_that_the_database_refuses_harms_no_other(
    front: Front, own_postgres: Postgres, rows: Rows, poison: bytes
) -> None:
    alone = front.send(poison, HTTP_X_REQUEST_ID="the-same")
    assert alone.await_answer() == 500
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        before = [front.send(body) for body in some(10)]
        refused = front.send(poison, HTTP_X_REQUEST_ID="the-same")
        after = [front.send(body) for body in some(10, 10)]
        end()
        assert_each_is_committed([*before, *after], rows)
        refused.await_answer()

    assert refused.answers == alone.answers, "status, headers and bytes are those of one that comes alone"
    assert len(rows()) == 21
    assert_nobody_waits(front)


@pytest.mark.parametrize("error", [RuntimeError("x"), MemoryError(), SystemExit(1), AssertionError()])
def test_a_committer_that_raises_leaves_nobody_without_an_answer(
    front: Front, own_postgres: Postgres, rows: Rows, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(_webhooks: Any) -> list[str]:
        raise error

    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        first = front.send(b"{}")  # it is at work by now, or will be with the others
        sleep(0.1)
        monkeypatch.setattr(committing, "insert_webhooks", fail)
        sent = [front.send(body) for body in some(5)]
        end()
        assert first.await_answer() == 202
        statuses = [each.await_answer() for each in sent]

    # What is no error of the work but the end of the thread is told to all; else each is written by itself.
    assert statuses == [202 if isinstance(error, Exception) else 503] * 5
    assert {UUID(each.json["delivery_id"]) for each in sent if each.status == 202} <= set(rows())
    monkeypatch.undo()
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        again = [front.send(body) for body in some(5)]
        end()
        assert_each_is_committed(again, rows)
    assert_nobody_waits(front)


def test_without_threads_each_commits_its_own(
    front: Front, own_postgres: Postgres, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if thread.name.startswith("webhook-"):
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)
        sent: list[Sent] = []
        waits = threading.Thread(target=lambda: sent.append(front.send(b"{}")))
        waits.start()
        waits.join(0.3)
        assert waits.is_alive(), "it waits in its slot"
        end()
        waits.join(30)
    assert_each_is_committed(sent, rows)


def test_each_has_its_id_its_line_and_its_count(
    front: Front, own_postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = requests_total.labels("POST", ROUTE, "202")
    before, timed = counted._value.get(), request_seconds.labels(ROUTE)._sum.get()
    observed = sum(bucket.get() for bucket in request_seconds.labels(ROUTE)._buckets)
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        sent = [front.send(body, HTTP_X_REQUEST_ID=f"their-{number}") for number, body in enumerate(some(5))]
        sleep(0.3)
        end()
        assert [each.await_answer() for each in sent] == [202] * 5

    assert [each.headers["X-Request-Id"] for each in sent] == [f"their-{number}" for number in range(5)]
    lines = [line for line in capsys.readouterr().err.splitlines() if "request_id=their-" in line]
    assert sorted(line.partition("request_id=")[2] for line in lines) == [f"their-{number}" for number in range(5)]
    for line in lines:
        assert "status=202" in line
        assert f"route={ROUTE}" in line
        assert float(line.partition("ms=")[2].split()[0]) >= 300, "how long it took is counted to its end"
    assert counted._value.get() == before + 6
    assert request_seconds.labels(ROUTE)._sum.get() >= timed + 6 * 0.3
    assert sum(bucket.get() for bucket in request_seconds.labels(ROUTE)._buckets) == observed + 6


def test_their_lines_are_written_as_one_piece_before_any_is_answered(
    front: Front, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Noted(Sent):
        def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            seen.append("answer")
            super().response_bytes(status, headers, body)

    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        sent = [front.send(body, by=Noted) for body in some(5)]
        monkeypatch.setattr("sys.stderr.write", lambda text: seen.extend(["lines", *text.splitlines()]))
        end()
        assert [each.await_answer() for each in sent] == [202] * 5
    first = seen.index("answer")
    of_batch = [line for line in seen[:first] if "status=202" in line]
    assert [line for line in seen[first:] if "status=202" in line] in ([], seen[-1:]), "of the one at work, at most"
    assert {each.headers["X-Request-Id"] for each in sent} <= {line.partition("request_id=")[2] for line in of_batch}
    assert seen[:first].count("lines") <= 2
    assert seen[first:].count("answer") == 5


def test_a_refusal_is_flasks_own_to_the_byte_and_is_counted(
    front: Front, own_postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that waits for the lock in its slot, and one that is left, are answered alike."""
    refused = webhook_refused_total.labels("database-unavailable")  # so a wait for a lock ends as well
    before = refused._value.get()
    alone: list[Sent] = []
    with front.with_another_at_work(own_postgres.url("postgres", "shop")):
        front.committer._places += 10_000  # there is no room
        waits = threading.Thread(target=lambda: alone.append(front.send(b"{}", HTTP_X_REQUEST_ID="the-same")))
        waits.start()
        sleep(0.1)
        front.committer._places -= 10_000
        left = [front.send(b"{}", HTTP_X_REQUEST_ID="the-same") for _ in range(2)]
        assert [each.await_answer() for each in left] == [503] * 2
        waits.join(30)

    assert left[0].answers == alone[0].answers
    assert left[0].json["type"] == "/problems/database-unavailable"
    assert refused._value.get() == before + 4
    lines = [line for line in capsys.readouterr().err.splitlines() if "request_id=the-same" in line]
    assert len([line for line in lines if "status=503" in line and "route=" in line]) == 3


def test_an_answer_says_that_its_connection_ends_if_it_does_by_then(front: Front, own_postgres: Postgres) -> None:
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        sent = [front.send(body) for body in some(3)]
        front.has_begun_to_end = True
        end()
        assert [each.await_answer() for each in sent] == [202] * 3
    assert [each.headers["Connection"] for each in sent] == ["close"] * 3


def test_every_provider_is_answered_in_its_own_words(front: Front, own_postgres: Postgres, rows: Rows) -> None:
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        adyen = front.send(b'{"adyen":1}', provider="adyen")
        stripe = front.send(b'{"stripe":1}', provider="stripe")
        end()
        assert (adyen.await_answer(), stripe.await_answer()) == (200, 202)
    alone = front.send(b'{"adyen":1}', provider="adyen", HTTP_X_REQUEST_ID=adyen.headers["X-Request-Id"])
    assert alone.await_answer() == 200
    assert adyen.answers == alone.answers
    assert adyen.answers[0][2] == b"[accepted]"
    assert len(rows()) == 4


def test_what_a_hook_makes_another_answer_of_is_not_committed(
    make_app: MakeApp, own_postgres: Postgres, rows: Rows
) -> None:
    app: Flask = make_app(database_url=Secret(own_postgres.url("checkout_web", "shop")))
    refuses = threading.Event()

    @app.after_request
    def refuse(answer: Response) -> Response:
        return Response("refused", status=418) if refuses.is_set() else answer

    front = Front(app)
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        refuses.set()
        sent = front.send(b'{"refused":1}')
        assert sent.await_answer() == 418
        refuses.clear()
        end()
    assert b'{"refused":1}' not in rows().values()
    assert_nobody_waits(front)


def test_a_connection_that_is_cut_in_a_commit_is_never_seen(
    front: Front, own_postgres: Postgres, rows: Rows, cut_connections: Callable[[], int]
) -> None:
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        sent = [front.send(body) for body in some(20)]
        sleep(0.2)
        end()
        assert_each_is_committed(sent, rows)
        assert cut_connections() >= 2
    for phase in ("while they were idle", "in the middle of their statements"):
        with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
            sent = [front.send(body) for body in some(20)]
            sleep(0.2)
            if phase != "while they were idle":  # a statement is run once more, and not twice
                assert cut_connections() >= 1
            end()
            assert_each_is_committed(sent, rows)


def test_answers_are_json_of_the_row(front: Front, own_postgres: Postgres) -> None:
    alone = front.send(b"{}", HTTP_X_REQUEST_ID="the-same")
    with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
        left = [front.send(body, HTTP_X_REQUEST_ID="the-same") for body in some(2)]
        end()
        assert [each.await_answer() for each in left] == [202] * 2
    assert [each.headers for each in left] == [alone.headers] * 2
    assert [set(json.loads(each.answers[0][2])) for each in left] == [{"delivery_id"}] * 2
