"""Processes that run out of threads or of descriptors, as ``python -m tests.threads.starved SCENE``.

A scene is a function of a module below ``tests``. It runs in a process of its own, as a user that is not root: the
bound on threads does not bind root, as whom tests may run.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NOBODY = 65534

_ENOUGH = 128
"""Descriptors; more than a scene has open when they run out."""

_SCENE = "TESTS_SCENE_ARGUMENTS"


def play(scene: str, **arguments: Any) -> str:
    """Run ``module:function`` of a scene with the arguments, values of JSON; what it wrote to its output and log.

    Fails the test if the scene raises or takes longer than three minutes: a busy machine needs one to start it.
    """
    played = subprocess.run(
        [sys.executable, "-m", "tests.threads.starved", scene],
        env=os.environ | {_SCENE: json.dumps(arguments)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    return played.stdout + played.stderr


@contextmanager
def no_threads() -> Iterator[None]:
    """Within the block the system gives this process no new thread."""
    usual, most = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, most))
    try:
        assert not _starts(), "this process is not bound"
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, (usual, most))


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Within the block no file, socket or folder can be opened; those that are open stay so, and are of use."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_ENOUGH, most))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        assert len(taken) < _ENOUGH, "this process is not bound"
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))


def _starts() -> bool:
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        return False
    return True


def main() -> None:
    """Become nobody and run the scene; other threads do not keep the process."""
    module, _, name = sys.argv[1].partition(":")
    scene = getattr(import_module(module), name)
    arguments = json.loads(os.environ[_SCENE])
    if not os.getuid():
        os.setresuid(NOBODY, NOBODY, 0)
        # Python itself may lie in a folder of root's: files alone are still opened as root.
        ctypes.CDLL(None).setfsuid(0)
    scene(**arguments)
    os._exit(0)


if __name__ == "__main__":
    main()
