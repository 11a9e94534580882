"""Keeps a worker alive when its Redis broker dies while it is busy.

kombu (5.7) asks a channel that was closed meanwhile for the way to its server, when it gives messages back or
acknowledges one late. There is none any more, and the AttributeError ends the worker's main process; as a lost
connection it is one of the errors after which Celery connects anew.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from kombu.transport.redis import Channel


def survive_closed_channels() -> None:
    """Have a channel without a connection say so, in the kind of error that kombu and Celery expect of a broker."""
    kind: Any = Channel
    ask = kind._connparams
    if getattr(ask, "says_so", False):
        return

    @wraps(ask)
    def parameters(channel: Any, *arguments: Any, **options: Any) -> Any:
        if channel.connection is None or channel.connection.client is None:
            raise ConnectionResetError("the channel was closed")
        return ask(channel, *arguments, **options)

    parameters.says_so = True  # type: ignore[attr-defined]  # functions take any attribute
    kind._connparams = parameters
