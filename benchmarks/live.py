"""Clients that wait for a change of their payments: what 2,000 of them cost a child, and how soon all are answered."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import jwt
import psutil

from benchmarks import seeds
from benchmarks.report import Report, load_average, milliseconds, percentile
from benchmarks.stand import Stand
from benchmarks.usage import own_memory, spent

WAIT: Final = 30
"""Seconds that each client offers to wait."""

AT_ONCE: Final = 400
"""So many come at once: less than find room in the line for a slot."""

_LARGER: Final = "UPDATE payments SET version = version + 1 WHERE id = ANY(%s)"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, float]:
        """The status, and the moment at which it came."""
        status, _, _ = await _read(self.reader)
        self.writer.close()
        return status, time.perf_counter()


def run(stand: Stand, *, quick: bool) -> Report:
    clients = 200 if quick else 2000
    report = Report(title=f"{clients} clients that wait for a change, in one child")
    report.remark(load_average())
    with stand.connect() as connection:
        seeds.add_payments(connection, first=0, count=clients)
        ids = [row[0] for row in connection.execute("SELECT id FROM payments")]
        stand.start("web", WEB_CONCURRENCY="1")
        stand.await_http(f"http://127.0.0.1:{stand.environment['PORT']}", "/readyz", "web")
        asyncio.run(_measure(stand, report, connection, ids, seconds=2 if quick else 5))
        stand.stop("web")
    return report


async def _measure(stand: Stand, report: Report, connection: Any, ids: list[UUID], *, seconds: int) -> None:
    port = int(stand.environment["PORT"])
    (master,) = psutil.Process(stand.pids()["web"]).children()
    (child,) = master.children()
    head = _head(stand.environment["JWT_SECRET"])
    etags = await _etags(port, head, ids)  # this warms it up as well
    memory, threads = sum(own_memory(child.pid).values()), child.num_threads()

    waiting: list[Waiting] = []
    for start in range(0, len(ids), AT_ONCE):
        some = zip(ids[start : start + AT_ONCE], etags[start : start + AT_ONCE], strict=True)
        waiting += [await _ask(port, head, id_, etag) for id_, etag in some]
        await _until_all_wait(port, len(waiting))
    more = sum(own_memory(child.pid).values()) - memory
    report.add("memory for all that wait", f"{more / 2**20:.0f} MiB, {more / len(ids) / 1024:.0f} KiB each")
    report.add("threads, before and with them", f"{threads}, {child.num_threads()}")
    spent_before = spent(child.pid)
    await asyncio.sleep(seconds)
    report.add("processor time while nothing changes", f"{(spent(child.pid) - spent_before) / seconds:.1%} of a core")

    few, rest = waiting[:20], waiting[20:]
    for name, group, changed in (("20 of them", few, ids[:20]), ("all others at once", rest, ids[20:])):
        answers = [asyncio.create_task(each.answer()) for each in group]
        began = time.perf_counter()
        await asyncio.to_thread(connection.execute, _LARGER, (changed,))
        found = await asyncio.gather(*answers)
        if any(status != 200 for status, _ in found):
            raise RuntimeError("an answer was no change")
        after = [moment - began for _, moment in found]
        report.add(
            f"change to answer, {name}: p50, last", f"{milliseconds(percentile(after, 0.5))}, {max(after):.2f} s"
        )
    report.add("threads at the end", f"{child.num_threads()}")


async def _etags(port: int, head: str, ids: list[UUID]) -> list[str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    for id_ in ids:
        writer.write(f"GET /api/payments/{id_} {head}\r\n".encode())
        _, headers, _ = await _read(reader)
        found.append(headers["etag"])
    writer.close()
    return found


async def _ask(port: int, head: str, id_: UUID, etag: str) -> Waiting:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/payments/{id_}?wait={WAIT} {head}If-None-Match: {etag}\r\n\r\n".encode())
    return Waiting(reader=reader, writer=writer)


async def _until_all_wait(port: int, count: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    deadline = time.monotonic() + WAIT / 2
    body = b""
    while f"http_long_polls_waiting {float(count)}".encode() not in body:
        if time.monotonic() > deadline:
            raise TimeoutError("they do not all wait")
        await asyncio.sleep(0.1)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n")
        _, _, body = await _read(reader)
    writer.close()


async def _read(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    status = int(first.split()[1])
    return status, headers, b"" if status == 304 else await reader.readexactly(int(headers["content-length"]))


def _head(secret: str) -> str:
    """What follows the path. Staff have no bound of their own, so that one token is enough."""
    claims = {"sub": str(uuid4()), "scope": "payments:read", "exp": datetime.now(UTC) + timedelta(hours=1)}
    token = jwt.encode(claims, secret, "HS256")
    return f"HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
