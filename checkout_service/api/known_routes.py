"""Routes of a few exact paths, which are remembered: what is asked hundreds of times a second is matched once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, Final

from flask import Flask, Request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, Rule

MOST_HOSTS: Final = 64
"""So many pairs of host and path are remembered: whoever sends many hosts costs nobody more than the matching."""

Match = tuple[Rule, dict[str, Any]]


class KnownRoute:
    """What Flask finds a request's route by, where the route is known; for anything else the adapter that it stands
    for."""

    def __init__(self, found: Match, make: Callable[[], MapAdapter | None]) -> None:
        self._found = found
        self._make = make

    def match(self, **_options: Any) -> Match:
        """The rule, and its arguments, which are the caller's own."""
        rule, arguments = self._found
        return rule, dict(arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


class KnownRoutes:
    """The routes of POST requests for some paths of one app. The app is whole: it gets no further routes."""

    def __init__(self, app: Flask, paths: Collection[str]) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._match = lru_cache(MOST_HOSTS)(self._matched)

    def find(self, request: Request, make: Callable[[], MapAdapter | None]) -> KnownRoute | None:
        """The request's route, if it is of these and nothing in its head leads elsewhere. ``make`` finds any route."""
        environ = request.environ
        path = environ["PATH_INFO"]
        if path not in self._paths or environ["REQUEST_METHOD"] != "POST" or "HTTP_UPGRADE" in environ:
            return None
        if environ.get("SCRIPT_NAME") or "HTTP_HOST" not in environ:
            return None
        try:
            found = self._match(environ["HTTP_HOST"], path)
        except HTTPException:
            return None
        return KnownRoute(found, make)

    def _matched(self, host: str, path: str) -> Match:
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "HTTP_HOST": host,
            "SERVER_NAME": "",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
        }
        adapter = self._app.url_map.bind_to_environ(environ, subdomain=self._app.url_map.default_subdomain or "")
        rule, arguments = adapter.match(return_rule=True)
        return rule, dict(arguments)
