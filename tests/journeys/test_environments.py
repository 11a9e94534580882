"""What each real process is given: its own secrets, and those of no other one."""

from __future__ import annotations

from collections.abc import Mapping

import psutil
import pytest

from checkout_service.local.session import Session
from tests.journeys.conftest import eventually

SECRETS = {
    *("DATABASE_URL", "WORKER_DATABASE_URL", "MIGRATION_DATABASE_URL", "JWT_SECRET", "PAGES_SECRET"),
    *("MOCK_WEBHOOK_SECRETS", "ACME_WEBHOOK_SECRETS", "ACME_API_KEY", "FLOWER_BASIC_AUTH", "CONSOLE_BASIC_AUTH"),
    "WEBHOOK_SECRETS_KEY",
}
"""All that are set in a run; ACME is a provider that nobody has an account at."""

WORKER = {
    *("WORKER_DATABASE_URL", "MOCK_WEBHOOK_SECRETS", "ACME_WEBHOOK_SECRETS", "ACME_API_KEY"),
    "WEBHOOK_SECRETS_KEY",
}

HELD = {
    "web": {
        *("DATABASE_URL", "JWT_SECRET", "PAGES_SECRET", "CONSOLE_BASIC_AUTH", "ACME_API_KEY"),
        "WEBHOOK_SECRETS_KEY",
    },
    "workers": WORKER,
    "beat": set[str](),
    "flower": {"FLOWER_BASIC_AUTH"},
    "mock-provider": {"MOCK_WEBHOOK_SECRETS"},
}


def test_a_run_has_these_secrets_and_processes(running: Session) -> None:
    assert running.environment.keys() >= SECRETS
    assert {process.name for process in running.processes.running} == set(HELD)


@pytest.mark.parametrize("name", HELD)
def test_a_process_and_its_children_hold_their_own_secrets_alone(running: Session, name: str) -> None:
    process = running.processes.named(name).running
    assert process is not None
    for environment in _environments(process.pid):
        assert SECRETS & environment.keys() == HELD[name]
        assert environment.keys() >= {"PATH", "ENVIRONMENT", "TMPDIR"}, "what is no secret goes to all"
        assert ("REDIS_URL" in environment) == (name != "mock-provider"), "the broker's address may hold its password"


def _environments(pid: int) -> list[Mapping[str, str]]:
    """Those of a process and of all that it started, as the system shows them."""

    def read() -> list[Mapping[str, str]]:
        master = psutil.Process(pid)
        try:
            return [each.environ() for each in (master, *master.children(recursive=True))]
        except psutil.NoSuchProcess:  # a child that was just replaced
            return []

    found: list[Mapping[str, str]] = eventually(read)
    return found
