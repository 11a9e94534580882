"""The units under deploy/ are valid, run the Procfile's commands, and give each process the time that it needs."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from checkout_service.command_line.processes import TOGETHER
from checkout_service.local.guard import GRACE_SECONDS
from checkout_service.local.processes import read_procfile
from checkout_service.server.draining import LINGER
from checkout_service.server.granian_server import DRAIN_SECONDS
from checkout_service.server.listening import BACKLOG
from checkout_service.server.supervisor import SERVES_WITHIN, STOPS_WITHIN
from checkout_service.settings.secret_holders import (
    FILES_OF_COMMAND,
    FILES_OF_PARENT,
    FILES_OF_PROCESS,
    SECRETS,
    files_with,
)
from checkout_service.tasks import ENDING, QUEUES_OF_PROCESS, TaskName
from tests.conftest import ROOT
from worker.together import ENDS_WITHIN, LEEWAY

FILES = {**FILES_OF_PROCESS, **FILES_OF_PARENT, **FILES_OF_COMMAND}
COMMANDS = read_procfile(ROOT / "Procfile")
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
TIMER = ROOT / "deploy" / "systemd" / "checkout-settlements.timer"
SOCKET = ROOT / "deploy" / "systemd" / "checkout-web.socket"
NEEDED = {"web": STOPS_WITHIN} | {
    process: max(t.declaration.time_limit for t in TaskName if t.declaration.queue in queues).total_seconds()
    + ENDING.total_seconds()
    for process, queues in QUEUES_OF_PROCESS.items()
}
"""Seconds that a process may take to end in good order."""
NEEDED |= {parent: max(NEEDED[name] for name in names) for parent, names in TOGETHER.items()}


def test_every_process_of_the_procfile_is_deployed_by_its_command() -> None:
    # What each of them runs is compared with the Procfile in tests/command_line.
    commands = {name: ["checkout", name] for name in (*COMMANDS, *TOGETHER)}
    assert {_process(unit): _command(unit) for unit in UNITS} == commands | {
        "settlements": ["checkout", "settlements", "fetch"]
    }


def test_one_parent_takes_the_place_of_its_processes_and_gives_each_the_time_that_it_needs() -> None:
    for parent, names in TOGETHER.items():
        (unit,) = [_unit(unit)["Unit"] for unit in UNITS if _process(unit) == parent]
        # Later ones of the same name are read alone: this is the last line that says after whom.
        assert unit["Conflicts"] == unit["After"] == " ".join(f"checkout-{name}.service" for name in names)
        assert {name: ENDS_WITHIN[name] for name in names} == {name: NEEDED[name] for name in names}
        (service,) = [_unit(unit)["Service"] for unit in UNITS if _process(unit) == parent]
        assert service["OOMPolicy"] == "continue", "the parent starts it again, and the others go on"
        # It kills late ones before systemd kills it, and says so.
        assert (
            max(ENDS_WITHIN[name] + LEEWAY for name in names)
            <= int(next(_unit(unit) for unit in UNITS if _process(unit) == parent)["Service"]["TimeoutStopSec"]) - 5
        )


def test_reports_are_fetched_by_a_timer_and_one_at_a_time() -> None:
    (unit,) = [unit for unit in UNITS if _process(unit) == "settlements"]
    service, timer = _unit(unit), _unit(TIMER)
    assert service["Service"]["Type"] == "oneshot"
    assert "Install" not in service, "the timer alone starts it"
    assert TIMER.stem == unit.stem, "which is whom it starts"
    assert timer["Timer"]["OnCalendar"] == "hourly"
    # A long one is not broken off by the hour: while it runs, no second one begins. One that hangs is ended.
    assert 3600 < int(service["Service"]["TimeoutStartSec"]) < 86400
    # What a million lines take is on the disk: /tmp may be in memory. PrivateTmp gives it a folder of its own in both.
    assert service["Service"]["Environment"] == "TMPDIR=/var/tmp"
    hardened = {"NoNewPrivileges", "PrivateTmp", "ProtectSystem", "ProtectHome"}
    (sender,) = [_unit(unit)["Service"] for unit in UNITS if _process(unit) == "sender"]
    assert {name: service["Service"][name] for name in hardened} == {name: sender[name] for name in hardened}


def test_each_has_the_time_that_it_needs_to_end() -> None:
    for name, seconds in NEEDED.items():
        (unit,) = [unit for unit in UNITS if _process(unit) == name]
        assert int(_unit(unit)["Service"]["TimeoutStopSec"]) >= seconds + 5, name


def test_the_time_to_end_holds_a_broker_that_froze() -> None:
    code = "import celeryconfig, sys; sys.stdout.write(str(celeryconfig.broker_transport_options['socket_timeout']))"
    environment = {"REDIS_URL": "redis://127.0.0.1:1/0", "PATH": os.defpath}
    frozen = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=environment, text=True)
    assert ENDING.total_seconds() >= float(frozen) + 5
    assert max(NEEDED["web"], NEEDED["worker"]) <= GRACE_SECONDS, "one machine waits for them as well"


def test_the_page_says_how_long_each_takes_to_end() -> None:
    rows = dict(re.findall(r"^\| ([a-z]+) \| (\d+) s", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE))
    assert {name: float(rows[name]) for name in NEEDED if name != "sender"} == {
        name: seconds for name, seconds in NEEDED.items() if name != "sender"
    }


def test_the_supervisor_waits_for_its_masters_and_they_for_their_children() -> None:
    assert STOPS_WITHIN >= DRAIN_SECONDS + LINGER + 5


def test_the_web_is_replaced_by_a_reload_and_its_port_outlives_a_restart() -> None:
    (web,) = [unit for unit in UNITS if _process(unit) == "web"]
    unit, held = _unit(web), _unit(SOCKET)["Socket"]
    # The supervisor stays the main process, and says itself how it is.
    assert unit["Service"]["Type"] == "notify"
    assert unit["Service"]["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert unit["Service"]["KillMode"] == "mixed"
    assert int(unit["Service"]["TimeoutStartSec"]) > SERVES_WITHIN
    for needs in ("Requires", "After"):
        assert SOCKET.name in unit["Unit"][needs].split()
    settings = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "settings.yaml").read_text())["data"]
    assert held["ListenStream"] == f"0.0.0.0:{settings.get('PORT', 8000)}"
    assert int(held["Backlog"]) == BACKLOG
    assert held["NoDelay"] == "yes", "as on the listener that is its own"


def test_every_queue_is_consumed_by_the_process_that_says_so() -> None:
    consumed = {name: words[words.index("-Q") + 1] for name, words in COMMANDS.items() if "-Q" in words}
    assert consumed == {name: ",".join(queues) for name, queues in QUEUES_OF_PROCESS.items()}


def test_each_process_reads_the_settings_and_its_own_secrets_alone() -> None:
    assert set(FILES_OF_PROCESS) == set(COMMANDS)
    for process, files in FILES.items():
        (unit,) = [unit for unit in UNITS if _process(unit) == process]
        lines = [line.partition("=") for line in unit.read_text().splitlines()]
        assert [value.lstrip("-") for name, _, value in lines if name == "EnvironmentFile"] == [
            f"/etc/checkout/{file}.env" for file in ("settings", *files)
        ], process
        own = [value for name, _, value in lines if name == "Environment"]
        assert own == (["TMPDIR=/var/tmp"] if process == "settlements" else []), process


def test_the_page_names_each_file_what_it_holds_and_who_reads_it() -> None:
    rows = re.findall(
        r"^\| `(\w+)\.env` \| (.+) \| (.+) \|$", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE
    )
    readers = {file: readers.split(", ") for file, _, readers in rows}
    assert readers.pop("settings") == list(FILES)
    assert readers == {
        file: [process for process, files in FILES.items() if file in files]
        for files in FILES.values()
        for file in files
    }
    for file, holds, _ in rows[1:]:
        names = set(re.findall(r"[A-Z<>]+(?:_[A-Z<>]+)+", holds))
        assert {name for name in names if file not in files_with(name)} == set(), file
        assert {name for name, files in SECRETS if "*" not in name and file in files} <= names, file


@pytest.mark.parametrize("unit", [*UNITS, SOCKET, TIMER], ids=lambda unit: unit.stem)
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NO SYSTEMD: install it to have the units verified")
    for other in (*UNITS, SOCKET, TIMER):
        shutil.copy(other, tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    # Its programs are where it will be installed, not here.
    printed = [line for line in done.stderr.splitlines() if unit.name in line and "is not executable" not in line]
    assert printed == []


def _process(unit: Path) -> str:
    return unit.stem.removeprefix("checkout-")


def _unit(unit: Path) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names have capitals
    found.read(unit)
    return found


def _command(unit: Path) -> list[str]:
    # A percent sign is systemd's own, doubled to be itself.
    command = _unit(unit)["Service"]["ExecStart"].replace("%%", "%").split()
    return [command[0].removeprefix("/opt/checkout/.venv/bin/"), *command[1:]]


def test_root_has_the_command_with_all_settings(tmp_path: Path) -> None:
    program = (ROOT / "deploy" / "systemd" / "checkout").read_text()
    assert os.access(ROOT / "deploy" / "systemd" / "checkout", os.X_OK)
    named = re.search(r"^for name in (.+); do$", program, re.MULTILINE)
    assert named
    assert {*named[1].split(), "flower"} == {
        "settings",
        *(file for files in FILES.values() for file in files),
    }
    settings, installed = tmp_path / "etc", tmp_path / "bin"
    settings.mkdir()
    installed.mkdir()
    (settings / "settings.env").write_text("DEFAULT_CURRENCY=EUR\n")
    (settings / "broker.env").write_text("REDIS_URL=redis://cache:6379/0\n")
    (installed / "checkout").write_text('#!/bin/sh\necho "$DEFAULT_CURRENCY $REDIS_URL" "$@"\n')
    (installed / "checkout").chmod(0o755)
    program = program.replace("/etc/checkout", str(settings)).replace("/opt/checkout/.venv/bin", str(installed))
    command = ["/bin/sh", "-c", program, "checkout", "doctor", "two words"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "EUR redis://cache:6379/0 doctor two words\n"
