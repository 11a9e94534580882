"""Watching a command from a command line, while the workers carry it out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Final
from uuid import UUID

import click

from checkout_service.commands.queries import Command, find_command

PATIENCE: Final = 20.0
"""Seconds without any progress after which a command is left to the workers."""

LOOK_EVERY: Final = 0.2


def watch(
    command_id: UUID,
    *,
    progress: Callable[[Command], Any],
    line: Callable[[Command], str],
    wake: Callable[[], object] = lambda: None,
) -> Command:
    """Show how far the workers are, until the command is over or nothing has moved for PATIENCE seconds.

    It moves where ``progress`` becomes another; ``line`` tells of it. Whether anybody watches makes no difference to
    the command, but that ``wake`` is called once where nothing has moved for half of that time. Raises ClickException
    where the audit has no such command.
    """
    command = _known(command_id)
    moved_at, woken = monotonic(), False
    while command.open and monotonic() - moved_at < PATIENCE:
        if not woken and monotonic() - moved_at > PATIENCE / 2:
            wake()
            woken = True
        sleep(LOOK_EVERY)
        before, command = command, _known(command_id)
        if progress(command) != progress(before):
            moved_at, woken = monotonic(), False
            if sys.stderr.isatty():
                click.echo(f"\r{line(command)}", err=True, nl=False)
    if sys.stderr.isatty():
        click.echo(err=True)
    return command


def _known(command_id: UUID) -> Command:
    command = find_command(command_id)
    if command is None:
        raise click.ClickException(f"Command {command_id} is gone from the audit.")
    return command
