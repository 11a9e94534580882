"""Celery's own command line for ``checkout worker`` and its like: the same arguments as in the Procfile.

It runs in the process of ``checkout`` itself. Loaded by its name: the web tier never imports the worker.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from celery.bin.celery import celery

import worker.app  # noqa: F401 (before Celery looks for it, first in the folder where it was started)


def main(arguments: Sequence[str]) -> NoReturn:
    """Run Celery's command with these arguments, and exit with its status."""
    # A worker that is sent SIGHUP runs this again; of ``python -m`` the usual list keeps a file's name alone.
    sys.argv = sys.orig_argv[1:]
    celery(args=list(arguments), prog_name="celery", auto_envvar_prefix="CELERY")
    raise AssertionError  # Celery has ended the process
