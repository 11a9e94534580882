"""What goes wrong with one webhook that waits for a shared commit is nothing to the others, and keeps nothing taken."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import pytest
from flask import Response, g, request
from sqlalchemy import text

from checkout_service.database import engine
from checkout_service.local.servers import Postgres
from checkout_service.server import late_answers
from checkout_service.telemetry import metrics
from checkout_service.webhooks import committing, routes
from checkout_service.webhooks.committing import ANSWERED_WITHIN
from tests.webhooks.front import Front, Sent, some
from tests.webhooks.test_committing import Rows, assert_each_is_committed, assert_nobody_waits, front, rows

__all__ = ["front", "rows"]  # fixtures


class Broken(Sent):
    """One whose way back raises, whatever it is given."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        super().response_bytes(status, headers, body)
        raise MemoryError


def superuser(own_postgres: Postgres) -> str:
    return own_postgres.url("postgres", "shop")


def test_a_way_back_that_raises_keeps_no_other_from_an_answer(front: Front, own_postgres: Postgres, rows: Rows) -> None:
    with front.with_another_at_work(superuser(own_postgres)) as end:
        first = front.send(b"{}")
        sleep(0.1)
        front.send(b'{"broken":1}', by=Broken)
        sent = [front.send(body) for body in some(5)]
        end()
        assert_each_is_committed([first, *sent], rows)
    assert_nobody_waits(front)


def test_lines_that_cannot_be_written_keep_nobody_from_an_answer(
    front: Front, own_postgres: Postgres, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    with front.with_another_at_work(superuser(own_postgres)) as end:
        sent = [front.send(body) for body in some(5)]
        monkeypatch.setattr(metrics, "count_requests", fails)
        monkeypatch.setattr(late_answers.log, "exception", fails)
        end()
        assert_each_is_committed(sent, rows)
    assert_nobody_waits(front)


def test_nor_where_all_of_them_are_refused(front: Front, own_postgres: Postgres) -> None:
    with front.with_another_at_work(superuser(own_postgres)):
        first = front.send(b"{}")
        sleep(0.1)
        front.send(b'{"broken":1}', by=Broken)
        sent = [front.send(body) for body in some(5)]
        assert [each.await_answer() for each in [first, *sent]] == [503] * 6
    assert_nobody_waits(front)


def test_whoever_refuses_those_who_wait_does_not_wait_itself(
    front: Front, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits are no longer confirmed, and the next request that may change something is to try one: not such a one."""
    assert front.send(b"{}").await_answer() == 202
    monkeypatch.setattr(engine, "_commit_something", text("SELECT pg_sleep(60)"))
    with front.with_another_at_work(superuser(own_postgres)):
        sent = [front.send(body) for body in some(3)]
        sleep(0.3)
        monkeypatch.setattr(front.app.extensions["commit_breaker"], "_open_until", monotonic() - 1)
        assert [each.await_answer() for each in sent] == [503] * 3
    assert max(each.took for each in sent) < ANSWERED_WITHIN + 1


def test_a_refused_one_passes_the_apps_checks_once(front: Front, own_postgres: Postgres) -> None:
    """Some of them count, and some wait."""
    seen: list[str] = []

    @front.app.before_request
    def check() -> None:
        seen.append(request.path)

    with front.with_another_at_work(superuser(own_postgres)):
        sent = [front.send(body) for body in some(3)]
        assert [each.await_answer() for each in sent] == [503] * 3
    assert len(seen) == 4


def test_refused_ones_share_nothing_of_a_request(front: Front, own_postgres: Postgres) -> None:
    shared: list[bool] = []

    @front.app.after_request
    def look(answer: Response) -> Response:
        shared.append("seen" in g)
        g.seen = True
        return answer

    with front.with_another_at_work(superuser(own_postgres)):
        sent = [front.send(body) for body in some(5)]
        assert [each.await_answer() for each in sent] == [503] * 5
    assert len(shared) == 2 * 5 + 1
    assert not any(shared)


def test_an_app_that_breaks_when_it_runs_again_ends_the_connection(front: Front, own_postgres: Postgres) -> None:
    served = front.app.wsgi_app

    def breaks(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if late_answers._FAILURE_KEY in environ:
            raise AssertionError
        return served(environ, start_response)

    vars(front.app)["wsgi_app"] = breaks
    with front.with_another_at_work(superuser(own_postgres)):
        sent = [front.send(body) for body in some(3)]
        assert [each.await_answer() for each in sent] == [500] * 3
    assert [each.headers.get("Connection") for each in sent] == ["close"] * 3
    assert_nobody_waits(front)


def test_behind_a_copy_of_its_environment_each_is_committed_by_itself(
    front: Front, own_postgres: Postgres, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a WSGI middleware may make one: what is left in it the server would not see, and answer without a row."""
    served = front.app.wsgi_app
    vars(front.app)["wsgi_app"] = lambda environ, start_response: served(dict(environ), start_response)
    monkeypatch.setattr(front.committer, "_alone", 1)  # another one is at work
    sent = front.send(b"{}")
    assert sent.is_answered
    assert list(rows()) == [UUID(sent.json["delivery_id"])]


def test_an_answer_that_cannot_be_made_keeps_no_place(
    front: Front, own_postgres: Postgres, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> Response:
        raise MemoryError

    with front.with_another_at_work(superuser(own_postgres)) as end:
        with monkeypatch.context() as patch:
            patch.setattr(routes, "_answer", fail)
            assert front.send(b"{}").await_answer() == 500
            patch.setattr(committing, "LeftWebhook", fail)
            assert front.send(b"{}").await_answer() == 500
        assert front.committer._places == 0
        end()
    assert_nobody_waits(front)
    assert len(rows()) == 1


def test_a_hook_that_raises_keeps_no_place_and_leaves_no_row(front: Front, own_postgres: Postgres, rows: Rows) -> None:
    @front.app.after_request
    def fail(answer: Response) -> Response:
        if "HTTP_X_FAILS" in request.environ and answer.status_code == 202:
            raise RuntimeError
        return answer

    with front.with_another_at_work(superuser(own_postgres)) as end:
        assert front.send(b"{}", HTTP_X_FAILS="1").await_answer() == 500
        end()
    assert_nobody_waits(front)
    assert len(rows()) == 1
