"""Late answers: a view leaves its answer to another thread, and its request takes no thread and no slot until then.

What is kept of the request is its environment, its way back and what the view has answered. Who has the work sends that
with another body, or has the request fail: then the app runs again and raises what failed before anything else looks at
the request, so that such an answer is made, counted and logged like any other of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any, Final, Protocol

import structlog
from flask import Flask, Response

from checkout_service.at_work import request_at_work
from checkout_service.server.own_answers import Announcing, Own
from checkout_service.telemetry import request_log, tracing

_OFFERED_KEY: Final = "checkout_service.server.late_answers"
"""Under this key of a request's environment stands which environment the server looks into, if it can answer late."""

LEFT_KEY: Final = "checkout_service.server.left"
"""Under this key stand the work that a view has left, and the status of the view's answer."""

_FAILURE_KEY: Final = "checkout_service.server.failure"

_NOT_TWICE: Final = (_OFFERED_KEY, LEFT_KEY, "werkzeug.request")
"""What a request that runs again has no use for."""

log = structlog.get_logger(__name__)

Serve = Callable[[Announcing, dict[str, Any]], None]
"""Answers one request by the app, in this thread."""


class Work(Protocol):
    """What a view leaves. Neither of these waits, and neither raises."""

    def begin(self, answer: LateAnswer, /) -> None:
        """Take the answer, and send it once, from any thread."""

    def drop(self) -> None:
        """Have nothing done: the request was answered otherwise."""


class LateAnswer:
    """The answer to one request, which waits for its work. It is sent or fails once; neither raises."""

    __slots__ = ("_begun", "_client", "_environ", "_headers", "_held", "_let_go", "_serve", "_status")

    def __init__(
        self,
        client: Announcing,
        environ: dict[str, Any],
        status: int,
        headers: list[tuple[str, str]],
        *,
        held: int,
        let_go: Callable[[int], None],
        serve: Serve,
    ) -> None:
        """``held`` bytes of the request's body are counted until it is answered, then ``let_go`` gives them back."""
        self._client = client
        self._environ = environ
        self._status = status
        self._headers = headers
        self._held = held
        self._let_go = let_go
        self._serve = serve
        self._begun = request_log.interrupt(environ)

    def send(self, body: bytes) -> None:
        """Send what the view has answered, with this body, which is as long as the view's was."""
        try:
            request_log.resume(self._environ, self._begun, has_waited=False)
            request_log.end(self._environ, route=self._begun.route, status=self._status)
        except BaseException:  # noqa: BLE001 (it is logged there, and whoever has the work has others to answer)
            self._give_up()
            self._let_go(self._held)
        else:
            self._send(body)

    def _send(self, body: bytes) -> None:
        try:
            self._client.response_bytes(self._status, self._headers, body)
        except BaseException:  # noqa: BLE001 (the same)
            self._give_up()
        finally:
            self._let_go(self._held)

    def fail(self, error: BaseException) -> None:
        """Answer what the app answers where the view raises this."""
        try:
            # Nothing of the thread's own, or of others that fail in it, is seen by this request: it has an app context
            # of its own.
            Context().run(self._serve_again, error)
        except BaseException:  # noqa: BLE001 (it is logged there, and whoever has the work has others to answer)
            self._give_up()
        finally:
            self._let_go(self._held)

    def _serve_again(self, error: BaseException) -> None:
        environ = {name: value for name, value in self._environ.items() if name not in _NOT_TWICE}
        environ[_FAILURE_KEY] = error
        request_log.resume(environ, self._begun, has_waited=False)
        self._serve(self._client, environ)

    def _give_up(self) -> None:
        """Answer that something failed, if even that can be said."""
        with suppress(BaseException):
            request_log.resume(self._environ, self._begun, has_waited=False)
        with suppress(BaseException):
            log.exception("late_answer_failed")
        with suppress(BaseException):
            Own(self._client, self._environ, self._begun.started).fail()


def send_together(answers: Sequence[tuple[LateAnswer, bytes]]) -> None:
    """Send what the views have answered, each with its body. Their lines are written first, together.

    A line by itself costs as much as half of an answer, and lets another thread have the interpreter.
    """
    if len(answers) == 1 or tracing.is_on():
        for answer, body in answers:
            answer.send(body)
        return
    try:
        request_log.end_together([(answer._begun, answer._status) for answer, _ in answers])
    except BaseException:
        # They are committed: nothing of this is a reason to leave one of them unanswered.
        with suppress(BaseException):
            log.exception("late_answers_not_noted")
    for answer, body in answers:
        answer._send(body)


def init_app(app: Flask) -> None:
    """From here on a request that runs again raises what its work failed with.

    It has passed once what comes after this, and some of that waits for the database: whoever answers it must not.
    """
    app.before_request(_raise_failure)


def offer(environ: dict[str, Any]) -> None:
    """Have the view of this request leave its answer if it likes."""
    environ[_OFFERED_KEY] = id(environ)


def is_possible(environ: Mapping[str, Any]) -> bool:
    """Whether the view of this request may leave its answer: the server can send it late.

    In a copy of the environment, as a WSGI middleware may make one, the server would not find what is left.
    """
    return environ.get(_OFFERED_KEY) == id(environ)


def leave(work: Work, answer: Callable[[], Response]) -> Response:
    """Leave the answer of the view, which is made here, at work. Its client is sent none before the work is done.

    The work begins once the answer is whole, hooks of the app included. Where one of them has made it an answer of
    another status, that goes out at once and the work is dropped.
    """
    environ = request_at_work().environ
    environ[LEFT_KEY] = work, 0  # first: whatever is raised from here on has the work dropped
    made = answer()
    environ[LEFT_KEY] = work, made.status_code
    request_log.postpone(environ, made.status_code)
    return made


def _raise_failure() -> None:
    failure: BaseException | None = request_at_work().environ.get(_FAILURE_KEY)
    if failure is not None:
        raise failure.with_traceback(None)
