"""A generation: one master with its children, and what the supervisor hands to it.

That are the listening sockets, by their numbers, and two pipes. By the first one a generation knows whether the service
ends or only this generation does; by the second one it tells the supervisor that its children serve.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import select
import termios
from array import array
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final, Self

SETTING: Final = "CHECKOUT_GENERATION"
"""Holds a generation's descriptors, from the supervisor to its master; nobody else sets it."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Everything that a master inherits. All numbers are those of open files."""

    listener: int
    management: int | None
    """The management port's listener; None where there is none."""

    ending: int
    """What the supervisor writes here stays there for all to see: the service ends.

    It closes when the supervisor dies.
    """

    serving: int
    """Takes a line of each child that serves, and of each that has drained. It closes when the last has ended."""

    follows: bool
    """Whether another generation serves when this one starts: then a child takes nothing before it is ready."""

    is_outlived: bool
    """Whether the listener outlives the service, since systemd holds it."""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Self | None:
        """Take it out of the environment; None where no supervisor started this process."""
        found = environment.pop(SETTING, "")
        return cls(**json.loads(found)) if found else None

    def descriptors(self) -> tuple[int, ...]:
        """What a master has to inherit."""
        all_ = (self.listener, self.management, self.ending, self.serving)
        return tuple(number for number in all_ if number is not None)

    def as_setting(self) -> str:
        """What ``from_environment`` reads."""
        return json.dumps(asdict(self))

    def service_ends(self) -> bool:
        """Whether nobody follows: the supervisor ends as well, or is dead."""
        return bool(self._events())

    def is_orphaned(self) -> bool:
        """Whether the supervisor is dead, and so nobody is left who stops or replaces this generation."""
        return bool(self._events() & select.POLLHUP)

    def listener_ends(self) -> bool:
        """Whether nobody accepts what comes to the listener after this generation."""
        return self.service_ends() and not self.is_outlived

    def listener_closes(self) -> bool:
        """Whether nobody is to accept from the listener any more: the supervisor has written once more."""
        written = array("i", [0])
        fcntl.ioctl(self.ending, termios.FIONREAD, written)
        return written[0] > 1

    def tell_size(self, children: int) -> None:
        """Tell the supervisor how many children there will be."""
        self._tell(f"of {children}")

    def tell_serving(self, index: int) -> None:
        """Tell the supervisor that this child serves. One that was started again counts as the one before."""
        self._tell(f"serves {index}")

    def tell_drained(self, index: int) -> None:
        """Tell the supervisor that as far as this child goes, the listener may be closed."""
        self._tell(f"drained {index}")

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # it is gone, or has read of this generation all that it needs
            os.write(self.serving, f"{line}\n".encode())

    def _events(self) -> int:
        poll = select.poll()
        poll.register(self.ending, select.POLLIN)
        return sum(events for _, events in poll.poll(0))


class Served:
    """Which children of a generation have served once; their master makes it, and they share it."""

    def __init__(self, children: int) -> None:
        self._by_index = mmap.mmap(-1, children)

    def note(self, index: int) -> None:
        """This one serves."""
        self._by_index[index] = 1

    def by_all(self) -> bool:
        """Whether each of them has: then their generation follows nobody any more."""
        return all(self._by_index[:])
