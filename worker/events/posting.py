"""Posts one event delivery to an address that the policy allows, and reads no more of the answer than it needs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from time import monotonic
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from checkout_service.endpoints.addresses import Policy, RefusedAddressError, allowed, check_url
from worker.events.schedule import read_retry_after

ANSWER_WITHIN: Final = 15.0
"""Seconds for an attempt, from the look-up of the name to the status of the answer."""

READ_UP_TO: Final = 16 * 1024
"""Bytes of an answer that are read; with more its connection is closed."""

KEPT: Final = 1024
"""Bytes of a failure's answer that staff see."""

REST_WITHIN: Final = 1.0
"""Seconds for the rest of an answer that took the event: after that its connection is closed."""

IDLE_FOR: Final = 4.0
"""Seconds for which an idle connection is kept: many servers close theirs after five."""

JUDGED: Final = 10_000
"""URLs that are remembered as allowed."""

RESOLVERS: Final = 32
"""Names that are looked up at once. A name server that does not answer holds one of these for seconds."""

SLOW_RESOLVERS: Final = 8
SLOW_LOOK_UP: Final = 2.0
"""So many names at once that took longer than so many seconds the last time: they hold only each other."""

REMEMBERED: Final = 10_000

_slow_names: Final[OrderedDict[str, None]] = OrderedDict()
"""What this process knows of them, the newest last."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt: the ``status``, or in ``error`` why there is none."""

    status: int | None
    error: str | None
    body: bytes
    seconds: float
    retry_after: timedelta | None = None

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Poster:
    """Posts over connections that are kept for a moment; to be made and closed within a running loop."""

    def __init__(self, policy: Policy, *, most: int, answer_within: float = ANSWER_WITHIN) -> None:
        """``most`` connections are open at once, and ``answer_within`` are the seconds for an attempt."""
        self._policy = policy
        self._answer_within = answer_within
        self._judged: set[str] = set()
        self._resolver = _PolicyResolver(policy)
        connector = _Connector(
            limit=most,
            resolver=self._resolver,
            # A moment, so that hundreds of attempts at once look a name up once.
            ttl_dns_cache=1,
            keepalive_timeout=IDLE_FOR,
            # Whatever named the address, and whatever a later version of the library does: no socket goes elsewhere.
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=answer_within),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def close(self) -> None:
        """Close every connection; whoever still waits for an answer is told nothing."""
        await self._session.close()
        await self._resolver.close()

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """One attempt. It never raises, but when it is cancelled."""
        began = monotonic()
        try:
            self._judge(url)
            try:
                return await self._post(url, headers, body, began)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # A connection that was kept may be closed at this very moment: once more at once, on another one.
                never_connected = isinstance(error, aiohttp.ClientConnectorError)
                if never_connected or monotonic() - began > self._answer_within / 2:
                    raise
                return await self._post(url, headers, body, began)
        except Exception as error:  # noqa: BLE001 (whatever the other side does, it is an attempt that failed)
            return Answer(None, _reason(error), b"", monotonic() - began)

    def _judge(self, url: str) -> None:
        """Raise RefusedAddressError unless the policy allows the URL. What it means never changes; its addresses may,
        so they are judged with each look-up and each connection."""
        if url not in self._judged:
            check_url(url, self._policy)
            if len(self._judged) >= JUDGED:
                self._judged.clear()
            self._judged.add(url)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes, began: float) -> Answer:
        # Both tries have the time of one attempt: a lease is no longer than that.
        left = aiohttp.ClientTimeout(total=self._answer_within - (monotonic() - began))
        response = await self._session.post(url, data=body, headers=headers, allow_redirects=False, timeout=left)
        try:
            status = response.status
            seconds = monotonic() - began
            if not 200 <= status < 300:
                kept = await _read(response)
                return Answer(status, None, kept, seconds, read_retry_after(response.headers.get("Retry-After")))
            # It took the event with its status. The rest is read only so that the connection can be used again.
            if response.content.is_eof():
                response.content.read_nowait(READ_UP_TO)  # all of it came with the status
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(REST_WITHIN):
                        await _read(response)
            return Answer(status, None, b"", seconds)
        finally:
            # Closes the connection unless the answer was read to its end.
            response.close() if not response.content.at_eof() else response.release()

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, target = address
        if not allowed(ip_address(target[0]), self._policy):
            raise RefusedAddressError(f"{target[0]} is no address to send to")
        return socket.socket(family, kind, protocol)


class _Connector(aiohttp.TCPConnector):
    """Takes up no connection on which something came while it was idle.

    The library would take it for the answer to the next request: a receiver that answers twice would have an event
    counted as delivered that it never took.
    """

    async def _get(self, key: Any, traces: Any) -> Any:
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                return connection
            connection.close()
        return None


class _PolicyResolver(AbstractResolver):
    """Looks names up in threads of its own, and leaves out what the policy refuses."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolver")
        self._slow_threads = ThreadPoolExecutor(SLOW_RESOLVERS, thread_name_prefix="slow-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        threads = self._slow_threads if host in _slow_names else self._threads
        found = await asyncio.get_running_loop().run_in_executor(threads, _look_up, host, port, family)
        results: list[ResolveResult] = [
            {
                "hostname": host,
                "host": str(address[0]),
                "port": int(address[1]),
                "family": kind,
                "proto": protocol,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for kind, _, protocol, _, address in found
            if allowed(ip_address(str(address[0])), self._policy)
        ]
        if not results:
            raise RefusedAddressError(f"{host} has no address that is allowed")
        return results

    async def close(self) -> None:
        """End the threads, once what they look up is found."""
        for threads in (self._threads, self._slow_threads):
            threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[Any]:
    """In a thread: what the name resolves to. It is remembered where that took long."""
    began = monotonic()
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
    finally:
        if monotonic() - began > SLOW_LOOK_UP:
            _slow_names[host] = None
            if len(_slow_names) > REMEMBERED:
                _slow_names.popitem(last=False)
        else:
            _slow_names.pop(host, None)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The first KiB of the answer; up to 16 KiB of it are read. A body that breaks off or never ends is no error."""
    kept = b""
    size = 0
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        while size < READ_UP_TO and (chunk := await response.content.readany()):
            size += len(chunk)
            if len(kept) < KEPT:
                kept = (kept + chunk)[:KEPT]
    return kept


def _reason(error: BaseException) -> str:
    """Why an attempt got no answer, in a word that staff and metrics know."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RefusedAddressError):
            return "refused_address"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, (TimeoutError, aiohttp.ServerTimeoutError)):
        return "timeout"
    if isinstance(error, (aiohttp.ClientConnectorDNSError, socket.gaierror)):
        return "unknown_host"
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return "tls"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed"
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return "connection"
    return "malformed"


REASONS: Final = ("refused_address", "timeout", "unknown_host", "tls", "closed", "connection", "malformed")
"""Why an attempt got no answer."""
