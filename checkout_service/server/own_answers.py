"""A request's way back to its client, and the answers that the server gives by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import orjson

from checkout_service.api.heads import API_VERSION, is_of_api
from checkout_service.api.problem_documents import CONTENT_TYPE, document, document_of_status
from checkout_service.api.problems import Problem
from checkout_service.api_versions import API_VERSIONS
from checkout_service.server.bodies import CLOSES_KEY, WEBHOOK_PATH
from checkout_service.server.cors import Cors
from checkout_service.telemetry import metrics, request_log

OF_PROBES: Final = ("GET", "HEAD")
"""Methods that a probe's path takes."""

_CLOSE: Final = ("Connection", "close")


class Granian(Protocol):
    """One request's way back to its client, as Granian hands it in; the first answer counts."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None: ...

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any, /) -> None: ...


class Announcing:
    """A request's way back, on which every answer says whether its connection is closed after it, and who may read it.

    So no answer can be forgotten, whoever gives it. ``ends`` tells whether the connection from a port is closed.
    """

    __slots__ = ("_cors", "_ends", "_environ", "inner")

    def __init__(
        self, client: Granian, environ: dict[str, Any], ends: Callable[[str], bool], cors: Cors | None = None
    ) -> None:
        self.inner = client
        self._environ = environ
        self._ends = ends
        self._cors = cors

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None:
        self.inner.response_bytes(status, self._announced(headers), body)

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any, /) -> None:
        self.inner.response_iter(status, self._announced(headers), body)

    def _announced(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        if self._cors is not None:
            headers = self._cors.answered(self._environ, headers)
        closes = CLOSES_KEY in self._environ or self._ends(self._environ.get("REMOTE_PORT", ""))
        return [*headers, _CLOSE] if closes and _CLOSE not in headers else headers


class Own:
    """The answers that the adapter gives by itself, to one request."""

    def __init__(self, client: Granian, environ: dict[str, Any], arrived: float) -> None:
        self._client = client
        self._environ = environ
        self._request_id = request_log.begin(environ, since=arrived)

    def time_out(self) -> None:
        """The body is not whole, and its sender is probably gone: nothing was done."""
        self._environ[CLOSES_KEY] = True
        self._send("gone", document_of_status(408, instance=self._path(), request_id=self._request_id))

    def refuse(self, problem: Problem) -> None:
        """Too many wait, and nothing was done; or too many read."""
        self._send(
            "refused", document(problem, instance=self._path(), request_id=self._request_id), headers=problem.headers
        )

    def fail(self) -> None:
        """The app raised, or Granian did."""
        self._environ[CLOSES_KEY] = True
        self._send("broken", document_of_status(500, instance=self._path(), request_id=self._request_id))

    def answer_probe(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """What was seen last; to HEAD without the body, and with its length."""
        request_log.end(self._environ, route=self._path(), status=status)
        named = {**headers, request_log.REQUEST_ID: self._request_id}
        if self._environ["REQUEST_METHOD"] == "HEAD":
            named["Content-Length"], body = str(len(body)), b""
        self._client.response_bytes(status, list(named.items()), body)

    def answer_preflight(self, headers: list[tuple[str, str]]) -> None:
        """What a page may send, or nothing: the same for every path."""
        request_log.end(self._environ, route="preflight" if headers else "preflight-refused", status=204)
        self._client.response_bytes(204, [(request_log.REQUEST_ID, self._request_id), *headers], b"")

    def refuse_method(self) -> None:
        """A probe's path takes no other method."""
        shown = document_of_status(405, instance=self._path(), request_id=self._request_id)
        self._send(self._path(), shown, headers={"Allow": ", ".join(OF_PROBES)})

    def _send(self, route: str, shown: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        request_log.end(self._environ, route=route, status=shown["status"])
        if self._environ["PATH_INFO"].startswith(WEBHOOK_PATH):
            metrics.webhook_refused_total.labels(shown["type"].rpartition("/")[2]).inc()
        named = {
            "Content-Type": CONTENT_TYPE,
            "Cache-Control": "no-store",
            request_log.REQUEST_ID: self._request_id,
            **(headers or {}),
        }
        if is_of_api(self._environ):
            named[API_VERSION] = API_VERSIONS.newest
        self._client.response_bytes(shown["status"], list(named.items()), orjson.dumps(shown))

    def _path(self) -> str:
        # WSGI gives the path's bytes as Latin-1 (PEP 3333); they are UTF-8, or a stranger's joke.
        return str(self._environ["PATH_INFO"]).encode("latin-1", "replace").decode("utf-8", "replace")
