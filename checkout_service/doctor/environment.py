"""Checks of the settings of other processes, as far as this host has them: a secret that cannot work is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from checkout_service.doctor.findings import Finding, ok, unknown, wrong
from checkout_service.providers.registry import account_forms
from checkout_service.settings.values import FlowerSettings, SettingsError, WorkerSettings

NOT_HERE: Final = ("Environment variable not set.", "is set, and empty")
"""How a fault ends that says no more than that a process of another kind is elsewhere."""


def check_flower() -> Iterator[Finding]:
    """Who may sign in at Flower."""
    try:
        users = FlowerSettings.from_environment().users
    except SettingsError as error:
        yield unusable("flower settings", error, remedy="Run the doctor where Flower's environment is, too.")
        return
    yield ok("flower settings", f"{len(users)} may sign in")


def check_worker_settings() -> Iterator[Finding]:
    """Whether a worker would start with them."""
    try:
        worker = WorkerSettings.from_environment(account_forms())
    except SettingsError as error:
        yield unusable("worker settings", error, remedy="Run the doctor where the worker's environment is, too.")
        return
    yield ok("worker settings", f"complete, accounts at {', '.join(worker.accounts)}")


def unusable(about: str, error: SettingsError, *, remedy: str) -> Finding:
    """What is wrong with the settings of another process: unknown if some are not here, wrong if one cannot work."""
    faults = str(error).splitlines()
    if cannot_work := [fault for fault in faults if not fault.endswith(NOT_HERE)]:
        return wrong(about, "; ".join(cannot_work), "Set it right; that process does not start with it.")
    return unknown(about, "; ".join(faults), remedy)
