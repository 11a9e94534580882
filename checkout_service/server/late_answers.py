"""Late answers: a view leaves its answer to another thread, and its request takes no thread and no slot until then.

What is kept of the request is its environment, its way back and what the view has answered. Who has the work sends that
with another body, or has the request fail: then the app runs again from the beginning and its view raises what failed,
so that such an answer is made, counted and logged like any other of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import structlog
from flask import Response, request

from checkout_service.server.own_answers import Announcing, Own
from checkout_service.telemetry import request_log

ENVIRON_KEY: Final = "checkout_service.server.late_answers"
"""Stands in the environment of a request whose server can answer it late."""

LEFT_KEY: Final = "checkout_service.server.left"
"""Under this key stand the work that a view has left, and the status of the view's answer."""

_FAILURE_KEY: Final = "checkout_service.server.failure"

_NOT_TWICE: Final = (ENVIRON_KEY, LEFT_KEY, "werkzeug.request")
"""What a request that runs again has no use for."""

log = structlog.get_logger(__name__)

Serve = Callable[[Announcing, dict[str, Any], int], None]
"""Answers one request by the app, in this thread, and lets go of so many bytes of its body; never raises."""


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
            self._client.response_bytes(self._status, self._headers, body)
        except BaseException:
            log.exception("late_answer_failed")
            Own(self._client, self._environ, self._begun.started).fail()
        finally:
            self._let_go(self._held)

    def fail(self, error: BaseException) -> None:
        """Answer what the app answers where the view raises this."""
        environ = {name: value for name, value in self._environ.items() if name not in _NOT_TWICE}
        environ[_FAILURE_KEY] = error
        request_log.resume(environ, self._begun, has_waited=False)
        self._serve(self._client, environ, self._held)


def is_possible(environ: Mapping[str, Any]) -> bool:
    """Whether the view of this request may leave its answer: the server can send it late."""
    return ENVIRON_KEY in environ


def raise_failure(environ: Mapping[str, Any]) -> None:
    """Raise what the work failed with that this request's view has left, if the request runs again for that."""
    failure: BaseException | None = environ.get(_FAILURE_KEY)
    if failure is not None:
        raise failure.with_traceback(None)


def leave(answer: Response, work: Work) -> Response:
    """Leave the answer of the view at work. Its client is sent none before the work is done.

    The work begins once the answer is whole, hooks of the app included. Where one of them has made it an answer of
    another status, that goes out at once and the work is dropped.
    """
    environ = request.environ
    environ[LEFT_KEY] = work, answer.status_code
    request_log.postpone(environ, answer.status_code)
    return answer
