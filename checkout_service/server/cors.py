"""Lets the pages of other origins use the API in a browser: CORS, the part of the Fetch standard that is a server's.

It is ours and not flask-cors's, since that lives in the app: a browser would see none of the answers that the adapter
gives by itself (408, 429, 503, the 304 of a long poll), and each preflight would take a slot. What is left to write is
three headers.

A browser asks by a preflight, which carries no token, and then shows an answer to its page if the answer names the
page's origin. That keeps nobody out who is no browser: what opens the API are tokens. Cookies never come with such a
request, since no answer allows credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPMethod
from typing import Any, Final

from flask import Flask

from checkout_service.server.bodies import WEBHOOK_PATH
from checkout_service.server.slots import ENVIRON_KEY
from checkout_service.settings.origins import Origins

CORS_KEY: Final = "checkout_service.server.cors"
"""Under this key of an app's extensions stands its ``Cors``; None where no other origin may come."""

API: Final = "/api/"

MAX_AGE: Final = "7200"
"""Seconds for which a browser need not ask again; Chromium takes no more."""

REQUEST_HEADERS: Final = (
    *("Authorization", "Content-Type", "Idempotency-Key", "Cart-Token"),
    *("If-None-Match", "If-Match", "API-Version", "traceparent"),
)
"""What a page may send, beside what it always may. Some of it is read by later versions alone."""

EXPOSED: Final = (
    *("ETag", "X-Request-Id", "Idempotent-Replayed", "Retry-After"),
    *("RateLimit", "RateLimit-Policy", "Location", "API-Version"),
)
"""What a page may read of an answer's headers, beside what it always may."""

Headers = list[tuple[str, str]]
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Cors:
    """What the API's answers say to browsers, by the request's Origin. ``methods`` are those that the API has."""

    def __init__(self, origins: Origins, *, methods: Iterable[str]) -> None:
        self._origins = origins
        self._preflight: Headers = [
            ("Access-Control-Allow-Methods", ", ".join(sorted(methods))),
            ("Access-Control-Allow-Headers", ", ".join(REQUEST_HEADERS)),
            ("Access-Control-Max-Age", MAX_AGE),
        ]

    def is_preflight(self, environ: Mapping[str, Any]) -> bool:
        """Whether a browser asks if a page may send a request. Any other OPTIONS is the app's."""
        return (
            environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ORIGIN" in environ
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            and covers(environ["PATH_INFO"])
        )

    def preflight_headers(self, environ: Mapping[str, Any]) -> Headers:
        """What the answer to a preflight has beside ``answered``: nothing for an origin that is refused.

        Every path has the same answer, whether there is something or not: what is there is said to who may read it.
        """
        return self._preflight if self._origins.admits(environ["HTTP_ORIGIN"]) else []

    def answered(self, environ: Mapping[str, Any], headers: Headers) -> Headers:
        """The headers of any answer to this request, with those for its browser. The list is left as it is.

        Who is refused, and who sent no Origin, is answered differently from who is let in: so all vary by it, and no
        cache gives one's answer to another.
        """
        if not covers(environ["PATH_INFO"]):
            return headers
        named = _varying(headers)
        origin = environ.get("HTTP_ORIGIN")
        # Two of them come joined by a comma, and one with a byte beyond ASCII comes empty: neither is ever a name.
        if origin and self._origins.admits(origin):
            named += [("Access-Control-Allow-Origin", origin), _EXPOSES]
        return named

    def in_front_of(self, app: Wsgi) -> Wsgi:
        """The app as a server other than ours serves it. Ours has said it all by itself, and is left alone."""

        def served(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            if ENVIRON_KEY in environ:
                return app(environ, start_response)
            if self.is_preflight(environ):
                start_response("204 NO CONTENT", self.answered(environ, [*self.preflight_headers(environ)]))
                return []

            def start(line: str, headers: Headers, *error: Any) -> Any:
                return start_response(line, self.answered(environ, headers), *error)

            return app(environ, start)

        return served


def covers(path: str) -> bool:
    """Whether pages of other origins may use this path: the API, its document too, but no receiver of webhooks."""
    return path.startswith(API) and path != WEBHOOK_PATH and not path.startswith(_WEBHOOKS)


def connect_cors(app: Flask, origins: Origins | None) -> None:
    """Give the app its ``Cors``. Must come after every room has registered its routes."""
    if origins is None:
        app.extensions[CORS_KEY] = None
        return
    rules = (rule for rule in app.url_map.iter_rules() if covers(rule.rule))
    methods = {method for rule in rules for method in rule.methods or ()} - {HTTPMethod.OPTIONS}
    cors = app.extensions[CORS_KEY] = Cors(origins, methods=methods)
    app.wsgi_app = cors.in_front_of(app.wsgi_app)  # type: ignore[method-assign, assignment]  # Flask's own way


def _varying(headers: Headers) -> Headers:
    """A copy that says that the answer depends on the Origin, once."""
    places = [place for place, (name, _) in enumerate(headers) if name.lower() == "vary"]
    if not places:
        return [*headers, _VARY]
    known = {field.strip().lower() for place in places for field in headers[place][1].split(",")}
    if not known.isdisjoint({"origin", "*"}):
        return [*headers]
    name, value = headers[places[0]]
    return [*headers[: places[0]], (name, f"{value}, Origin" if value else "Origin"), *headers[places[0] + 1 :]]


_VARY: Final = ("Vary", "Origin")
_EXPOSES: Final = ("Access-Control-Expose-Headers", ", ".join(EXPOSED))
_WEBHOOKS: Final = f"{WEBHOOK_PATH}/"
