"""The folder in which the processes of one service count together; it is named before anything counts.

prometheus-client chooses how to count when the series are made: into files of a folder that every process reads, or
into the memory of one process. A process that named the folder later would tell of itself alone, and nobody would see.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

SETTING: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder; prometheus-client reads it."""

WEB_FOLDER: Final = "checkout-web-metrics-"
"""What the web process's folder is called, where the environment names none."""

WORKER_FOLDER: Final = "checkout-metrics-"
"""Likewise of worker, housekeeping and sender."""

_COUNTS: Final = "checkout_service.telemetry.metrics"
"""The module whose series count where the folder is by then."""

_IN_USE: Final = "in-use"
"""A file in the folder, locked for as long as a process counts there: by the one that named it, and by its children."""

_held: Final[list[int]] = []
"""Descriptors whose locks this process holds to its end."""

_made: Final[list[str]] = []
"""Folders of our own that this process or its parent made."""


class MetricsFolderError(Exception):
    """The folder cannot be used; the message names the setting."""


def name_metrics_folder(prefix: str) -> None:
    """Name the folder in which this process and its children count, unless the environment names one.

    A folder of our own is new, its name begins with ``prefix``, and it is gone with this process. Folders of the same
    prefix whose processes were killed are removed. A folder that the environment names is made if it is missing, and
    used as it is where another process counts in it already. Else what ended processes left in it is removed: it is of
    an earlier run.

    Raises RuntimeError if the series are made already, and MetricsFolderError.
    """
    given = os.environ.get(SETTING)
    if not given and _COUNTS in sys.modules:
        raise RuntimeError("the metrics were loaded before their folder was named: see what the entry point imports")
    try:
        if given:
            _join(Path(given))
        else:
            os.environ[SETTING] = str(_make(prefix))
    except OSError as error:
        raise MetricsFolderError(f"{SETTING}: {error.filename or given}: {error.strerror}") from error


def take_own_folder(prefix: str) -> str | None:
    """Name a new folder in a process that was forked to be a service of its own; whoever counted before goes on there.

    None where the environment named the folder: then all count in it. Raises MetricsFolderError.
    """
    if os.environ.get(SETTING) not in _made:
        return None
    try:
        folder = os.environ[SETTING] = str(_make(prefix))
    except OSError as error:
        raise MetricsFolderError(f"{SETTING}: {error.filename}: {error.strerror}") from error
    return folder


def _make(prefix: str) -> Path:
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_if_left(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    # Locked before it has its name: who finds the name finds it locked.
    fresh = folder / f"{_IN_USE}.new"
    lock = _opened(fresh)
    fcntl.flock(lock, fcntl.LOCK_SH)
    fresh.rename(folder / _IN_USE)
    _held.append(lock)
    _made.append(str(folder))
    owner = os.getpid()
    # Children that end must leave the folder to the others.
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return folder


def _join(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lock = _opened(folder / _IN_USE)
    if _locked(lock, fcntl.LOCK_EX):
        for left in _of_ended_processes(folder):
            left.unlink(missing_ok=True)
    fcntl.flock(lock, fcntl.LOCK_SH)
    _held.append(lock)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder of ours that no process uses; one without a file to lock may be an older release's."""
    with suppress(OSError):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or not (folder / _IN_USE).exists():
            return
        lock = _opened(folder / _IN_USE)
        try:
            if _locked(lock, fcntl.LOCK_EX):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _of_ended_processes(folder: Path) -> Iterator[Path]:
    """The files of processes that are no more, by the number at the end of their names."""
    for path in folder.glob("*.db"):
        number = path.stem.rpartition("_")[2]
        if number.isdigit() and not _is_alive(int(number)):
            yield path


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _locked(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
