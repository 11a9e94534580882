"""The files of three hosts fit each other. ``make cluster`` runs them; here is what can be seen without."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster.units import UnitError, read_settings, read_unit
from tests.conftest import ROOT

HOSTS = ROOT / "deploy" / "hosts"
UNITS = sorted([*(HOSTS / "systemd").glob("*.service"), *(ROOT / "deploy" / "systemd").glob("*.service")])
SCRIPTS = sorted(path for path in (HOSTS / "bin").iterdir() if path.suffix != ".sql")
PLACEHOLDER = re.compile(r"CHANGE-ME-[A-Z]+")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_each_unit_is_read_line_by_line(path: Path) -> None:
    unit = read_unit(path, "b")
    assert unit.commands[0][0].startswith("/")
    assert "%l" not in " ".join([*unit.commands[0], *unit.environment.values()])
    assert unit.kind == "oneshot" or unit.restart in {"always", "on-failure"}


def test_a_line_that_is_not_known_is_refused(tmp_path: Path) -> None:
    unit = tmp_path / "odd.service"
    unit.write_text("[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true %H 100%%\nRestartSec=3s\n")
    assert read_unit(unit, "b").commands == [["/bin/true", "b", "100%"]]
    assert read_unit(unit, "b").restart_after == 3.0
    unit.write_text("[Service]\nExecStart=/bin/true\nWatchdogSec=3\n")
    with pytest.raises(UnitError, match=r"odd\.service:3: WatchdogSec"):
        read_unit(unit, "b")
    unit.write_text("[Service]\nRestartSec=3\n")
    with pytest.raises(UnitError, match="no ExecStart"):
        read_unit(unit, "b")


def test_the_port_of_the_web_is_held_for_it(tmp_path: Path) -> None:
    assert {path.stem: read_unit(path, "a").listen for path in UNITS if read_unit(path, "a").listen} == {
        "checkout-web": ("0.0.0.0", 8000)  # noqa: S104 (what the unit says)
    }
    (tmp_path / "odd.service").write_text("[Service]\nExecStart=/bin/true\n")
    (tmp_path / "odd.socket").write_text("[Socket]\nListenStream=/run/odd\n")
    with pytest.raises(UnitError, match=r"odd\.socket: one ListenStream"):
        read_unit(tmp_path / "odd.service", "a")


def test_a_release_stops_nothing_and_is_tried_again() -> None:
    """Whatever requires a unit is stopped with it by ``systemctl restart``, and does not start where it failed."""
    for path in UNITS:
        lines = path.read_text().splitlines()
        assert not [line for line in lines if line.startswith("Requires=") and "release" in line], path.name
        waits = [line for line in lines if line.startswith("After=") and "checkout-release.service" in line]
        assert bool(waits) == ("Wants=checkout-release.service" in lines), path.name
    release = read_unit(ROOT / "deploy" / "systemd" / "checkout-release.service", "a")
    assert (release.kind, release.restart) == ("oneshot", "on-failure")


def test_settings_are_read_as_systemd_reads_them() -> None:
    assert read_settings("# a\nA=1\nB='x=y'\n\nC=\n") == {"A": "1", "B": "x=y", "C": ""}


def test_what_a_unit_names_is_there() -> None:
    for path in UNITS:
        for command in [*read_unit(path, "a").before, *read_unit(path, "a").commands]:
            for word in command:
                if word.startswith("/opt/checkout/deploy/"):
                    assert (ROOT / word.removeprefix("/opt/checkout/")).exists(), f"{path.name}: {word}"
                name = word.removeprefix("config_file=")
                if name.startswith("/etc/checkout/"):
                    assert (HOSTS / "etc" / Path(name).name).exists(), f"{path.name}: {word}"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_for_any_shell(path: Path) -> None:
    assert path.suffix == ".sh" or path.read_text().startswith("#!/bin/sh\n")
    assert path.suffix == ".sh" or path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True)


def test_each_password_stands_where_both_sides_need_it() -> None:
    found: dict[str, set[str]] = {}
    for path in (HOSTS / "etc").iterdir():
        for name in PLACEHOLDER.findall(path.read_text()):
            found.setdefault(name, set()).add(path.name)
    assert found == {
        "CHANGE-ME-WEB": {"web.env", "userlist.txt"},
        "CHANGE-ME-WORKER": {"worker.env", "userlist.txt"},
        "CHANGE-ME-RELEASE": {"release.env"},
        "CHANGE-ME-REPLICATION": {"pgpass"},
        "CHANGE-ME-RABBITMQ": {"broker.env", "rabbitmq.conf"},
        "CHANGE-ME-VALKEY": {"broker.env", "valkey.conf", "haproxy.cfg"},
    }
    roles = (HOSTS / "bin" / "roles.sql").read_text()
    given = (HOSTS / "bin" / "postgresql-roles").read_text()
    assert set(re.findall(r":'(\w+)'", roles)) == {"web", "worker", "release", "replication"}
    for name, variable in re.findall(r"^\\getenv (\w+) (\w+)$", roles, re.MULTILINE):
        assert variable == f"CHECKOUT_{name.upper()}"
        assert f"\n{variable}=$(secret " in given


def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        pytest.skip("NO HAPROXY: install Debian's haproxy to have its configuration tested")
    written = (HOSTS / "etc" / "haproxy.cfg").read_text()
    here = tmp_path / "haproxy.cfg"
    here.write_text(re.sub(r"\b[abc]:(5432|6379)", r"127.0.0.1:\1", written))
    done = subprocess.run([program, "-c", "-f", str(here)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_check_says_what_postgresql_expects() -> None:
    """By the lengths in the messages: a wrong one leaves the server waiting."""
    written = (HOSTS / "etc" / "haproxy.cfg").read_text()
    for backend in ("confirmed", "unconfirmed"):
        _, _, rest = written.partition(f"\nbackend {backend}\n")
        rest = rest.partition("\nbackend ")[0].partition("\nlisten ")[0]
        sent = [bytes.fromhex(line) for line in re.findall(r"tcp-check send-binary (\w+)", rest)]
        start, query = b"".join(sent[:4]), b"".join(sent[4:])
        assert int.from_bytes(start[:4], "big") == len(start)
        assert start[8:] == b"user\0checkout_probe\0database\0postgres\0\0"
        assert query == b"Q\0\0\0\x1cSELECT checkout_probe()\0" + b"X\0\0\0\x04"
