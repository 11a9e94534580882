"""How a listener ends that several processes accept from: who has connected is answered, who comes later refused."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final

from checkout_service.server.sockets import queued, refuse, take_no_more
from checkout_service.telemetry.plain_log import PlainLog

ACCEPTED_WITHIN: Final = 0.05
"""Seconds that the server has to accept the connections that had begun, and to read what they ask for."""

EMPTIED_WITHIN: Final = 1.0
"""Seconds after which a listener is closed even if nobody has accepted what is in its queue."""

CLOSED_WITHIN: Final = 3.5
"""Seconds after which the listener is closed, should a child not have told that it may: above a drain's LINGER."""

log = PlainLog()


FINISHED_WITHIN: Final = 0.3
"""Seconds in which each process that accepts learns that it is to do so no more, and does so."""


def close_for_all(listener: socket.socket, *, tell: Callable[[], object] | None = None) -> None:
    """Have nobody connect any more, once those who have begun are accepted by some process; returns within seconds.

    ``tell`` has all other processes give the listener up, so that it is gone when it is closed here. Without it, it is
    shut down for whoever holds it: to accept from it fails each time then, and Granian would come to nothing else.
    """
    try:
        take_no_more(listener)
    except OSError as error:
        # Without root the kernel bounds such filters. Some connections that begin now may be reset.
        log.warning("listener_without_filter", error=str(error))
    until = time.monotonic() + EMPTIED_WITHIN
    time.sleep(ACCEPTED_WITHIN)
    while queued(listener) and time.monotonic() < until:
        time.sleep(0.01)
    if tell is None:
        refuse(listener)
        return
    tell()
    time.sleep(FINISHED_WITHIN)
    listener.close()
