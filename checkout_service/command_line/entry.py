"""The console script ``checkout``.

The environment file comes first, then the process begins anew with all of it: what an interpreter or an allocator reads
at its very start is then there as well, as it is under systemd and docker.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from typing import Final

from checkout_service.command_line.output import ending_where_output_fails
from checkout_service.settings.environment_file import (
    OPTION,
    SETTING,
    EnvironmentFileError,
    read_environment_file,
)

WRONG_USE: Final = 2
"""The exit status of a command that was given what it cannot use, as click's own."""

FIRST: Final = 1
"""The number of a container's first process. The kernel gives it no signal that it has not asked for, so until a
process takes SIGTERM by itself, and in every command that never does, this does it."""

ENDED: Final = 128 + signal.SIGTERM
"""The exit status of a command that was ended before it was through, as a shell's."""

ALONE: Final = "settlements"
"""The group whose commands end with 130 after Ctrl-C and 143 after SIGTERM, in whatever phase they are, and with a
sentence where their output cannot be written."""

_SERVING: Final = frozenset({"web", "worker", "housekeeping", "sender", "workers", "beat", "flower"})
"""Processes that are ended by SIGTERM, and then have done what they are for."""


def main() -> None:
    """Run the command line, and exit with its status: 0, 1 for something wrong that was found, 2 for wrong use."""
    arguments = sys.argv[1:]
    name = "".join(_named(arguments)[1][:1]) if arguments else ""
    if name == "web":
        # Before all else: it would end a service that is only starting.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if name == "web" or os.getpid() == FIRST:
        status = 0 if name in _SERVING else ENDED
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(status))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    if name == ALONE:
        _end_at_once_by_signals()
    begin_with_environment_file(arguments)
    with ending_where_output_fails() if name == ALONE else nullcontext():
        # By its name, and only now: with the file's settings, and after the signals.
        import_module("checkout_service.command_line.commands").checkout(args=arguments, prog_name="checkout")


def _end_at_once_by_signals() -> None:
    """Until its command has begun, nothing is there that could be undone: whatever is loading is left as it is."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: os._exit(128 + number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def begin_with_environment_file(arguments: Sequence[str]) -> None:
    """Begin again with what the file sets, where one is named, without its name. What is set already stays as it is.

    A name on the command line goes before CHECKOUT_ENV_FILE. Ends the process where the file cannot be used.
    """
    named, rest = _named(arguments)
    named = named or os.environ.get(SETTING) or None
    if named is None:
        return
    try:
        values, warning = read_environment_file(named)
    except EnvironmentFileError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(WRONG_USE)
    if warning:
        sys.stderr.write(f"{warning}\n")
    environment = {**values, **os.environ}
    environment.pop(SETTING, None)
    # Kept until main() can take them: what begins anew has no handler at first.
    if rest[:1] == [ALONE]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    elif os.getpid() == FIRST:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    interpreter = sys.orig_argv[1 : len(sys.orig_argv) - len(arguments)]
    os.execve(sys.executable, [sys.executable, *interpreter, *rest], environment)  # noqa: S606 (this very command)


def _named(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The file that is named before the command, the last one of several, and the other arguments."""
    named, place = None, 0
    while place < len(arguments):
        option, equals, value = arguments[place].partition("=")
        if option != OPTION:
            break
        if not equals:
            if place + 1 == len(arguments):
                sys.stderr.write(f"Error: Option '{OPTION}' requires an argument.\n")
                sys.exit(WRONG_USE)
            place += 1
            value = arguments[place]
        named = value
        place += 1
    return named, list(arguments[place:])
