"""Many commands by one start of an interpreter: what they load is loaded once, then each has a process of its own.

``python -m tests.command_line.forked``: a list of ``[program, argument, …]`` as JSON on standard input, and as many
``[status, stdout, stderr]`` on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from typing import Any

LOADED = ("flask.cli", "checkout_service.app", "checkout_service.command_line.commands")


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


if __name__ == "__main__":
    main()
