"""Shops' servers, as cheap as Python can be: each request is answered 204 at once, and when it came is remembered.

Runs as a process beside the benchmark: a port to be asked at, then a port for each receiver. What is posted to
``/slow`` is answered only after SLOW seconds. Asked in lines: ``until N`` is answered once N requests came, ``take``
with all that came since the last one, as JSON: [seconds since 1970, webhook-id, port].
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final, cast

SLOW: Final = 14.5
"""Seconds: as long as a sender waits at all, but for a moment, so that it is taken in the end."""

_ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH: Final = b"content-length: "
_ID: Final = b"webhook-id: "


class Arrivals:
    """What came to the receivers of this process."""

    def __init__(self) -> None:
        self.count = 0
        self._seen: list[tuple[float, str, int]] = []
        self._awaited: tuple[int, asyncio.Event] | None = None

    def add(self, event_id: str, port: int) -> None:
        self._seen.append((time.time(), event_id, port))
        self.count += 1
        if self._awaited is not None and self.count >= self._awaited[0]:
            self._awaited[1].set()

    async def until(self, count: int) -> None:
        if self.count < count:
            self._awaited = (count, asyncio.Event())
            await self._awaited[1].wait()

    def take(self) -> list[tuple[float, str, int]]:
        seen, self._seen, self.count = self._seen, [], 0
        return seen


class Receiver(asyncio.Protocol):
    """One connection of a sender."""

    def __init__(self, arrivals: Arrivals, port: int) -> None:
        self._arrivals = arrivals
        self._port = port
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found:
            return
        fields = head.lower()
        if len(body) < int(_field(fields, _LENGTH)):
            return
        self._read = b""
        if head.startswith(b"POST /slow"):
            asyncio.get_running_loop().call_later(SLOW, self._answer)
            return
        self._arrivals.add(_field(fields, _ID).decode(), self._port)
        self._answer()

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_ANSWER)


def _field(fields: bytes, name: bytes) -> bytes:
    return fields.partition(name)[2].partition(b"\r\n")[0]


async def main(control: int, ports: list[int]) -> None:
    arrivals = Arrivals()
    loop = asyncio.get_running_loop()
    for port in ports:
        await loop.create_server(lambda port=port: Receiver(arrivals, port), "127.0.0.1", port)  # type: ignore[misc]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := (await reader.readline()).decode().split():
            if line[0] == "until":
                await arrivals.until(int(line[1]))
            writer.write(json.dumps(arrivals.take() if line[0] == "take" else arrivals.count).encode() + b"\n")

    server = await asyncio.start_server(answer, "127.0.0.1", control)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
