"""The files under deploy/ are valid, run the Procfile's commands, and give each process the time that it needs."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import celeryconfig
from checkout_service.local.processes import read_procfile
from checkout_service.server.draining import LINGER
from checkout_service.server.granian_server import DRAIN_SECONDS
from tests.conftest import ROOT

COMMANDS = read_procfile(ROOT / "Procfile")
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
LONGEST = max(limits["time_limit"] for limits in celeryconfig.task_annotations.values())
NEEDED = {"web": DRAIN_SECONDS + int(LINGER) + 5, "worker": celeryconfig.task_time_limit, "housekeeping": LONGEST}
"""Seconds that a process may take to end in good order."""


def _documents() -> list[tuple[str, dict[str, Any]]]:
    return [(path.name, document) for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]


def _pods() -> dict[str, dict[str, Any]]:
    return {
        document["metadata"]["labels"]["app.kubernetes.io/component"]: document["spec"]["template"]["spec"]
        for _, document in _documents()
        if document["kind"] in {"Deployment", "Job"}
    }


@pytest.mark.parametrize(("name", "document"), _documents())
def test_kubernetes_takes_it(name: str, document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.33", strict=True)


def test_every_process_of_the_procfile_is_deployed_by_its_command() -> None:
    assert {name: pod["containers"][0]["command"] for name, pod in _pods().items()} == COMMANDS
    assert {_process(unit): _command(unit) for unit in UNITS} == COMMANDS


def test_each_has_the_time_that_it_needs_to_end() -> None:
    for name, seconds in NEEDED.items():
        assert _pods()[name]["terminationGracePeriodSeconds"] >= seconds + 5, name
        (unit,) = [unit for unit in UNITS if _process(unit) == name]
        assert int(_unit(unit)["Service"]["TimeoutStopSec"]) >= seconds + 5, name


def test_the_web_is_probed_where_it_answers_and_holds_no_webhook_secret() -> None:
    (container,) = _pods()["web"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    held = {
        name: [source.get("secretRef", {}).get("name") for source in _pods()[name]["containers"][0]["envFrom"]]
        for name in ("web", "worker")
    }
    assert held == {"web": [None, "checkout-web"], "worker": [None, "checkout-worker"]}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NO SYSTEMD: install it to have the units verified")
    for other in UNITS:
        shutil.copy(other, tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    # Its programs are where it will be installed, not here.
    said = [line for line in done.stderr.splitlines() if unit.name in line and "is not executable" not in line]
    assert said == []


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
