"""The processes of a deployment, each with its command as the Procfile has it.

The Procfile's lines are for a checkout whose lock is installed, and nothing else. An installed package has no
Procfile: there ``checkout NAME`` runs the same, by this table. A test compares the two.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

_CELERY: Final = ("python", "-m", "worker.command_line")
"""Celery's command line with no more in memory than the process needs; ``celery`` itself takes the same arguments."""

_APP: Final = ("-A", "worker.app")
_WORKER: Final = (*_CELERY, *_APP, "worker")
_ALONE: Final = ("--without-mingle", "--without-gossip", "-E")

PROCESSES: Final = MappingProxyType(
    {
        "web": ("python", "serve.py", "wsgi:app"),
        "worker": (*_WORKER, "-Q", "webhooks", "-n", "worker@%h", *_ALONE),
        "housekeeping": (*_WORKER, "-Q", "payments,housekeeping", "-n", "housekeeping@%h", *_ALONE),
        "sender": (*_WORKER, "-Q", "events", "-c", "2", "-n", "sender@%h", *_ALONE),
        "beat": (*_CELERY, *_APP, "beat", "-S", "celery.beat.Scheduler"),
        "flower": (*_CELERY, *_APP, "flower"),
        "release": ("flask", "--app", "wsgi", "db", "upgrade"),
    }
)
"""Each command by its process's name, in the Procfile's order."""

TOGETHER: Final = MappingProxyType({"workers": ("worker", "housekeeping", "sender")})
"""Commands that run several of the processes from one parent: all of these read the same secrets."""

PROBES: Final = ("web", "worker", "housekeeping", "sender", "flower")
"""The processes that have a port; beat has none."""

CELERY: Final = tuple(name for name, command in PROCESSES.items() if command[: len(_CELERY)] == _CELERY)
"""Those that are Celery's commands."""


def celery_arguments(process: str) -> list[str]:
    """What Celery's command is given for this process."""
    return list(PROCESSES[process][len(_CELERY) :])


def flask_arguments(process: str) -> list[str]:
    """What Flask's command is given for this process, the application's name aside."""
    return list(PROCESSES[process][3:])
