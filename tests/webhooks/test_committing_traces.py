"""Each webhook that shares a commit has its own span, which ends once, and a row that names it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from checkout_service.local.servers import Postgres
from checkout_service.telemetry import tracing
from checkout_service.telemetry.tracing import Attribute
from tests.webhooks.front import Front, some
from tests.webhooks.test_committing import front

__all__ = ["front"]  # fixtures


class Recorded:
    """A span, and what became of it."""

    def __init__(self, number: int) -> None:
        self.trace_id, self.span_id = f"{number:032x}", f"{number:016x}"
        self.context = f"00-{self.trace_id}-{self.span_id}-01"
        self.logged: dict[Attribute, str | int] = {}
        self.ended = 0

    def set(self, attribute: Attribute, value: str | int) -> None:
        self.logged[attribute] = value

    def rename(self, name: str) -> None: ...

    def link(self, context: str) -> None: ...

    def fail(self, error: str) -> None: ...

    def end(self) -> None:
        self.ended += 1


class Recorder:
    """It samples every second trace, beginning with the second one."""

    def __init__(self) -> None:
        self.begun: list[Recorded | None] = []

    def begin(self, _name: str, **_named: Any) -> Recorded | None:
        number = len(self.begun) + 1
        self.begun.append(None if number % 2 else Recorded(number))
        return self.begun[-1]

    def stop(self, _within: float) -> None: ...


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    tracing.use(recorder)
    yield recorder
    tracing.use(None)


@pytest.mark.parametrize("ends", [True, False], ids=["committed", "refused"])
def test_every_span_ends_once_with_the_answer_and_is_its_rows(
    front: Front, own_postgres: Postgres, recorder: Recorder, ends: bool
) -> None:
    with psycopg.connect(own_postgres.url("postgres", "shop").replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("TRUNCATE webhook_deliveries")
        with front.with_another_at_work(own_postgres.url("postgres", "shop")) as end:
            sent = [front.send(body) for body in some(8)]
            if ends:
                end()
            statuses = [each.await_answer() for each in sent]
        found = dict(connection.execute("SELECT body, trace_context FROM webhook_deliveries").fetchall())

    assert statuses == [202 if ends else 503] * 8
    assert len(recorder.begun) == 9, "the first at work, and each of the others once"
    own = recorder.begun[1:]
    spans = [span for span in own if span is not None]
    assert [span.ended for span in spans] == [1] * 4
    assert [span.logged[Attribute.STATUS_CODE] for span in spans] == statuses[:4]
    contexts = [span and span.context for span in own]
    if ends:
        assert len(found) == 9
    # Who was refused in time may be committed a moment later, once the lock is gone.
    assert all(found.get(each.body, its) == its for each, its in zip(sent, contexts, strict=True))
