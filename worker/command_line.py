"""Celery's own command line for ``checkout worker`` and its like, and for the Procfile: the same arguments.

``checkout`` runs it in its own process. Loaded by its name: the web tier never imports the worker. ``python -m``, which
the Procfile has, is for a checkout alone: it looks for modules in the folder where it is started first.

The command ``celery`` loads all of its commands, a shell and Flower among them, whichever of them is run: 20 MB of each
process. Here a worker, beat and Flower load their own command alone. Whatever else is asked for is left to ``celery``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final, NoReturn

import click

from checkout_service.telemetry.optional import hide_unused

PREFIX: Final = "CELERY"
"""Begins the variables by which options of Celery's commands can be set."""

_APP: Final = ["-A", "worker.app"]
_COMMANDS: Final = {
    "worker": "celery.bin.worker",
    "beat": "celery.bin.beat",
    "flower": "flower.command",
}
"""Commands that are loaded by themselves, and their modules: each has it under its name."""

_OWN_NAMES: Final = ("BROKER_URL", "RESULT_BACKEND", "LOADER", "CONFIG_MODULE", "NO_COLOR", "SKIP_CHECKS")
_OPTIONS: Final = (
    *("broker", "result_backend", "loader", "config", "workdir"),
    *("no_color", "quiet", "version", "skip_checks"),
)
SET_ELSEWHERE: Final = frozenset({*_OWN_NAMES, *(f"{PREFIX}_{option}".upper() for option in _OPTIONS)})
"""Variables that ``celery`` reads before it runs a command: each of its options has one, and some have two.

The app's is not among them, since the arguments name it. To ask ``celery`` would load it; a test compares.
"""


def main(arguments: Sequence[str]) -> NoReturn:
    """Run Celery's command with these arguments, and exit with its status."""
    if has_own_command := is_alone(arguments, os.environ):
        hide_unused()
    # Before Celery looks for it, first in the folder where it was started.
    app = import_module("worker.app").app
    # A worker that is sent SIGHUP runs this again; of ``python -m`` the usual list keeps a file's name alone.
    sys.argv = sys.orig_argv[1:]
    if has_own_command:
        group = _group_of(arguments[len(_APP)], app)
        group(args=list(arguments[len(_APP) :]), prog_name="celery", auto_envvar_prefix=PREFIX)
    else:
        group = import_module("celery.bin.celery").celery
        group(args=list(arguments), prog_name="celery", auto_envvar_prefix=PREFIX)
    raise AssertionError  # Celery has ended the process


def run_together(arguments: Mapping[str, Sequence[str]]) -> NoReturn:
    """Run several workers, by their names, from one parent, which ends with 0 where they all ended in good order."""
    hide_unused()
    main(arguments[import_module("worker.together").run(tuple(arguments), environment=os.environ)])


def is_alone(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a command is run by itself: of our app, with nothing that ``celery`` would read before it."""
    begin, command = list(arguments[: len(_APP)]), "".join(arguments[len(_APP) : len(_APP) + 1])
    return begin == _APP and command in _COMMANDS and not SET_ELSEWHERE & environment.keys()


def _group_of(name: str, app: object) -> click.Group:
    """``celery`` with this command alone, for this app."""
    command: click.Command = getattr(import_module(_COMMANDS[name]), name)
    context = import_module("celery.bin.base").CLIContext(app=app, no_color=False, workdir=None, quiet=False)

    @click.group("celery")
    @click.pass_context
    def group(ctx: click.Context) -> None:
        ctx.obj = context

    group.add_command(command, name)
    return group


if __name__ == "__main__":
    main(sys.argv[1:])
