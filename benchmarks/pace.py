"""A paced client: sends prepared requests when they are due, whatever became of those before, and times each from then.

Runs as a child: address, file of requests, requests a second, seconds. Prints JSON.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import deque
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 64


class Connection:
    """One kept-alive connection and the request on it; another one once the server has said that this one ends."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self.socket = self._connected()
        self.due = 0.0
        self.read = b""
        self.ends = False

    def _connected(self) -> socket.socket:
        connected = socket.create_connection(self._address)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def renew(self) -> None:
        self.socket.close()
        self.socket, self.ends = self._connected(), False

    def send(self, request: bytes, due: float) -> None:
        if self.ends:
            self.renew()
        self.due = due
        self.read = b""
        self.socket.sendall(request)

    def answered(self) -> int | None:
        """The status once the answer is whole."""
        got = self.socket.recv(65536)
        if not got:
            raise ConnectionError("the server closed a connection")
        self.read += got
        head, found, body = self.read.partition(b"\r\n\r\n")
        if not found:
            return None
        fields = head.lower().split(b"\r\n")
        length = next((int(field[15:]) for field in fields if field.startswith(b"content-length:")), 0)
        self.ends = b"connection: close" in fields
        return int(head[9:12]) if len(body) >= length else None


def main(address: str, path: str, rate: float, seconds: float) -> None:
    """Print how many were answered, in how many seconds, how many failed, and percentiles of their times."""
    target = urlsplit(address)
    host, port = target.hostname or "127.0.0.1", target.port or 80
    requests = cycle([format_request(line, f"{host}:{port}") for line in Path(path).read_bytes().splitlines()])
    idle = deque(Connection(host, port) for _ in range(CONNECTIONS))
    selector = selectors.DefaultSelector()
    for connection in idle:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    times: list[float] = []
    failed = sent = 0
    total = round(rate * seconds)
    started = time.perf_counter()
    while len(times) < total:
        now = time.perf_counter() - started
        while sent < total and idle and sent / rate <= now:
            idle.popleft().send(next(requests), sent / rate)
            sent += 1
        wait = max(0.0, sent / rate - (time.perf_counter() - started)) if sent < total and idle else None
        for key, _ in selector.select(wait):
            connection = key.data
            status = connection.answered()
            if status is not None:
                times.append(time.perf_counter() - started - connection.due)
                failed += status >= 400
                idle.append(connection)
                if connection.ends:
                    selector.unregister(connection.socket)
                    connection.renew()
                    selector.register(connection.socket, selectors.EVENT_READ, connection)
    elapsed = time.perf_counter() - started
    for connection in idle:
        connection.socket.close()
    selector.close()
    times.sort()
    found = {"requests": total, "seconds": elapsed, "failed": failed, "processor_seconds": time.process_time()}
    print(json.dumps({**found, "p50": times[total // 2], "p99": times[total * 99 // 100], "longest": times[-1]}))


def format_request(line: bytes, host: str) -> bytes:
    method, path, headers, body = line.split(b"\t", 3)
    fields = [f"Host: {host}".encode(), b"Content-Length: %d" % len(body), *headers.split(b"|")]
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, path, b"\r\n".join(fields), body)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
