"""The ways in which a Redis server answers and takes no writes, on a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from redis import Redis

from checkout_service.local.servers import Valkey

KINDS: Final[dict[str, str]] = {
    "demoted": "takes no writes: it is a replica",
    "without replicas": "takes no writes: too few replicas follow it",
    "without memory": "takes no writes: it is out of memory",
}
"""Each with what is shown of it."""


@contextmanager
def taking_no_writes(kind: str, valkey: Valkey, primary: Valkey) -> Iterator[None]:
    """The server takes no writes until the block ends; a demoted one has the data of ``primary`` from then on."""
    with Redis.from_url(valkey.url) as server:
        begin, end = _commands(kind, server, primary)
        begin()
        try:
            yield
        finally:
            end()


def _commands(kind: str, server: Redis, primary: Valkey) -> tuple[Callable[[], object], Callable[[], object]]:
    if kind == "demoted":
        return lambda: server.replicaof("127.0.0.1", primary.port), lambda: server.replicaof("NO", "ONE")
    setting = {"without replicas": "min-replicas-to-write", "without memory": "maxmemory"}[kind]
    return lambda: server.config_set(setting, 1), lambda: server.config_set(setting, 0)
