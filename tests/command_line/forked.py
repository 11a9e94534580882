"""Many commands by one start of an interpreter: what they load is loaded once, then each has a process of its own.

An application takes more than a second to load, and most commands some hundredths to run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent.parent
"""Not the conftest's: that loads all that tests are made of."""

LOADED = ("flask.cli", "checkout_service.app", "checkout_service.command_line.commands")


def run_all(*cases: Sequence[str], given: Mapping[str, str]) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of each command, one after the other: ``checkout`` or ``flask``, and arguments."""
    done = subprocess.run(
        [sys.executable, "-c", "from tests.command_line.forked import main; main()"],
        cwd=ROOT,
        env=dict(given),
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(status, output, errors) for status, output, errors in json.loads(done.stdout)]


def main() -> None:
    os.environ["FLASK_RUN_FROM_CLI"] = "true"
    for name in LOADED:
        import_module(name)
    with suppress(SystemExit):  # without its settings no application is there, for the commands neither
        import_module("wsgi")
    cases: list[list[str]] = json.load(sys.stdin)
    json.dump([run(program, arguments) for program, *arguments in cases], sys.stdout)


def run(program: str, arguments: list[str]) -> tuple[int, str, str]:
    """A command's exit status and what it wrote."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            try:
                os._exit(_status(program, arguments))
            finally:  # never back into the loop of the one before
                os._exit(99)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode())
    return os.waitstatus_to_exitcode(status), texts[0], texts[1]


def _status(program: str, arguments: list[str]) -> int:
    commands: dict[str, Any] = {
        "checkout": import_module("checkout_service.command_line.commands").checkout,
        "flask": import_module("flask.cli").cli,
    }
    options = ["--app", "wsgi"] if program == "flask" else []
    status: Any = 0
    try:
        commands[program].main(args=[*options, *arguments], prog_name=program)
    except SystemExit as error:
        status = error.code
        if isinstance(status, str):
            sys.stderr.write(f"{status}\n")
            status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return int(status or 0)
