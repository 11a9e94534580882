"""TLS in front of a server that speaks none, with a certificate of a CA of the tests' own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.providers.kits.authority import Issued, issue

SINCE = datetime(2020, 1, 1, tzinfo=UTC)


def write_authority(folder: Path, name: str) -> tuple[Issued, Path]:
    """A CA, and the file that names it."""
    authority = issue(name, by=None, authority=True, since=SINCE)
    file = folder / f"{name}.pem"
    file.write_bytes(authority.pem)
    return authority, file


def write_certificate(folder: Path, host: str, *, by: Issued) -> Path:
    """A file with a certificate of that host, and with its key."""
    issued = issue(host, by=by, since=SINCE)
    file = folder / f"{host}.pem"
    file.write_bytes(issued.pem + issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


@contextmanager
def behind_tls(port: int, certificate: Path) -> Iterator[int]:
    """The port of 127.0.0.1 that forwards to the other, once a handshake is done."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # a client that refuses the certificate is what is looked at
    thread = Thread(target=loop.run_forever, name="tls")
    thread.start()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        finally:
            for each in (writer, inner_writer):
                each.transport.abort()

    def done(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    server = done(asyncio.start_server(forward, "127.0.0.1", 0, ssl=context))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done(_end(server))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.1)  # what was aborted is closed by the loop's next rounds
