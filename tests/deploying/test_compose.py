"""compose.yaml: by the schema, and what it says run for real, as processes; docker itself is not here.

All of it at once is run by ``make test-install``; the others are its short cut.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.local.purchase import buy
from checkout_service.settings.secret_holders import FILES_OF_COMMAND, FILES_OF_PROCESS, files_with, may_hold
from tests.conftest import ROOT
from tests.deploying.compose import FILE, PORTS, Project, project, read
from tests.in_node import PACKAGES, find_node

DOCKERFILE = (ROOT / "deploy" / "image" / "Dockerfile").read_text(encoding="utf-8")


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    program = PACKAGES / "node_modules" / "dclint" / "bin" / "dclint.cjs"
    rules = ROOT / "tests" / "deploying" / "dclint.yaml"
    command = [find_node("dclint"), str(program), "--max-warnings", "0", "--config", str(rules), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_is_as_compose_has_it(tmp_path: Path) -> None:
    for path in (FILE, FILE.with_name("small.yaml")):
        done = lint(path)
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
        (shop / "shop.env").write_text(
            "ORDER_NUMBER_PREFIX=SHOP-\nWEB_CONCURRENCY=1\nWORKER_CONCURRENCY=1\nFLOWER_URL_PREFIX=/queues/\n"
        )
        with project(folder) as found:
            yield found


@pytest.mark.slow
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

    flower = f"http://127.0.0.1:{services.ports['flower']}"
    assert [httpx.get(flower + path).status_code for path in ("/queues/healthcheck", "/healthcheck")] == [200, 404]

    # Once more, as after a release: nothing that was made is made anew.
    before = {path: path.read_bytes() for path in services.folder.glob("volumes/*/*.env")}
    assert len(before) > 8
    assert {path.stat().st_mode & 0o077 for path in before if "shop" not in path.parts} == {0}
    again = subprocess.run(
        services.command("database"),
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


def test_a_health_check_reads_what_its_process_was_given(services: Project) -> None:
    """Docker runs it beside the process, with the container's environment, in which no file of a shop is."""
    checks = {name: each["healthcheck"].get("test", [])[-2:] for name, each in services.services.items()
             if "checkout" in each.get("healthcheck", {}).get("test", [])}  # fmt: skip
    assert set(checks) == {*PORTS}
    for name, words in checks.items():
        # For whom it asks comes last; the web is what is asked without a name.
        assert words == (["checkout", "health"] if name == "web" else ["health", name])
        (volume,) = (volume.split(":")[0] for volume in services.services[name]["volumes"])
        given = services.folder / "volumes" / volume / "settings.env"
        given.parent.mkdir(exist_ok=True)
        given.write_text("FLOWER_URL_PREFIX=/queues/\nMANAGEMENT_PORT=9000\n")
        seen = services.seen(name, services.health_command(name))
        assert (seen["FLOWER_URL_PREFIX"], seen["MANAGEMENT_PORT"]) == ("/queues/", "9000"), name
        assert seen == services.seen(name)


def test_each_process_finds_its_own_secrets_and_no_others() -> None:
    for name, service in read({})["services"].items():
        mounted = {volume.split(":")[0] for volume in service.get("volumes", []) if not volume.endswith(":/tmp")}
        assert ("admin" in mounted) == (name == "database"), name
        assert ("administrator" in mounted) == (name in {"password", "postgres", "database"}), name
        files = {**FILES_OF_PROCESS, **FILES_OF_COMMAND}
        if name in files:
            # What is shared by many is in each volume.
            assert mounted == (set(files[name]) - {"broker"} or {name}), name
            assert all(volume.endswith((":ro", ":/tmp")) for volume in service.get("volumes", []))
            given = service["environment"]
            assert not [setting for setting in given if not may_hold(name, setting)]


JWKS = "https://identity.example/keys"
OF_A_SHOP = {
    "ENVIRONMENT": "production",
    "PAYMENT_PROVIDERS": "stripe",
    "DEFAULT_CURRENCY": "EUR",
    "JWT_JWKS_URL": JWKS,
    "REDIS_URL": "redis://:pass@cache.example:6379/1",
    "CELERY_BROKER_URL": "amqp://shop:pass@broker.example/shop",
    "CATALOG_SOURCE": "products",
    "CONSOLE_BASIC_AUTH": "ops:chosen-by-the-shop-itself",
    "STRIPE_API_KEY": "rk_live_x",
    "STRIPE_WEBHOOK_SECRETS": "whsec_x",
}
"""What a shop may say instead of what is usual or was made, and what no other file says."""


@pytest.mark.parametrize("is_trial_first", [False, True])
def test_what_the_shops_files_say_reaches_each_process_at_any_start(services: Project, is_trial_first: bool) -> None:
    shop = services.folder / "volumes" / "shop"
    (shop / "shop.env").unlink()
    given = OF_A_SHOP | ({} if is_trial_first else {"DATABASE_SCHEMA": "shop", "DATABASE_ROLE_PREFIX": "shop"})
    if is_trial_first:
        services.run_once("database")
        assert services.seen("web")["JWT_SECRET"]
        assert services.seen("beat")["REDIS_URL"] == f"redis://127.0.0.1:{services.ports['valkey']}/0"
    lines = [f"{name}={value}" for name, value in given.items()]
    # As editors leave them that write no newline at the end, and in two files.
    (shop / "a.env").write_text("\n".join(lines[:4]))
    (shop / "b.env").write_text("\n".join(lines[4:]))
    for _ in range(2):
        services.run_once("database")
        seen = {name: services.seen(name) for name in FILES_OF_PROCESS}
        for name, environment in seen.items():
            expected = {setting: value for setting, value in given.items() if may_hold(name, setting)}
            assert {setting: environment.get(setting) for setting in expected} == expected, name
            own = {file for setting in environment for file in files_with(setting)} - {"settlements"}
            assert own >= set(FILES_OF_PROCESS[name]), f"{name} lacks a file of its own"
            assert not [setting for setting in environment if not may_hold(name, setting)], name
            assert "JWT_SECRET" not in environment, "it was made for a trial"
        _loads_as_web(seen["web"])


def test_reports_are_fetched_by_what_was_made_once_the_database_has_it(services: Project) -> None:
    needed = services.services["settlements"]["depends_on"]
    assert needed == {
        "postgres": {"condition": "service_healthy"},
        "release": {"condition": "service_completed_successfully"},
    }
    # The release, and so the database and all before it, begin with it; without them it fails with a sentence.
    services.run_once("settlements")
    assert {"postgres", "database", "release"} <= set(services.started)
    assert "No provider's reports are set up" in services.log("settlements")
    assert list((services.folder / "volumes" / "reports").iterdir()) == []


def _loads_as_web(environment: dict[str, str]) -> None:
    program = "from checkout_service.settings.values import WebSettings\n"
    program += "from checkout_service.providers.registry import account_forms\n"
    program += "assert WebSettings.from_environment(account_forms()).production"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_runs_is_what_the_image_says() -> None:
    ours = {name: each for name, each in read({})["services"].items() if name not in {"postgres", "valkey"}}
    assert set(FILES_OF_PROCESS) <= set(ours)
    for name, service in ours.items():
        assert service["user"] == re.search(r"^USER (\S+)$", DOCKERFILE, re.M)[1]  # type: ignore[index]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        # What a million lines take is on the disk, and of that process alone.
        in_memory = [entry.partition(":")[0] for entry in service["tmpfs"]]
        on_disk = [volume for volume in service.get("volumes", []) if volume.endswith(":/tmp")]
        assert (in_memory, on_disk) == (([], ["reports:/tmp"]) if name == "settlements" else (["/tmp"], [])), name
        assert ("healthcheck" in service) == (service["restart"] != "no"), name
    health = re.search(r"HEALTHCHECK .*CMD (\[.+\])$", DOCKERFILE, re.M)
    assert health
    command = json.loads(health[1])
    assert ours["web"]["healthcheck"]["test"] == ["CMD", *ours["web"]["entrypoint"][:-1], *command]
    published = [port for each in ours.values() for port in each.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published), "what is open to all is for a proxy to say"


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
