"""The sockets of this process's own server, found among its open files: Granian hands out none of them.

Linux alone shows them so; elsewhere none is found, and whoever asked goes on without.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_OPEN_FILES: Final = "/proc/self/fd"

_SENT_AGO: Final = struct.Struct("=44xI")
"""Of struct tcp_info: milliseconds since bytes were last sent, or since the connection began."""

_SO_ATTACH_FILTER: Final = 26
_NO_SYN: Final = struct.pack(
    "=" + "HBBI" * 4,
    *(0x30, 0, 0, 13),  # load the byte of the TCP header that holds its flags
    *(0x45, 0, 1, 0x02),  # is SYN among them?
    *(0x06, 0, 0, 0),  # then drop the packet
    *(0x06, 0, 0, 0xFFFFFFFF),  # else let all of it pass
)


def listeners(port: int) -> Iterator[socket.socket]:
    """What listens on the port; each is a duplicate, and closed after its turn."""
    for one in _sockets(port):
        if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            yield one


def connections(port: int) -> Iterator[socket.socket]:
    """Accepted connections that are open on both sides; each is a duplicate, and closed after its turn."""
    for one in _sockets(port):
        with suppress(OSError):  # it listens, or was closed from afar
            one.getpeername()
            yield one


def peer(connection: socket.socket) -> str:
    """The address at the other end."""
    return str(connection.getpeername()[0])


def seconds_unanswered(connection: socket.socket) -> float:
    """How long nothing has been sent to the other end."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SENT_AGO.size)
    (milliseconds,) = _SENT_AGO.unpack(info)
    return float(milliseconds) / 1000


def take_no_more(listener: socket.socket) -> None:
    """Have the kernel drop what asks for a new connection; those that have begun still come to be accepted.

    Who asked asks again a second later, by which time a closed listener refuses, or another one answers. Closing a
    listener without this resets whatever was connected and not yet accepted.
    """
    code = ctypes.create_string_buffer(_NO_SYN)
    program = struct.pack("@HP", len(_NO_SYN) // 8, ctypes.addressof(code))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _sockets(port: int) -> Iterator[socket.socket]:
    if sys.platform != "linux":
        return
    for name in os.listdir(_OPEN_FILES):
        with suppress(OSError), _duplicate(int(name)) as one:
            if one.family in {socket.AF_INET, socket.AF_INET6} and one.getsockname()[1] == port:
                yield one


@contextmanager
def _duplicate(descriptor: int) -> Iterator[socket.socket]:
    """The same open file under a number of our own, which nobody closes and uses anew meanwhile."""
    own = os.dup(descriptor)
    try:
        one = socket.socket(fileno=own)
    except OSError:
        os.close(own)
        raise
    with one:
        yield one
