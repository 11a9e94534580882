"""What systemd and a service say to each other: sockets that it holds, and states that it is told."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

_FIRST: Final = 3
"""The number of the first socket that is handed over (sd_listen_fds(3))."""


def take_sockets(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd listens on for this process; none where it holds none. They stay with it.

    What says so is taken out of the environment: it is meant for this process alone.
    """
    pid, number = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not number.isdigit():
        return []
    found = [socket.socket(fileno=_FIRST + each) for each in range(int(number))]
    for each in found:
        each.set_inheritable(False)
    return found


class Notifier:
    """Tells systemd how a service of ``Type=notify`` is; nobody, where no systemd listens (sd_notify(3))."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Takes the address out of the environment: only this process tells."""
        self._address = environment.pop("NOTIFY_SOCKET", "")

    def tell(self, *lines: str) -> None:
        """Send lines such as ``READY=1``. Never waits and never raises."""
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), name)
