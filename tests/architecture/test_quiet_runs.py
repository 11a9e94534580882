"""A green run prints its dots and nothing else; a red one shows what threads wrote."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.architecture.sources import TIERS, dotted, name, paths, tree
from tests.conftest import ROOT

TALKS_BETWEEN_TESTS = """
import sys
import threading

def pytest_runtest_makereport():
    thread = threading.Thread(target=sys.stderr.write, args=("a line of a thread\\n",))
    thread.start()
    thread.join()
"""

LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}


def run(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest beside this one, of a suite in which a thread writes while nothing is captured."""
    (folder / "conftest.py").write_text(TALKS_BETWEEN_TESTS)
    (folder / "test_some.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.quiet_threads"]
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def test_a_green_run_prints_only_its_dots(tmp_path: Path) -> None:
    result = run(tmp_path, "def test_one(): ...\ndef test_another(): ...\n")

    assert result.returncode == 0
    assert result.stderr == ""
    assert re.fullmatch(r"\.\. +\[100%\]\n2 passed in \S+s\n", result.stdout)


def test_a_failure_shows_what_threads_wrote(tmp_path: Path) -> None:
    result = run(tmp_path, "def test_one(): ...\ndef test_failing(): assert False\n")

    assert result.returncode == 1
    assert result.stderr == ""
    assert result.stdout.count("a line of a thread") == 2  # at the setup and at the call of the test that failed
    assert "Written by threads" in result.stdout


def test_the_whole_suite_runs_so() -> None:
    assert "tests.quiet_threads" in sys.modules


def test_events_of_the_log_are_in_snake_case() -> None:
    """Whoever searches the log finds an event by one word, which no other sentence holds."""
    found = [
        f"{name(path)}:{call.lineno}"
        for path in paths(*TIERS, ".", "benchmarks")
        for call in ast.walk(tree(path))
        if isinstance(call, ast.Call)
        and re.fullmatch(r"_?log(?:ger)?\.(\w+)", dotted(call.func))
        and dotted(call.func).rpartition(".")[2] in LOG_METHODS
        and not all(re.fullmatch(r"[a-z][a-z0-9_]*", event) for event in _events(call))
    ]

    assert not found


def _events(call: ast.Call) -> list[str]:
    """The event of a call to a logger; two where it depends. Whatever is computed is no name."""
    match call.args[0]:
        case ast.Constant(value=str(event)):
            return [event]
        case ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(other))):
            return [one, other]
        case _:
            return [""]
