"""What stands in a unit file of systemd, as far as ours use it. What is not known here is refused, not passed over."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HARDENING: Final = frozenset(
    ("NoNewPrivileges", "PrivateTmp", "ProtectSystem", "ProtectHome", "OOMScoreAdjust", "OOMPolicy", "LimitNOFILE")
)
"""What keeps a process from others of its host. Nothing here depends on it, and it is left out."""

_SECTION: Final = re.compile(r"\[(\w+)\]")
_SECONDS: Final = re.compile(r"(\d+)s?")


class UnitError(Exception):
    """A line of a unit file that is not understood."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentFile:
    """A file of settings; without it the unit does not start, unless it may be missing."""

    path: str
    may_be_missing: bool


@dataclass(kw_only=True)
class Unit:
    """A service. Commands are words, with the host's name and the percent signs filled in; times are in seconds."""

    name: str
    commands: list[list[str]] = field(default_factory=list)
    """``ExecStart``: one, of a oneshot unit as many as there are."""
    before: list[list[str]] = field(default_factory=list)
    """``ExecStartPre``: each has to succeed first."""
    reload: list[str] | None = None
    """``ExecReload``, in which ``$MAINPID`` stands for the process."""
    kind: str = "simple"
    user: str | None = None
    folder: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    environment_files: list[EnvironmentFile] = field(default_factory=list)
    runtime_folder: str | None = None
    kill_signal: str = "SIGTERM"
    stop_within: float = 90.0
    listen: tuple[str, int] | None = None
    """Address and port that are listened on for it, whether it runs or not: of the socket unit of its name."""
    restart: str = "no"
    restart_after: float = 0.1


def read_unit(path: Path, host: str) -> Unit:
    """The service in the file, as a host of that name has it. Raises UnitError."""
    unit = Unit(name=path.stem)
    section = ""
    for number, written in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = written.strip()
        if not line or line[0] in "#;":
            continue
        if found := _SECTION.fullmatch(line):
            section = found[1]
        elif section == "Service":
            name, _, value = line.partition("=")
            if not _take(unit, name, _filled(value, host)):
                raise UnitError(f"{path.name}:{number}: {name} is not known here")
    if not unit.commands:
        raise UnitError(f"{path.name}: no ExecStart")
    socket_unit = path.with_suffix(".socket")
    if socket_unit.exists():
        found = re.findall(r"^ListenStream=(\S+):(\d+)$", socket_unit.read_text(encoding="utf-8"), re.MULTILINE)
        if len(found) != 1:
            raise UnitError(f"{socket_unit.name}: one ListenStream with an address is known here")
        unit.listen = (found[0][0], int(found[0][1]))
    return unit


def _take(unit: Unit, name: str, value: str) -> bool:
    match name:
        case "ExecStart":
            unit.commands.append(shlex.split(value))
        case "ExecStartPre":
            unit.before.append(shlex.split(value))
        case "ExecReload":
            unit.reload = shlex.split(value)
        case "Type":
            unit.kind = value
        case "User":
            unit.user = value
        case "WorkingDirectory":
            unit.folder = value
        case "Environment":
            setting, _, given = value.partition("=")
            unit.environment[setting] = given
        case "EnvironmentFile":
            path = value.removeprefix("-")
            unit.environment_files.append(EnvironmentFile(path=path, may_be_missing=path != value))
        case "RuntimeDirectory":
            unit.runtime_folder = value
        case "KillSignal":
            unit.kill_signal = value
        case "TimeoutStopSec":
            unit.stop_within = _seconds(value)
        case "Restart":
            unit.restart = value
        case "RestartSec":
            unit.restart_after = _seconds(value)
        case "KillMode":
            return value == "mixed"
        case "RemainAfterExit" | "TimeoutStartSec" | "NotifyAccess":
            pass
        case _:
            return name in HARDENING
    return True


def _seconds(value: str) -> float:
    found = _SECONDS.fullmatch(value)
    if found is None:
        raise UnitError(f"{value!r} is no number of seconds")
    return float(found[1])


def _filled(value: str, host: str) -> str:
    """``%H`` and ``%l`` are the host's name, which is short here; ``%%`` is a percent sign."""
    return re.sub(r"%(.)", lambda found: {"H": host, "l": host, "%": "%"}[found[1]], value)


def read_settings(text: str) -> dict[str, str]:
    """The settings of an ``EnvironmentFile``: a line each, in quotes or not."""
    found = {}
    for line in text.splitlines():
        if line.strip() and line.lstrip()[0] not in "#;":
            name, _, value = line.strip().partition("=")
            found[name] = value[1:-1] if value[:1] == value[-1:] and value[:1] in {'"', "'"} else value
    return found
