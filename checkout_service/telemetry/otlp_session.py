"""The HTTP session of the exporter: a collector that lies or stalls costs it bounded time and memory.

``requests`` by itself reads an answer to its end, however long, bounds each read and not all of them, follows what a
redirect's body holds, and takes proxies and passwords from the environment and from ~/.netrc.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from threading import Event, Lock, Timer
from typing import Any, Final

from requests import HTTPError, PreparedRequest, RequestException, Response, Session, Timeout
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError as UnreadError

LARGEST_ANSWER: Final = 64 * 1024
"""Bytes that are read of an answer's body; the connection of a longer one is closed. A collector's answer is empty, or
a few words about what it did not take."""


class BoundedSession(Session):
    """A session whose requests end within their timeout, all of it; one thread uses it at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._watch = _Watch()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _WatchedAdapter(self._watch))

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """Send it and read as much of the answer as is read. Raises RequestException, of a redirect HTTPError."""
        seconds = options.get("timeout")
        if not isinstance(seconds, int | float):
            raise TypeError("a request without a timeout, in seconds")
        overdue = Event()
        timer = Timer(seconds, self._watch.hang_up, (overdue,))
        timer.daemon = True
        timer.start()
        try:
            response = super().send(request, **{**options, "stream": True})
            try:
                response._content = response.raw.read(LARGEST_ANSWER, decode_content=False)
                response._content_consumed = True
            except UnreadError as error:  # requests translates it where it reads the body itself
                raise RequestException(error, response=response) from error
            finally:
                response.raw.close()  # of an answer that was read whole the connection is back in its pool
        finally:
            timer.cancel()
        if overdue.is_set():  # headers and bodies that are cut off look whole to some of these libraries
            raise Timeout("the answer did not end in time", response=response)
        if 300 <= response.status_code < 400:
            raise HTTPError(f"a redirect, {response.status_code}, is not followed", response=response)
        return response

    def get_redirect_target(self, resp: Response) -> None:
        """None: to look where a redirect leads, requests would read all of its body."""

    def close(self) -> None:
        """Close the connection."""
        super().close()
        self._watch.hold(None)


class _Watch:
    """Holds the socket of the connection there is, to hang up on it from another thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: socket.socket | None = None

    def hold(self, connection: socket.socket | None) -> None:
        """Hold this one in place of the last; a copy of it, since TLS takes the socket itself away."""
        with self._lock:
            if self._held is not None:
                self._held.close()
            self._held = None if connection is None else connection.dup()

    def hang_up(self, overdue: Event) -> None:
        """End whatever waits for it, and note that it did not end by itself."""
        overdue.set()
        with self._lock, suppress(OSError):
            if self._held is not None:
                self._held.shutdown(socket.SHUT_RDWR)


class _WatchedAdapter(HTTPAdapter):
    def __init__(self, watch: _Watch) -> None:
        self._watch = watch
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        watch = self._watch

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                found = super()._new_conn()
                watch.hold(found)
                return found

        class Encrypted(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                found = super()._new_conn()
                watch.hold(found)
                return found

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}
