"""What we override of Flask calls what Flask calls, in the same order, whatever becomes of the request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, after_this_request, request, signals
from flask.testing import FlaskClient

from checkout_service.api.synchronous_flask import SynchronousFlask

SIGNALS = (
    signals.appcontext_pushed,
    signals.request_started,
    signals.request_finished,
    signals.got_request_exception,
    signals.request_tearing_down,
    signals.appcontext_tearing_down,
    signals.appcontext_popped,
)

STEPS = ("url_value_preprocessor", "before_request", "after_request", "teardown_request")

PATHS = ("/", "/refused", "/failing", "/outer/", "/outer/inner/7", "/nowhere")


class Watched:
    """An app of a kind, which notes what is called: two functions at each step of the app and of two blueprints."""

    def __init__(self, kind: type[Flask], *, without: tuple[str, ...] = (), faulty: str = "") -> None:
        self.app = kind("watched", static_folder=None)
        self.called: list[Any] = []
        self._faulty = faulty
        outer, inner = (
            Blueprint("outer", "outer", url_prefix="/outer"),
            Blueprint("inner", "inner", url_prefix="/inner"),
        )
        for room in (self.app, outer, inner):
            for step in STEPS:
                for turn in (1, 2) if step not in without else ():
                    getattr(room, step)(self._noting(f"{room.name} {step} {turn}"))
        self.app.teardown_appcontext(self._noting("teardown_appcontext"))
        for room, rule in ((self.app, "/"), (self.app, "/refused"), (self.app, "/failing"), (outer, "/")):
            room.add_url_rule(rule, rule.strip("/") or "view", self._view)
        inner.add_url_rule("/<number>", "numbered", self._view)
        outer.register_blueprint(inner)
        self.app.register_blueprint(outer)

    def _noting(self, step: str) -> Callable[..., Any]:
        def note(*given: Any) -> Any:
            self.called.append((step, *map(repr, given)))
            if step == self._faulty:
                raise ValueError(step)
            if "before_request" in step and request.path == "/refused" and step.endswith("2"):
                return "refused", 403
            return given[0] if "after_request" in step else None

        return note

    def _view(self, **given: Any) -> str:
        self.called.append(("view", given))
        for turn in (1, 2):
            after_this_request(self._noting(f"after_request of this {turn}"))
        if request.path == "/failing":
            raise ValueError
        return "answered"

    def ask(self, path: str, *, listens: bool) -> list[Any]:
        """What is called for a request, and what it is answered."""
        self.called = []
        with ExitStack() as stack:
            for signal in SIGNALS if listens else ():
                stack.enter_context(signal.connected_to(self._note_signal(signal.name), self.app))
            with suppress(ValueError):
                with self.app.test_client() as client:
                    answer = client.get(path)
                    self.called.append(("in the block", request.path))
                self.called.append((answer.status_code, answer.data))
        return self.called

    def _note_signal(self, name: str) -> Callable[..., None]:
        return lambda _app, **given: self.called.append((name, sorted(given), repr(given.get("exc"))))


def _both(path: str, *, listens: bool, **traits: Any) -> tuple[list[Any], list[Any]]:
    ours, theirs = (Watched(kind, **traits).ask(path, listens=listens) for kind in (SynchronousFlask, Flask))
    return ours, theirs


@pytest.mark.parametrize("listens", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("path", PATHS)
def test_all_steps_are_those_of_flask(path: str, listens: bool) -> None:
    ours, theirs = _both(path, listens=listens)

    assert ours == theirs
    assert len(ours) > 10


@pytest.mark.parametrize("listens", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_nobody_takes_is_none(step: str, path: str, listens: bool) -> None:
    ours, theirs = _both(path, listens=listens, without=(step,))

    assert ours == theirs


@pytest.mark.parametrize("room", ["watched", "outer", "inner"])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_ends_as_in_flask(step: str, room: str) -> None:
    ours, theirs = _both("/outer/inner/7", listens=True, faulty=f"{room} {step} 1")

    assert ours == theirs


@pytest.mark.parametrize("kind", [SynchronousFlask, Flask])
def test_what_comes_after_a_request_may_answer_in_its_place(kind: type[Flask]) -> None:
    app = kind("replacing", static_folder=None)
    app.add_url_rule("/", "view", lambda: "first")
    app.after_request(lambda answer: Response(answer.data + b" second"))
    app.after_request(lambda answer: Response(answer.data + b" third"))

    assert app.test_client().get("/").data == b"first third second"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/listings", 200),
        ("GET", "/api/cart", 401),
        ("GET", "/api/nothing", 404),
        ("PUT", "/api/listings", 405),
        ("OPTIONS", "/api/listings", 200),
        ("POST", "/api/payments/webhook", 400),
        ("GET", "/api/openapi.json", 200),
    ],
)
def test_what_is_added_to_every_answer_is_there_once(client: FlaskClient, method: str, path: str, status: int) -> None:
    """It is added, and nothing is looked for: an answer that were kept and given again would have it twice."""
    for _ in range(3):
        answer = client.open(path, method=method)
        assert answer.status_code == status
        assert [len(answer.headers.getlist(name)) for name in ("X-Request-Id", "API-Version")] == [1, 1]
