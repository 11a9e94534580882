"""What is set over compose.yaml on a host that is short of memory: one parent for three processes, one child each."""

from __future__ import annotations

from typing import Any

import yaml

from checkout_service.command_line.processes import TOGETHER
from checkout_service.settings.secret_holders import FILES_OF_PARENT, FILES_OF_PROCESS, may_hold
from tests.deploying.compose import FILE, read

SMALL: dict[str, Any] = yaml.safe_load(FILE.with_name("small.yaml").read_text(encoding="utf-8"))["services"]
WHOLE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]


def test_one_service_runs_the_parent_and_those_of_its_processes_are_not_started() -> None:
    names = TOGETHER["workers"]
    assert {name for name in names if SMALL[name].get("profiles")} == {*names} - {"worker"}
    profiles = {profile for name in names for profile in SMALL[name].get("profiles", [])}
    assert not profiles & {profile for each in WHOLE.values() for profile in each.get("profiles", [])}
    assert SMALL["worker"]["command"] == ["workers"]
    # It sees what the worker alone sees, and all three need the same.
    assert {FILES_OF_PROCESS[name] for name in names} == {FILES_OF_PARENT["workers"]}
    settings = read({})["services"]["worker"]["environment"]
    assert [name for name in settings if not may_hold("workers", name)] == []


def test_its_health_is_that_of_all_three_and_it_has_the_time_of_the_slowest_to_end() -> None:
    *before, last = WHOLE["worker"]["healthcheck"]["test"]
    assert SMALL["worker"]["healthcheck"]["test"] == [*before, "workers"]
    assert last == "worker"
    graces = [int(WHOLE[name]["stop_grace_period"].removesuffix("s")) for name in TOGETHER["workers"]]
    assert SMALL["worker"]["stop_grace_period"] == f"{max(graces)}s"
    ports = {f"{name.upper()}_METRICS_PORT" for name in TOGETHER["workers"]}
    values = [WHOLE["worker"]["environment"][name] for name in ports]
    assert len({*values, "0"}) == len(ports) + 1, "one container has them all"


def test_nothing_that_keeps_work_safe_is_switched_off() -> None:
    whole, small = (each["postgres"]["command"] for each in (WHOLE, SMALL))
    kept = {"synchronous_commit=on", "fsync=on"}
    assert kept <= {*whole} & {*small}
    assert {*SMALL} <= {*WHOLE}
    for name, service in SMALL.items():
        assert set(service) <= {"command", "environment", "stop_grace_period", "healthcheck", "profiles"}, name
