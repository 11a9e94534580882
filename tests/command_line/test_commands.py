"""``checkout`` from a checkout: every command of ``flask --app wsgi``, statuses, and the environment file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.command_line.forked import run_all
from tests.conftest import ROOT, Servers
from tests.flower_pages.stack import environment


def _run(*arguments: str, given: Mapping[str, str], program: str = "checkout") -> subprocess.CompletedProcess[str]:
    command = {
        "checkout": ["-m", "checkout_service.command_line"],
        "flask": ["-m", "flask", "--app", "wsgi"],
    }[program]
    return subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=ROOT,
        env=dict(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


AS_FLASK: Final[Mapping[tuple[str, ...], int]] = {
    ("payments", "check"): 0,
    ("webhooks", "list", "--state", "failed"): 0,
    ("catalog", "import", "no-such-file"): 2,
    ("payments", "frobnicate"): 2,
    ("stock", "show", "no-id"): 2,
    ("doctor", "--frobnicate"): 2,
    ("frobnicate",): 2,
}
"""Commands, and their statuses."""


WITHOUT_SETTINGS: Final[Mapping[tuple[str, ...], int]] = {
    ("--help",): 0,
    ("doctor",): 1,
    ("web", "--frobnicate"): 2,
    ("--frobnicate",): 2,
    ("health", "frobnicate"): 2,
    (): 2,
}

Found = Mapping[tuple[str, ...], tuple[int, str, str]]


@pytest.fixture(scope="module")
def found(servers: Servers) -> Found:
    """What came of each command, of ``checkout`` and of ``flask``."""
    commands = [*AS_FLASK, ("--help",), ("catalog", "--help")]
    cases = [(program, *arguments) for arguments in commands for program in ("checkout", "flask")]
    return dict(zip(cases, run_all(*cases, given=environment(servers)), strict=True))


@pytest.fixture(scope="module")
def found_without_settings() -> Found:
    cases = [("checkout", *arguments) for arguments in WITHOUT_SETTINGS]
    return dict(zip(WITHOUT_SETTINGS, run_all(*cases, given={}), strict=True))


@pytest.mark.parametrize(("arguments", "status"), AS_FLASK.items(), ids=str)
def test_it_does_what_flask_does(found: Found, arguments: tuple[str, ...], status: int) -> None:
    done, by_flask = found[("checkout", *arguments)], found[("flask", *arguments)]
    assert done[:2] == by_flask[:2]
    # A usage names the program.
    assert done[2].replace("checkout ", "flask ") == by_flask[2]
    assert done[0] == status, done[2]


def test_so_it_does_from_the_start_of_its_interpreter(servers: Servers) -> None:
    given = environment(servers)
    done, by_flask = (_run("stock", "show", "no-id", given=given, program=name) for name in ("checkout", "flask"))
    assert (done.returncode, done.stdout) == (by_flask.returncode, by_flask.stdout) == (2, "")
    assert done.stderr.replace("checkout ", "flask ") == by_flask.stderr.replace("python -m flask ", "flask ")


def test_the_list_has_every_command_of_flask(found: Found) -> None:
    def listed(*case: str) -> set[str]:
        lines = found[case][1].partition("Commands:\n")[2].splitlines()
        return {line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "}

    ours, flasks = listed("checkout", "--help"), listed("flask", "--help")
    assert {"catalog", "db", "doctor", "mock", "payments", "webhooks"} <= flasks
    assert flasks <= ours
    assert {"web", "worker", "housekeeping", "sender", "beat", "flower", "release", "run", "health"} <= ours
    assert listed("checkout", "catalog", "--help") == {"demo", "import", "sync"}


def test_help_is_there_before_the_settings(found_without_settings: Found) -> None:
    status, output, _ = found_without_settings[("--help",)]
    assert status == 0
    assert "housekeeping" in output
    assert "The other commands need the settings" in output
    assert "DATABASE_URL" in output
    assert "doctor" not in output.partition("Commands:")[2].partition("The other commands")[0]


def test_settings_that_cannot_be_used_end_it_with_1_and_wrong_use_with_2(found_without_settings: Found) -> None:
    assert _run("web", given={}).returncode == 1
    statuses = {arguments: status for arguments, (status, _, _) in found_without_settings.items()}
    assert statuses == WITHOUT_SETTINGS


@pytest.fixture
def file(tmp_path: Path, servers: Servers) -> Path:
    path = tmp_path / "checkout.env"
    lines = [f"{name}={value}\n" for name, value in environment(servers).items() if name not in {"PATH", "HOME"}]
    path.write_text("".join(line for line in lines if " " not in line))
    path.chmod(0o600)
    return path


SPACED = {"JWT_SECRET": "a secret that is set elsewhere, with its spaces"}


def test_a_file_gives_the_settings_and_the_environment_goes_before_it(file: Path) -> None:
    lacking = _run("db", "current", given={})
    assert lacking.returncode == 1
    rest = {**SPACED, "MOCK_WEBHOOK_SECRETS": "x" * 20}
    done = _run("--env-file", str(file), "db", "current", given=rest)
    assert (done.returncode, done.stdout.endswith("(head)\n")) == (0, True), done.stderr
    # Nobody answers there, and the message says where it asked: the file's port.
    port = next(line for line in file.read_text().splitlines() if line.startswith("PORT=")).removeprefix("PORT=")
    for arguments, given in (
        ([f"--env-file={file}"], {}),
        ([], {"CHECKOUT_ENV_FILE": str(file)}),
        (["--env-file", str(file)], {"CHECKOUT_ENV_FILE": "/no/such/file"}),
        (["--env-file", "/no/such/file", "--env-file", str(file)], {}),
    ):
        done = _run(*arguments, "health", given=given)
        assert (done.returncode, f"http://127.0.0.1:{port}/readyz" in done.stderr) == (1, True), done.stderr

    other = _run("--env-file", str(file), "health", given={"PORT": "9"})
    assert "http://127.0.0.1:9/readyz" in other.stderr


def test_what_an_interpreter_reads_at_its_start_may_stand_in_a_file(tmp_path: Path) -> None:
    """The process begins anew, as if systemd or docker had set it."""
    path = tmp_path / "checkout.env"
    path.write_text("PYTHONVERBOSE=1\n")
    path.chmod(0o600)
    done = _run("--env-file", str(path), "--version", given={})
    assert done.returncode == 0
    assert "import 'site'" in done.stderr
    assert "CHECKOUT_ENV_FILE" not in os.environ


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("A='sesame'\n", ["--version"], ["line 1: ", "quotation mark"]),
        ("# fine\nA=sesame sesame\n", ["health"], ["line 2: ", "a space"]),
        (None, ["--version"], ["cannot be read: No such file"]),
    ],
)
def test_a_file_that_cannot_be_used_is_wrong_use_and_nothing_runs(
    tmp_path: Path, content: str | None, arguments: list[str], words: list[str]
) -> None:
    path = tmp_path / "checkout.env"
    if content is not None:
        path.write_text(content)
    for options, given in ((["--env-file", str(path)], {}), ([], {"CHECKOUT_ENV_FILE": str(path)})):
        done = _run(*options, *arguments, given=given)
        assert (done.returncode, done.stdout) == (2, "")
        assert str(path) in done.stderr
        for word in words:
            assert word in done.stderr
        assert "sesame" not in done.stderr


def test_an_option_without_its_file_is_wrong_use() -> None:
    done = _run("--env-file", given={})
    assert (done.returncode, done.stderr) == (2, "Error: Option '--env-file' requires an argument.\n")


def test_a_file_that_everybody_may_read_has_a_warning_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "checkout.env"
    path.write_text("A=sesame\n")
    path.chmod(0o644)
    done = _run("--env-file", str(path), "--version", given={})
    assert done.returncode == 0
    assert done.stderr == f"{path} may be read by every user of this machine: chmod o-r it.\n"


def test_signals_at_the_very_beginning_do_not_kill() -> None:
    """As soon as the web's commands load: a reload is not heard yet, an end is."""
    trace = "import signal, sys, os; sys.argv = ['checkout', 'web']\n"
    trace += "from checkout_service.command_line import entry\n"
    trace += "import builtins; real = builtins.__import__\n"
    trace += "def hit(name, *rest):\n"
    trace += "    if name.startswith('click'):\n"
    trace += "        os.kill(os.getpid(), signal.SIGHUP); print('goes on', flush=True)\n"
    trace += "        os.kill(os.getpid(), signal.SIGTERM)\n"
    trace += "    return real(name, *rest)\n"
    trace += "builtins.__import__ = hit\n"
    trace += "entry.main()\n"
    done = subprocess.run(
        [sys.executable, "-c", trace], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "goes on\n")
