"""A Redis server that answers and takes no writes: demoted, without its replicas, out of memory, or unable to save.

It is as useless as one that is away, and the connection to it leads to no better one.
"""

from __future__ import annotations

from typing import Final

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

KEY: Final = "checkout:takes-writes"
"""The one key that is written to find out."""

KEPT: Final = 10
"""Seconds for which the server keeps it."""

REFUSED: Final = "takes no writes"
"""How a refusal begins."""

RefusalError = ResponseError
"""What a command raises that the server refused. The connection is as it was."""

LostError = RedisError
"""That, or there was no answer at all."""

_REASONS: Final = {
    "READONLY": "it is a replica",
    "NOREPLICAS": "too few replicas follow it",
    "OOM": "it is out of memory",
    "MISCONF": "it cannot save",
}


def refusal(server: Redis) -> str | None:
    """Why the server takes no writes, in words; None if it takes them. Raises LostError if it is away."""
    try:
        server.set(KEY, b"1", ex=KEPT)
    except NoPermissionError:
        return None  # who may write other keys alone finds out nothing by this one
    except ResponseError as error:
        code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
        reason = _REASONS.get(code)
        return f"{REFUSED}: {reason}" if reason else REFUSED
    return None
