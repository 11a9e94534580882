"""``checkout`` from a checkout: every command of ``flask --app wsgi``, statuses, and the environment file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["payments", "check"], 0),
        (["webhooks", "list", "--state", "failed"], 0),
        (["catalog", "import", "no-such-file"], 2),
        (["payments", "frobnicate"], 2),
        (["stock", "show", "no-id"], 2),
        (["doctor", "--frobnicate"], 2),
        (["frobnicate"], 2),
    ],
)
def test_it_does_what_flask_does(servers: Servers, arguments: list[str], status: int) -> None:
    given = environment(servers)
    by_flask = _run(*arguments, given=given, program="flask")
    done = _run(*arguments, given=given)

    assert (done.returncode, done.stdout) == (by_flask.returncode, by_flask.stdout)
    # A usage names the program.
    assert done.stderr.replace("checkout ", "flask ") == by_flask.stderr.replace("python -m flask ", "flask ")
    assert done.returncode == status


def test_the_list_has_every_command_of_flask(servers: Servers) -> None:
    given = environment(servers)

    def listed(text: str) -> set[str]:
        lines = text.partition("Commands:\n")[2].splitlines()
        return {line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "}

    ours, flasks = (listed(_run("--help", given=given, program=name).stdout) for name in ("checkout", "flask"))
    assert {"catalog", "db", "doctor", "mock", "payments", "webhooks"} <= flasks
    assert flasks <= ours
    assert {"web", "worker", "housekeeping", "sender", "beat", "flower", "release", "run", "health"} <= ours


def test_help_is_there_before_the_settings() -> None:
    done = _run("--help", given={})
    assert done.returncode == 0
    assert "housekeeping" in done.stdout
    assert "The other commands need the settings" in done.stdout
    assert "DATABASE_URL" in done.stdout
    assert "doctor" not in done.stdout.partition("Commands:")[2].partition("The other commands")[0]


def test_settings_that_cannot_be_used_end_it_with_1_and_wrong_use_with_2() -> None:
    assert _run("doctor", given={}).returncode == 1
    assert _run("web", given={}).returncode == 1
    assert _run("web", "--frobnicate", given={}).returncode == 2
    assert _run("--frobnicate", given={}).returncode == 2
    assert _run("health", "frobnicate", given={}).returncode == 2
    assert _run(given={}).returncode == 2


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
    for arguments, given in (
        (["--env-file", str(file)], {}),
        ([f"--env-file={file}"], {}),
        ([], {"CHECKOUT_ENV_FILE": str(file)}),
        (["--env-file", str(file)], {"CHECKOUT_ENV_FILE": "/no/such/file"}),
        (["--env-file", "/no/such/file", "--env-file", str(file)], {}),
    ):
        done = _run(*arguments, "db", "current", given={**SPACED, "MOCK_WEBHOOK_SECRETS": "x" * 20, **given})
        assert (done.returncode, done.stdout.endswith("(head)\n")) == (0, True), done.stderr

    away = {
        **SPACED,
        "MOCK_WEBHOOK_SECRETS": "x" * 20,
        "MIGRATION_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    }
    assert _run("--env-file", str(file), "db", "current", given=away).returncode != 0


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


def test_a_file_that_everybody_may_read_is_told_of_in_a_line(tmp_path: Path) -> None:
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
