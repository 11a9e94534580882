"""compose.yaml: by the schema, and what it says run for real, as processes; docker itself is not here."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from checkout_service.local.purchase import buy
from checkout_service.settings.secret_holders import FILES_OF_PROCESS, may_hold
from tests.conftest import ROOT
from tests.deploying.compose import FILE, Project, project, read
from tests.in_node import PACKAGES, find_node

CATALOGUE = ROOT / "checkout_service" / "local" / "demo_catalog.jsonl"
DOCKERFILE = (ROOT / "deploy" / "image" / "Dockerfile").read_text(encoding="utf-8")


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    program = PACKAGES / "node_modules" / "dclint" / "bin" / "dclint.cjs"
    rules = ROOT / "tests" / "deploying" / "dclint.yaml"
    command = [find_node("dclint"), str(program), "--max-warnings", "0", "--config", str(rules), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_is_as_compose_has_it(tmp_path: Path) -> None:
    done = lint(FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("    command: [beat]", "    comand: [beat]"))
    assert lint(wrong).returncode == 1, "the linter finds what it is for"


@pytest.fixture
def services() -> Iterator[Project]:
    # Not in pytest's folder: PostgreSQL has another account than root, and has to pass.
    with tempfile.TemporaryDirectory(prefix="checkout-compose-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shop = folder / "volumes" / "shop"
        shop.mkdir(parents=True)
        (shop / "shop.env").write_text("ORDER_NUMBER_PREFIX=SHOP-\nWEB_CONCURRENCY=1\nWORKER_CONCURRENCY=1\n")
        with project(folder) as found:
            yield found


def test_one_command_makes_all_and_sells(services: Project) -> None:
    services.up("demo")

    settings = _settings(services, "web")
    base = f"http://127.0.0.1:{services.ports['web']}"
    # What the provider signs with is the worker's alone; here the test plays the provider.
    provider = {"MOCK_WEBHOOK_SECRETS": _settings(services, "worker")["MOCK_WEBHOOK_SECRETS"]}
    bought = buy(base, settings | provider, CATALOGUE, lambda *_: None)
    assert (bought.order_number or "").startswith("SHOP-"), "the shop's own settings reach the processes"

    user, _, password = settings["CONSOLE_BASIC_AUTH"].partition(":")
    assert httpx.get(f"{base}/ops", auth=(user, password), follow_redirects=True, timeout=30).status_code == 200

    # Once more, as after a release: nothing that was made is made anew.
    before = {path: path.read_bytes() for path in services.folder.glob("volumes/*/*.env")}
    assert len(before) > 8
    assert {path.stat().st_mode & 0o077 for path in before if "shop" not in path.parts} == {0}
    again = subprocess.run(
        [services._placed("database", part) for part in _command(services, "database")],
        env=services.environment("database"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in services.folder.glob("volumes/*/*.env")} == before

    secrets = [
        value for each in ("web", "worker", "flower", "release") for value in _secrets(_settings(services, each))
    ]
    logs = "".join(services.log(name) for name in services.started if name != "postgres") + again.stdout + again.stderr
    assert len(secrets) > 8
    assert not [value for value in secrets if value in logs], "no secret is shown"

    assert set(services.down().values()) == {0}


def test_each_process_finds_its_own_secrets_and_no_others() -> None:
    for name, service in read({})["services"].items():
        mounted = {volume.split(":")[0] for volume in service.get("volumes", [])}
        if name in FILES_OF_PROCESS:
            assert mounted <= set(FILES_OF_PROCESS[name]), name
            assert all(volume.endswith(":ro") for volume in service.get("volumes", []))
            given = service["environment"]
            assert not [setting for setting in given if not may_hold(name, setting)]
    assert "admin" not in mounted


def test_what_runs_is_what_the_image_says() -> None:
    ours = {name: each for name, each in read({})["services"].items() if name not in {"postgres", "valkey"}}
    assert set(FILES_OF_PROCESS) <= set(ours)
    for name, service in ours.items():
        assert service["user"] == re.search(r"^USER (\S+)$", DOCKERFILE, re.M)[1]  # type: ignore[index]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert [entry.partition(":")[0] for entry in service["tmpfs"]] == ["/tmp"]
        assert ("healthcheck" in service) == (service["restart"] != "no"), name
    health = re.search(r"HEALTHCHECK .*CMD (\[.+\])$", DOCKERFILE, re.M)
    assert health
    assert ours["web"]["healthcheck"]["test"] == ["CMD", *health[1].strip("[]").replace('"', "").split(", ")]
    published = [port for each in ours.values() for port in each.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published), "what is open to all is for a proxy to say"


def _command(services: Project, name: str) -> list[str]:
    service = services.services[name]
    return [*service["entrypoint"], *service["command"]]


def _settings(services: Project, volume: str) -> dict[str, str]:
    found = {}
    for path in (services.folder / "volumes" / volume).glob("*.env"):
        found |= dict(line.split("=", 1) for line in path.read_text().splitlines())
    return found


def _secrets(settings: dict[str, str]) -> Iterator[str]:
    for name, value in settings.items():
        if name.endswith(("SECRET", "SECRETS", "_KEY", "_TOKEN")):
            yield value
        elif name.endswith("DATABASE_URL"):
            yield value.rpartition("@")[0].rpartition(":")[2]
        elif name.endswith("BASIC_AUTH"):
            yield value.partition(":")[2]
