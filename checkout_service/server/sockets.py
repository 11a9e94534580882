"""The sockets of this process's own server, found among its open files, since Granian hands out none of them.

Only Linux lists open files so. Elsewhere no socket is found, and the callers do without.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import socket
import struct
import sys
import termios
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

_OPEN_FILES: Final = "/proc/self/fd"

_MOST_TRIED: Final = 2**16
"""Numbers of files that are tried one by one: as many as deploy/ allows, and above what serve.py asks for.

To try them takes some 20 ms. A process takes the lowest free number, so higher ones are in use only if all these are.
"""

_SENT_AGO: Final = struct.Struct("=44xI")
"""Of struct tcp_info: milliseconds since bytes were last sent, or since the connection began."""

_QUEUED: Final = struct.Struct("=24xI")
"""Of a listener's struct tcp_info: connections that nobody has accepted yet."""

_UNREAD: Final = 64 * 1024
"""Linux doubles it, and would else hold up to 4 MiB. Over 50 ms it lets some 2 MB a second pass."""

_SO_ATTACH_FILTER: Final = 26
_NO_SYN: Final = struct.pack(
    "=" + "HBBI" * 4,
    *(0x30, 0, 0, 13),  # load the byte of the TCP header that holds its flags
    *(0x45, 0, 1, 0x02),  # is SYN among them?
    *(0x06, 0, 0, 0),  # then drop the packet
    *(0x06, 0, 0, 0xFFFFFFFF),  # else let all of it pass
)


class OwnSockets:
    """This process's sockets of one port, for one thread at a time.

    It takes its two descriptors when it is made and needs no others: it is of most use when they have run out.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._nothing = os.open(os.devnull, os.O_RDONLY)
        self._duplicate = os.dup(self._nothing)

    def listeners(self) -> Iterator[socket.socket]:
        """The sockets that listen on the port; each is a duplicate, and closed after its turn."""
        for one in self._all():
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                yield one

    def stop_accepting(self, silent: int | None) -> None:
        """Put a listener to which nobody connects in the place of those of the port, in this process alone.

        The listeners themselves are left as they are: other processes go on accepting from them. To shut one down would
        end it for all.
        """
        self.put_in_place(silent, self.listening())

    def listening(self) -> list[int]:
        """The numbers of the files that listen on the port."""
        found = []
        for number in _open_files() if sys.platform == "linux" else ():
            with suppress(OSError), self._duplicated(number) as one:
                if self._is_of_port(one) and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.append(number)
        return found

    def put_in_place(self, silent: int | None, numbers: Iterable[int]) -> None:
        """Put a listener to which nobody connects in the place of these files, in this process alone."""
        if silent is None:
            return
        for number in numbers:
            os.dup2(silent, number, inheritable=False)

    def connections(self) -> Iterator[socket.socket]:
        """Accepted connections that are open on both sides; each is a duplicate, and closed after its turn."""
        for one in self._all():
            with suppress(OSError):  # it listens, or was closed from afar
                one.getpeername()
                yield one

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._duplicate)
        os.close(self._nothing)

    def _all(self) -> Iterator[socket.socket]:
        if sys.platform != "linux":
            return
        for number in _open_files():
            with suppress(OSError), self._duplicated(number) as one:
                if self._is_of_port(one):
                    yield one

    def _is_of_port(self, one: socket.socket) -> bool:
        return one.family in {socket.AF_INET, socket.AF_INET6} and one.getsockname()[1] == self._port

    @contextmanager
    def _duplicated(self, number: int) -> Iterator[socket.socket]:
        """The same open file under a number of our own, which nobody closes and uses anew meanwhile."""
        if number in {self._nothing, self._duplicate}:
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        os.dup2(number, self._duplicate, inheritable=False)
        try:
            one = socket.socket(fileno=self._duplicate)
            try:
                yield one
            finally:
                one.detach()
        finally:
            os.dup2(self._nothing, self._duplicate, inheritable=False)


def silent_listener() -> int | None:
    """The number of a listener to which nobody connects, for ``stop_accepting``; None where it is of no use."""
    if sys.platform != "linux":
        return None
    silent = socket.socket(socket.AF_UNIX)
    silent.setblocking(False)
    silent.bind("")  # the system chooses a name, which nobody knows
    silent.listen(1)
    return silent.detach()


def peer(connection: socket.socket) -> str:
    """The address at the other end."""
    return str(connection.getpeername()[0])


def peer_port(connection: socket.socket) -> str:
    """The port at the other end."""
    return str(connection.getpeername()[1])


def seconds_unanswered(connection: socket.socket) -> float:
    """How long nothing has been sent to the other end."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SENT_AGO.size)
    (milliseconds,) = _SENT_AGO.unpack(info)
    return float(milliseconds) / 1000


def unread(connection: socket.socket) -> int:
    """Bytes that were sent to the other end, and that it has not acknowledged."""
    size = array("i", [0])
    fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, size)
    return size[0]


def bound_unread(listener: socket.socket, *, seconds: float) -> None:
    """Bound what the kernel holds of answers for each connection that the listener accepts from now on.

    It holds some 128 KiB, and gives the connection up if for so many seconds the other end has taken none of it.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def take_no_more(listener: socket.socket) -> None:
    """Have the kernel drop packets that ask for a new connection; connections that have begun can still be accepted.

    A client asks again a second later. By then the listener must refuse, which is up to the caller (``refuse``).
    Without this, those who connect while it is being closed are reset.
    """
    code = ctypes.create_string_buffer(_NO_SYN)
    program = struct.pack("@HP", len(_NO_SYN) // 8, ctypes.addressof(code))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def queued(listener: socket.socket) -> int:
    """Connections that have begun, and that nobody has accepted; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    (number,) = _QUEUED.unpack(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _QUEUED.size))
    return int(number)


def refuse(listener: socket.socket) -> None:
    """Have the kernel refuse new connections at once, however many processes hold the listener open."""
    with suppress(OSError):  # only Linux shuts a listener down; elsewhere it refuses once all have closed it
        listener.shutdown(socket.SHUT_RDWR)


def _open_files() -> Iterable[int]:
    """The numbers of this process's open files, and of some that are none where the list cannot be had."""
    try:
        return [int(name) for name in os.listdir(_OPEN_FILES)]
    except OSError:
        # To open the list takes a descriptor, and there may be none left.
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return range(_MOST_TRIED if allowed == resource.RLIM_INFINITY else min(allowed, _MOST_TRIED))
