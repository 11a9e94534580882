"""The folder in which processes count is named in time, and what killed processes left is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT

NAME = "from checkout_service.telemetry.metrics_folder import name_metrics_folder as name; name('checkout-t-')"
COUNT = "from checkout_service.telemetry import metrics; metrics.sessions_total.labels('opened').inc()"
STAY = "print('counts', flush=True); import time; time.sleep(60)"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tmp").mkdir()
    given = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    return given | {"TMPDIR": str(tmp_path / "tmp")}


def run(environment: Mapping[str, str], *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip


def stay(environment: Mapping[str, str], *lines: str) -> subprocess.Popen[str]:
    """A process that counts, until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", "\n".join([*lines, STAY])],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "counts\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def ours(environment: Mapping[str, str]) -> set[Path]:
    return set(Path(environment["TMPDIR"]).glob("checkout-*"))


def test_a_folder_of_our_own_is_gone_with_its_process(environment: dict[str, str]) -> None:
    done = run(environment, NAME, COUNT, "import os; print(os.listdir(os.environ['PROMETHEUS_MULTIPROC_DIR']))")
    assert "counter_" in done.stdout
    assert not ours(environment)


def test_what_a_killed_process_left_is_removed_at_the_next_start(environment: dict[str, str]) -> None:
    kill(stay(environment, NAME, COUNT))
    (left,) = ours(environment)
    process = stay(environment, NAME, COUNT)
    try:
        (used,) = ours(environment)
        assert used != left
    finally:
        kill(process)


def test_a_folder_in_use_is_left_alone_also_by_who_survives_its_parent(environment: dict[str, str]) -> None:
    may_end = Path(environment["TMPDIR"]).parent / "may-end"
    parent = stay(environment, NAME, COUNT, "import os, time", "if os.fork() == 0:", *_until(may_end))
    try:
        (used,) = ours(environment)
        run(environment, NAME)
        assert ours(environment) == {used}
    finally:
        kill(parent)
    run(environment, NAME)
    assert ours(environment) == {used}, "its child counts there"
    may_end.touch()
    until = time.monotonic() + 60
    while ours(environment):
        assert time.monotonic() < until
        time.sleep(0.3)
        run(environment, NAME)


def _until(file: Path) -> list[str]:
    """Lines of a child that ends once the file is there."""
    return [f"    while not os.path.exists({str(file)!r}):", "        time.sleep(0.05)", "    os._exit(0)"]


def test_what_is_not_ours_is_left_alone(environment: dict[str, str]) -> None:
    temporary = Path(environment["TMPDIR"])
    older, file, link = (temporary / f"checkout-t-{name}" for name in ("older", "file", "link"))
    elsewhere = temporary / "elsewhere"
    for folder in (older, elsewhere):
        folder.mkdir()
        (folder / "counter_1.db").touch()
    (elsewhere / "in-use").touch()
    file.touch()
    link.symlink_to(elsewhere)

    assert run(environment, NAME).returncode == 0

    assert (older / "counter_1.db").exists(), "an older release's, which locks nothing"
    assert (elsewhere / "counter_1.db").exists()
    assert file.exists()


def test_a_folder_from_the_environment_begins_without_what_an_earlier_run_left(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "given" / "metrics"
    environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    kill(stay(environment, NAME, COUNT))
    assert list(folder.glob("counter_*.db"))

    done = run(environment, NAME, COUNT, "print(metrics.expose().decode())")

    assert 'checkout_sessions_total{outcome="opened"} 1.0' in done.stdout
    assert folder.exists()


def test_in_a_folder_that_others_use_the_dead_still_count(environment: dict[str, str], tmp_path: Path) -> None:
    """A counter that fell would be a restart, for Prometheus."""
    environment["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "metrics")
    lives = stay(environment, NAME, COUNT)
    try:
        kill(stay(environment, NAME, COUNT))
        done = run(environment, NAME, COUNT, "print(metrics.expose().decode())")
        assert 'checkout_sessions_total{outcome="opened"} 3.0' in done.stdout
    finally:
        kill(lives)


def test_who_counts_before_the_folder_is_named_ends_at_once(environment: dict[str, str]) -> None:
    done = run(environment, COUNT, NAME)
    assert done.returncode == 1
    assert "RuntimeError: the metrics were loaded before their folder was named" in done.stderr


def test_a_folder_that_cannot_be_made_is_named_with_its_setting(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment |= {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "file" / "metrics"), "PORT": "1"}
    done = subprocess.run(
        [sys.executable, "serve.py", "wsgi:app"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "PROMETHEUS_MULTIPROC_DIR: " in done.stderr
    assert "Traceback" not in done.stderr
