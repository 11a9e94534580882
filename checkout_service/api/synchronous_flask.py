"""Flask, but for what it does at every request that is nothing here: coroutines, sessions, and looks at proxies.

What is overridden does what Flask's own does, in the same order: a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from flask import Flask, Request, Response, request_tearing_down
from flask.sessions import NullSession, SessionInterface, SessionMixin
from werkzeug.routing import MapAdapter

from checkout_service.api.known_routes import KnownRoutes
from checkout_service.at_work import context_at_work, request_at_work


class NoSessions(SessionInterface):
    """Flask's sessions are not used: each request is handed the same one, which refuses whatever is put into it."""

    def __init__(self) -> None:
        self._session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nothing is kept."""


class SynchronousFlask(Flask):
    """Flask that does not ask, at every step of every request, whether a function is a coroutine: none is.

    The routes of what is asked most are remembered.
    """

    session_interface = NoSessions()
    known_routes: KnownRoutes | None = None

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is not None and self.known_routes is not None:
            found = self.known_routes.find(request, partial(super().create_url_adapter, request))
            if found is not None:
                return cast("MapAdapter", found)
        return super().create_url_adapter(request)

    def preprocess_request(self) -> Any:
        request = request_at_work()
        names = (None, *reversed(request.blueprints))
        for name in names:
            for look in self.url_value_preprocessors.get(name, ()):
                look(request.endpoint, request.view_args)
        for name in names:
            for check in self.before_request_funcs.get(name, ()):
                answer = check()
                if answer is not None:
                    return answer
        return None

    def process_response(self, response: Response) -> Response:
        # No session is saved: there is none, see above.
        context = context_at_work()
        for finish in context._after_request_functions:
            response = finish(response)  # type: ignore[assignment]  # of a coroutine it would be something else
        for name in (*context.request.blueprints, None):
            for finish in reversed(self.after_request_funcs.get(name, ())):
                response = finish(response)
        return response

    def do_teardown_request(self, *exc: Any, **named: Any) -> None:
        # Where nobody has anything to do then, Flask finds that out by the names of all blueprints of the route.
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(*exc, **named)
