"""The sender's floor: a bare process that signs and posts the same bodies to its receivers, with the same client.

It knows nothing of lanes, leases, attempts and addresses, and writes nothing down. Waits for a ``go`` in Redis before
each run. Arguments: its number, a file with an event a line (id, tab, body), and the addresses.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import redis

from worker.events.health import SHARE

GO: Final = "floor-events-go-{}"


def main(number: int, file: Path, urls: list[str]) -> None:
    lines = (line.partition(b"\t") for line in file.read_bytes().splitlines())
    events = [(event_id.decode(), body) for event_id, _, body in lines]
    waiting = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=None)
    while waiting.blpop([GO.format(number)]):
        asyncio.run(send(events, urls))


async def send(events: list[tuple[str, bytes]], urls: list[str]) -> None:
    """As many requests in flight to each as a sender has."""
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        ) as session,
        asyncio.TaskGroup() as group,
    ):
        for url in urls:
            turns, secret = iter(events), secrets.token_bytes(32)
            for _ in range(SHARE):
                group.create_task(post(session, url, secret, turns))


async def post(session: aiohttp.ClientSession, url: str, secret: bytes, events: Iterator[tuple[str, bytes]]) -> None:
    for event_id, body in events:
        timestamp = str(int(time.time()))
        signed = hmac.digest(secret, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
        headers = {
            "content-type": "application/json",
            "user-agent": "floor",
            "webhook-id": event_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(signed).decode(),
        }
        async with session.post(url, data=body, headers=headers) as response:
            if response.status != 204:
                raise RuntimeError(f"a receiver answered {response.status}")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
